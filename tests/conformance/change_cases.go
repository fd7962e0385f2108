// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

// Change is something that happens to the cluster (--kubeconfig) while the extender is asked without a pause. Each answer
// is the one of before or the one of afterwards, and from `settled` after the last step on it is the latter.
type Change struct {
	Name  string `json:"name"` // of its case
	Steps []Step `json:"steps"`
	Undo  []Step `json:"undo"` // so that the next case finds the world as it was
	// Which pod is asked for; null: the marked one.
	Pod *v1.Pod `json:"pod"`
	// What is right afterwards, as in World; no ranking: nobody is preferred.
	Ranking [][]string `json:"ranking"`
	Passes  []string   `json:"passes"` // null: all
	// Between its steps other answers are right too, as long as they are answers.
	Transient bool `json:"transient"`
}

// Step is a request to the API server.
type Step struct {
	Method      string          `json:"method"`
	Path        string          `json:"path"`
	ContentType string          `json:"contentType"`
	Body        json.RawMessage `json:"body"`
}

const (
	// A failover must be followed within a second.
	settled = time.Second
	// For how long the new answer must stay: an older snapshot that is published late shows here.
	watched = 500 * time.Millisecond
)

func changeCases(w *World) []Case {
	all := []Case{}
	for _, change := range w.Changes {
		all = append(all, Case{change.Name, func(e *Extender, w *World) error { return change.run(e, w) }})
	}
	return all
}

// answer is what the scheduler is left with after both calls.
type answer struct {
	asked  time.Time
	passed []string
	scores map[string]int64
	err    error
}

func (c *Change) run(e *Extender, w *World) error {
	if e.Kubeconfig == "" {
		return skip("no --kubeconfig: the cluster cannot be changed")
	}
	api, err := newAPI(e.Kubeconfig)
	if err != nil {
		return err
	}
	observer, err := c.observe(e, w)
	if err != nil {
		return err
	}
	before := observer.ask()
	if before.err != nil {
		return before.err
	}
	observer.start()
	err = api.do(c.Steps)
	done := time.Now()
	if err == nil {
		time.Sleep(settled + watched)
	}
	answers := observer.stop()
	if undone := api.do(c.Undo); err == nil {
		err = undone
	}
	if err != nil {
		return err
	}
	if err := c.check(before, answers, done, w); err != nil {
		return err
	}
	return c.wantAsBefore(before, observer)
}

func (c *Change) check(before answer, answers []answer, done time.Time, w *World) error {
	late := 0
	for i, got := range answers {
		if got.err != nil {
			return fmt.Errorf("call %d of %d: %w", i, len(answers), got.err)
		}
		isNew := c.wantAfter(got, w)
		if got.asked.After(done.Add(settled)) {
			late++
			if isNew != nil {
				return fmt.Errorf("%v after the change: %w", got.asked.Sub(done).Round(time.Millisecond), isNew)
			}
		}
		if c.Transient || isNew == nil {
			continue
		}
		// The two calls may see different snapshots; each one alone must not.
		if !same(got.passed, before.passed) && wantNames("passed", got.passed, c.passes(w)) != nil {
			return fmt.Errorf("neither before nor after: passed %v", got.passed)
		}
		if !sameScores(got.scores, before.scores) && wantRanking(got.scores, c.Ranking, w.names()) != nil {
			return fmt.Errorf("neither before nor after: scores %v", got.scores)
		}
	}
	if late == 0 {
		return fmt.Errorf("of %d calls none was so late", len(answers))
	}
	return nil
}

func (c *Change) passes(w *World) []string {
	if c.Passes == nil {
		return w.names()
	}
	return c.Passes
}

func (c *Change) wantAfter(got answer, w *World) error {
	if err := wantNames("passed", got.passed, c.passes(w)); err != nil {
		return err
	}
	return wantRanking(got.scores, c.Ranking, w.names())
}

func (c *Change) wantAsBefore(before answer, observer *observer) error {
	got := answer{}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if got = observer.ask(); got.err == nil && same(got.passed, before.passed) && sameScores(got.scores, before.scores) {
			return nil
		}
	}
	return fmt.Errorf("undone, but %+v is not %+v", got, before)
}

// wantRanking: groups from the best to the worst, whose members are equal. None at all: all of the names are.
func wantRanking(scores map[string]int64, groups [][]string, names []string) error {
	if len(groups) == 0 {
		groups = [][]string{names}
	}
	above := int64(extenderv1.MaxExtenderPriority + 1)
	for _, equals := range groups {
		for _, name := range equals {
			score, known := scores[name]
			if !known {
				return fmt.Errorf("the world ranks %s, which is not among its nodes", name)
			}
			if score != scores[equals[0]] || score >= above {
				return fmt.Errorf("%s has %d; want %v, and equals equal: %v", name, score, groups, scores)
			}
		}
		above = scores[equals[0]]
	}
	return nil
}

// observer asks as the scheduler does, filter and then prioritize, one call after the other.
type observer struct {
	client  fwk.Extender
	pod     *v1.Pod
	nodes   []fwk.NodeInfo
	offered []string
	world   []string
	running atomic.Bool
	answers chan []answer
}

func (c *Change) observe(e *Extender, w *World) (*observer, error) {
	client, err := e.client(true, "")
	if err != nil {
		return nil, err
	}
	pod := c.Pod
	if pod == nil {
		pod = w.anyPod()
	}
	// Strangers make the call long enough for something to happen during it.
	all := append(slices.Clone(w.Nodes), strangers(1000)...)
	return &observer{client: client, pod: pod, nodes: nodeInfos(all), offered: nodeNames(all), world: w.names(),
		answers: make(chan []answer)}, nil
}

func (o *observer) start() {
	o.running.Store(true)
	go func() {
		answers := []answer{}
		for o.running.Load() {
			answers = append(answers, o.ask())
		}
		o.answers <- answers
	}()
}

func (o *observer) stop() []answer {
	o.running.Store(false)
	return <-o.answers
}

func (o *observer) ask() answer {
	got := answer{asked: time.Now()}
	passed, _, _, err := o.client.Filter(o.pod, o.nodes)
	if err != nil {
		got.err = fmt.Errorf("filter: %w", err)
		return got
	}
	list, _, err := o.client.Prioritize(o.pod, o.nodes)
	if err != nil {
		got.err = fmt.Errorf("prioritize: %w", err)
		return got
	}
	got.passed = slices.DeleteFunc(namesOf(passed), func(name string) bool { return !slices.Contains(o.world, name) })
	got.scores, got.err = scoresOf(*list, o.offered)
	maps.DeleteFunc(got.scores, func(name string, _ int64) bool { return !slices.Contains(o.world, name) })
	return got
}

func same(a, b []string) bool { return slices.Equal(a, b) }

func sameScores(a, b map[string]int64) bool {
	for name, score := range a {
		if b[name] != score {
			return false
		}
	}
	return len(a) == len(b)
}

// api is the cluster's API server, with an administrator's rights.
type api struct {
	client *http.Client
	server string
}

func newAPI(kubeconfig string) (*api, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	client, err := rest.HTTPClientFor(config)
	return &api{client, config.Host}, err
}

func (a *api) do(steps []Step) error {
	for i, step := range steps {
		request, err := http.NewRequest(step.Method, a.server+step.Path, bytes.NewReader(step.Body))
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
		request.Header.Set("Content-Type", step.ContentType)
		response, err := a.client.Do(request)
		if err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
		text, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.StatusCode >= 300 {
			return fmt.Errorf("step %d: %s %s: %s: %.300s", i, step.Method, step.Path, response.Status, text)
		}
	}
	return nil
}
