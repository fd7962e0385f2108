// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	v1 "k8s.io/api/core/v1"
)

// Which nodes come back, and how.
var nodeCases = []Case{
	{"02-both-lists-are-answered", bothLists},
	{"02-neither-list-is-an-error", neitherList},
	{"03-null-pod-is-an-error", nullPod},
	{"04-empty-list-stays-empty-and-not-null", emptyLists},
	{"04-nothing-passes-as-an-empty-list", allRefused},
	{"05-order-is-kept", inBothModes(orderKept)},
	{"05-no-duplicates-out", noDuplicates},
	{"06-only-offered-nodes-come-back", inBothModes(onlyOffered)},
	{"07-scores-are-integers-of-0-to-10", inBothModes(scoresInRange)},
	{"07-score-literals-are-integers", scoreLiterals},
	{"10-large-node-list", largeList},
	{"18-unknown-nodes-pass", inBothModes(unknownNodes)},
	{"25-answers-before-the-scheduler-gives-up", inBothModes(inTime)},
	{"45-5000-names", fiveThousandNames},
}

func bothLists(e *Extender, w *World) error {
	list := &v1.NodeList{Items: w.Nodes}
	result, err := e.filter(arguments(w.Pods.Unmarked, w.names(), map[string]any{"Nodes": list}))
	if err != nil {
		return err
	}
	if result.Error != "" {
		return nil
	}
	return wantNames("passed", passedNames(result), w.names())
}

func neitherList(e *Extender, w *World) error {
	body := arguments(w.anyPod(), nil, nil)
	result, err := e.filter(body)
	if err != nil {
		return err
	}
	if result.Error == "" {
		return errors.New("no Error: the pod would fail without a reason")
	}
	_, err = e.prioritize(body)
	return err
}

func nullPod(e *Extender, w *World) error {
	result, err := e.filter(arguments(nil, w.names(), nil))
	if err != nil {
		return err
	}
	if result.Error == "" {
		return errors.New("no Error")
	}
	return wantHealthy(e, w)
}

func emptyLists(e *Extender, w *World) error {
	for _, pod := range []*v1.Pod{w.anyPod(), w.Pods.Unmarked} {
		result, err := e.filter(arguments(pod, []string{}, nil))
		if err != nil {
			return err
		}
		if result.NodeNames == nil || len(*result.NodeNames) > 0 || result.Error != "" {
			return fmt.Errorf("names mode: %+v", result)
		}
		empty := &v1.NodeList{Items: []v1.Node{}}
		result, err = e.filter(arguments(pod, nil, map[string]any{"Nodes": empty}))
		if err != nil {
			return err
		}
		if result.Nodes == nil || result.Nodes.Items == nil || len(result.Nodes.Items) > 0 || result.Error != "" {
			return fmt.Errorf("list mode: %+v", result)
		}
		list, err := e.prioritize(arguments(pod, []string{}, nil))
		if err != nil || list == nil || len(list) > 0 {
			return fmt.Errorf("prioritize: %v %w", list, err)
		}
	}
	return nil
}

func allRefused(e *Extender, w *World) error {
	if w.Pods.Required == nil {
		return skip("the world has no pod that is refused anywhere")
	}
	names := []string{}
	for _, name := range w.names() {
		if !slices.Contains(w.RequiredPasses, name) {
			names = append(names, name)
		}
	}
	result, err := e.filter(arguments(w.Pods.Required, names, nil))
	if err != nil {
		return err
	}
	if result.NodeNames == nil || len(*result.NodeNames) > 0 || result.Error != "" {
		return fmt.Errorf("%+v", result)
	}
	return nil
}

// All nodes that the marked pod passes on, in an order that is no alphabet's.
func orderKept(e *Extender, w *World, names bool) error {
	nodes := slices.Clone(w.Nodes)
	slices.Reverse(nodes)
	nodes = append(nodes[1:], nodes[0])
	got, err := filterBy(e, names, w.anyPod(), nodes)
	if err != nil {
		return err
	}
	return wantAllPassed(got, nodes)
}

