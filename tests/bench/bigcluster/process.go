// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
)

// process is a program that was started here, and ends when this one does.
type process struct {
	name    string
	command *exec.Cmd
}

// launch starts a program and waits for the line that tells it is up; found holds the pattern's groups.
func launch(name string, up *regexp.Regexp, arguments ...string) (p *process, found []string, err error) {
	p = &process{name, exec.Command(arguments[0], arguments[1:]...)}
	p.command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	output, err := p.command.StdoutPipe()
	if err != nil {
		return nil, nil, err
	}
	p.command.Stderr = p.command.Stdout
	if err := p.command.Start(); err != nil {
		return nil, nil, err
	}
	said := []string{}
	for lines := bufio.NewScanner(output); found == nil; found = up.FindStringSubmatch(lines.Text()) {
		if !lines.Scan() {
			return nil, nil, fmt.Errorf("%s ended before it was up: %v: %s", name, p.command.Wait(), strings.Join(said, "\n"))
		}
		said = append(said, lines.Text())
	}
	go io.Copy(io.Discard, output)
	return p, found, nil
}

func (p *process) stop() {
	if p != nil && p.command.Process != nil {
		p.command.Process.Signal(syscall.SIGTERM)
		p.command.Wait()
	}
}

// memory gives VmRSS or VmHWM in MiB.
func (p *process) memory(field string) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.command.Process.Pid))
	found := regexp.MustCompile(field + `:\s+(\d+) kB`).FindSubmatch(text)
	if found == nil {
		return -1
	}
	kib, _ := strconv.ParseFloat(string(found[1]), 64)
	return kib / 1024
}

// resetPeak makes VmHWM start again from now.
func (p *process) resetPeak() error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", p.command.Process.Pid), []byte("5"), 0)
}

// cpuSeconds is the user and system time of a process so far; 0 of one that is not there.
func cpuSeconds(pid int) float64 {
	const ticksPerSecond = 100 // USER_HZ, the same on every architecture that Go runs on
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseFloat(fields[11], 64)
	system, _ := strconv.ParseFloat(fields[12], 64)
	return (user + system) / ticksPerSecond
}
