// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"
)

// What an attack is judged by: the scheduler's calls, its own outcome, and what the process has left of it.
func TestAttacksAreJudged(t *testing.T) {
	leak := [][]byte{}
	files := []*os.File{}
	for _, test := range []struct {
		name   string
		spoilt defect
		attack func(*Extender, *World) error
		want   string
	}{
		{name: "nothing comes of it", attack: pipelining},
		{name: "strangers get nothing", attack: wrongCertificates},
		{name: "the scheduler waits", spoilt: defect{handle: after(1200*time.Millisecond, always)},
			attack: func(*Extender, *World) error { time.Sleep(time.Second); return nil }, want: "meanwhile the scheduler"},
		{name: "only the first of a batch is answered", attack: pipelining, want: "reply 1 of 2000",
			spoilt: defect{handle: func(w http.ResponseWriter, r *http.Request) bool {
				if r.Host == "x" {
					w.Header().Set("Connection", "close")
				}
				return false
			}}},
		{name: "strangers are obeyed", spoilt: defect{obeysStrangers: true}, attack: wrongCertificates, want: "were obeyed"},
		{name: "memory stays away", want: "MiB; before", attack: func(*Extender, *World) error {
			leak = append(leak, bytes.Repeat([]byte("x"), 2*mostBytesLeft))
			return nil
		}},
		{name: "descriptors stay away", want: "descriptors", attack: func(*Extender, *World) error {
			for range 2 * mostDescriptorsLeft {
				file, err := os.Open("/dev/null")
				if err != nil {
					return err
				}
				files = append(files, file)
			}
			return nil
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			world := soundWorld()
			e := newSound(world, test.spoilt).serve(t, true)
			e.Hostile = true
			if strings.HasSuffix(test.name, "away") {
				debug.FreeOSMemory()
				e.PID = os.Getpid()
			}
			err := hostile(test.attack)(e, world)
			if (err == nil) != (test.want == "") || (err != nil && !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
	if len(leak) == 0 || len(files) == 0 {
		t.Error("nothing was leaked")
	}
}