func noDuplicates(e *Extender, w *World) error {
	offered := append(w.names(), w.names()...)
	result, err := e.filter(arguments(w.anyPod(), offered, nil))
	if err != nil {
		return err
	}
	if err := wantNames("names mode", passedNames(result), w.names()); err != nil {
		return err
	}
	twice := &v1.NodeList{Items: append(slices.Clone(w.Nodes), w.Nodes...)}
	result, err = e.filter(arguments(w.anyPod(), nil, map[string]any{"Nodes": twice}))
	if err != nil {
		return err
	}
	if err := wantNames("list mode", passedNames(result), w.names()); err != nil {
		return err
	}
	list, err := e.prioritize(arguments(w.anyPod(), offered, nil))
	if err != nil {
		return err
	}
	_, err = scoresOf(list, offered)
	return err
}

// Half of the nodes that it knows: the others must not come back.
func onlyOffered(e *Extender, w *World, names bool) error {
	half := w.Nodes[len(w.Nodes)/2:]
	got, err := filterBy(e, names, w.anyPod(), half)
	if err != nil {
		return err
	}
	if err := wantAllPassed(got, half); err != nil {
		return err
	}
	_, err = scoresBy(e, names, w.anyPod(), half)
	return err
}

func scoresInRange(e *Extender, w *World, names bool) error {
	_, err := scoresBy(e, names, w.anyPod(), w.Nodes)
	return err
}

func scoreLiterals(e *Extender, w *World) error {
	reply, err := e.send(http.MethodPost, e.PrioritizeVerb, arguments(w.anyPod(), w.names(), nil))
	if err != nil {
		return err
	}
	var list []struct{ Score json.RawMessage }
	if err := json.Unmarshal(reply.Body, &list); err != nil {
		return err
	}
	for _, host := range list {
		if slices.ContainsFunc(host.Score, func(c byte) bool { return c < '0' || c > '9' }) {
			return fmt.Errorf("score %s", host.Score)
		}
	}
	return nil
}

// What a busy cluster's scheduler sends when nodeCacheCapable is off. The nodes that come back are whole.
func largeList(e *Extender, w *World) error {
	nodes := fatNodes(5000)
	client, err := e.client(false, "")
	if err != nil {
		return err
	}
	passed, _, _, err := client.Filter(w.anyPod(), nodeInfos(nodes))
	if err != nil {
		return err
	}
	if err := wantNames("passed", namesOf(passed), nodeNames(nodes)); err != nil {
		return err
	}
	for i, info := range passed {
		if len(info.Node().Status.Images) != len(nodes[i].Status.Images) {
			return fmt.Errorf("%s came back with %d images", info.Node().Name, len(info.Node().Status.Images))
		}
	}
	return wantHealthy(e, w)
}

// Just added, or an autoscaler's template: the scheduler knows more than the extender's cache.
func unknownNodes(e *Extender, w *World, names bool) error {
	return wantNeutral(e, names, w.anyPod(), strangers(5))
}

// The scheduler waits for httpTimeout at each call, with every other pod behind it.
func inTime(e *Extender, w *World, names bool) error {
	client, err := e.clientThatWaits(names, e.URL, e.HTTPTimeout)
	if err != nil {
		return err
	}
	for range 5 {
		if _, _, _, err := client.Filter(w.anyPod(), nodeInfos(w.Nodes)); err != nil {
			return err
		}
		if _, _, err := client.Prioritize(w.anyPod(), nodeInfos(w.Nodes)); err != nil {
			return err
		}
	}
	return nil
}

func fiveThousandNames(e *Extender, w *World) error {
	nodes := strangers(5000)
	client, err := e.client(true, "")
	if err != nil {
		return err
	}
	start := time.Now()
	passed, failed, never, err := client.Filter(w.anyPod(), nodeInfos(nodes))
	if err != nil {
		return err
	}
	if took := time.Since(start); took > time.Second {
		return fmt.Errorf("took %v: a scheduler gives up after httpTimeout", took)
	}
	list, _, err := client.Prioritize(w.anyPod(), nodeInfos(nodes))
	if err != nil {
		return err
	}
	if _, err := scoresOf(*list, nodeNames(nodes)); err != nil {
		return err
	}
	return wantAllPassed(verdict{namesOf(passed), failed, never}, nodes)
}
