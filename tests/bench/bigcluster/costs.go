// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

const thisBench = "this bench"

// meter takes the CPU seconds that processes use from the first binding to the last.
type meter struct {
	lock  sync.Mutex
	pids  map[string]int
	spent map[string]float64
	wall  time.Duration
	begun time.Time
}

// newMeter knows this process, the cluster's and the extender; the scheduler starts later.
func newMeter(extender *contender) *meter {
	m := &meter{pids: map[string]int{thisBench: os.Getpid()}, spent: map[string]float64{}}
	for _, name := range []string{"kube-apiserver", "etcd"} {
		text, _ := os.ReadFile(os.Getenv("LONGSHORE_CLUSTER") + "/pid/" + name)
		line, _, _ := strings.Cut(string(text), "\n")
		m.pids[name], _ = strconv.Atoi(line)
	}
	if extender != nil {
		m.pids["longshore-extender"] = extender.command.Process.Pid
	}
	return m
}

func (m *meter) add(name string, pid int) {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.pids[name] = pid
	if !m.begun.IsZero() {
		m.spent[name] = -cpuSeconds(pid)
	}
}

func (m *meter) begin() {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.begun = time.Now()
	for name, pid := range m.pids {
		m.spent[name] = -cpuSeconds(pid)
	}
}

func (m *meter) end() {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.wall = time.Since(m.begun)
	for name, pid := range m.pids {
		m.spent[name] += cpuSeconds(pid)
	}
}

// costs is where the time of an arm went: seconds over all its runs and pods.
type costs struct {
	pods    int
	wall    float64
	cpu     map[string]float64
	seconds map[string]float64
	order   []string // of seconds
}

// take adds one run, as the programs' own metrics have it, and gives how many requests the extender heard. Those must
// all have been judged.
func (c *costs) take(m *meter, scheduler *kubeScheduler, health string, pods int) (requests float64, err error) {
	if c.cpu == nil {
		c.cpu, c.seconds = map[string]float64{}, map[string]float64{}
	}
	c.pods += pods
	c.wall += m.wall.Seconds()
	for name, seconds := range m.spent {
		c.cpu[name] += seconds
	}
	page, err := scrape(scheduler.url)
	if err != nil {
		return 0, err
	}
	c.count("scheduling algorithm", page.sum("scheduler_scheduling_algorithm_duration_seconds_sum"))
	for _, point := range []string{"PreFilter", "Filter", "PreScore", "Score", "Bind"} {
		c.count(point+" plug-ins", page.sum("scheduler_framework_extension_point_duration_seconds_sum", `extension_point="`+point+`"`))
	}
	if health == "" {
		return 0, nil
	}
	if page, err = scrape(health); err != nil {
		return 0, err
	}
	for _, verb := range []string{"filter", "prioritize"} {
		c.count("extender's "+verb, page.sum("longshore_extender_request_seconds_sum", `verb="`+verb+`"`))
	}
	requests = page.sum("longshore_extender_requests_total")
	if judged := page.sum("longshore_extender_requests_total", `outcome="judged"`); judged != requests {
		return 0, fmt.Errorf("the extender judged %.0f of %.0f requests only", judged, requests)
	}
	return requests, nil
}

func (c *costs) count(name string, seconds float64) {
	if !slices.Contains(c.order, name) {
		c.order = append(c.order, name)
	}
	c.seconds[name] += seconds
}

// cpuPerPod is what scheduling one took of all but this bench, in ms: it hardly feels what else the machine does.
func (c *costs) cpuPerPod() float64 {
	total := 0.0
	for name, seconds := range c.cpu {
		if name != thisBench {
			total += seconds
		}
	}
	return 1000 * total / float64(c.pods)
}

// String has milliseconds per pod. Algorithm less plug-ins is the snapshot, the extender's round trips and the choice.
func (c *costs) String() string {
	perPod := func(seconds float64) float64 { return 1000 * seconds / float64(c.pods) }
	text := fmt.Sprintf("  wall %.2f ms; CPU:", perPod(c.wall))
	for _, name := range []string{"kube-scheduler", "kube-apiserver", "etcd", "longshore-extender", thisBench} {
		if seconds, found := c.cpu[name]; found {
			text += fmt.Sprintf(" %s %.2f", name, perPod(seconds))
		}
	}
	text += "\n  clock:"
	for _, name := range c.order {
		text += fmt.Sprintf(" %s %.3f", name, perPod(c.seconds[name]))
	}
	return text + "\n"
}
