// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// fakeAPI takes every request for the change, and those to /undo for its end.
func fakeAPI(t *testing.T, change, undo func()) string {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/undo":
			undo()
		case "/refused":
			http.Error(w, "no such object", http.StatusNotFound)
		default:
			change()
		}
	}))
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "kubeconfig")
	must(t, os.WriteFile(path, fmt.Appendf(nil, `{apiVersion: v1, kind: Config, current-context: x,
		contexts: [{name: x, context: {cluster: x}}], clusters: [{name: x, cluster: {server: "%s"}}]}`, server.URL), 0o600))
	return path
}

// How an extender follows its cluster, and what the suite says of that.
func TestChangesAreFollowed(t *testing.T) {
	before, after := soundWorld(), soundWorld()
	after.Ranking = [][]string{{"node-4"}, {"node-3"}, {"node-1", "node-2"}, {"node-0"}}
	mixed := soundWorld()
	mixed.Ranking = [][]string{{"node-4"}, {"node-1", "node-2"}, {"node-3"}, {"node-0"}}
	broken := soundWorld()
	broken.Ranking = [][]string{{"node-0", "node-0"}, {"node-1"}} // a score twice
	for _, test := range []struct {
		name      string
		follow    func(publish func(*World))
		transient bool
		step      string
		want      string // of the error; empty: none
	}{
		{name: "at once", follow: func(publish func(*World)) { publish(after) }},
		{name: "after a moment", follow: func(publish func(*World)) {
			time.AfterFunc(300*time.Millisecond, func() { publish(after) })
		}},
		{name: "never", follow: func(func(*World)) {}, want: "after the change"},
		{name: "too late", follow: func(publish func(*World)) {
			time.AfterFunc(1200*time.Millisecond, func() { publish(after) })
		}, want: "after the change"},
		{name: "an old snapshot comes back", follow: func(publish func(*World)) {
			publish(after)
			time.AfterFunc(1200*time.Millisecond, func() { publish(before) })
		}, want: "after the change"},
		{name: "two snapshots in one answer", follow: func(publish func(*World)) {
			publish(mixed)
			time.AfterFunc(200*time.Millisecond, func() { publish(after) })
		}, want: "neither before nor after"},
		{name: "in between, where that is right", transient: true, follow: func(publish func(*World)) {
			publish(mixed)
			time.AfterFunc(200*time.Millisecond, func() { publish(after) })
		}},
		{name: "no answer in between", transient: true, follow: func(publish func(*World)) {
			publish(broken)
			time.AfterFunc(200*time.Millisecond, func() { publish(after) })
		}, want: "scored twice"},
		{name: "the cluster refuses", step: "/refused", follow: func(func(*World)) {}, want: "404"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSound(before, defect{})
			e := s.serve(t, false)
			publish := func(w *World) { s.world.Store(w) }
			e.Kubeconfig = fakeAPI(t, func() { test.follow(publish) }, func() { publish(before) })
			change := Change{Name: "00-a-change", Ranking: after.Ranking, Transient: test.transient,
				Steps: []Step{{Method: http.MethodPatch, Path: "/change"}},
				Undo:  []Step{{Method: http.MethodPatch, Path: "/undo"}}}
			if test.step != "" {
				change.Steps[0].Path = test.step
			}
			err := change.run(e, before)
			if (err == nil) != (test.want == "") || (err != nil && !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}
