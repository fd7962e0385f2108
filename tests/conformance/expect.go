// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"

	v1 "k8s.io/api/core/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"
)

// What the real client makes of one filter call.
type verdict struct {
	passed        []string
	failed, never extenderv1.FailedNodesMap
}

func filterBy(e *Extender, names bool, pod *v1.Pod, nodes []v1.Node) (verdict, error) {
	client, err := e.client(names, "")
	if err != nil {
		return verdict{}, err
	}
	passed, failed, never, err := client.Filter(pod, nodeInfos(nodes))
	if err != nil {
		return verdict{}, fmt.Errorf("filter, %s mode: %w", mode(names), err)
	}
	return verdict{namesOf(passed), failed, never}, nil
}

// scoresBy gives the score of each offered node; those that the reply leaves out have 0, as in the scheduler.
func scoresBy(e *Extender, names bool, pod *v1.Pod, nodes []v1.Node) (map[string]int64, error) {
	client, err := e.client(names, "")
	if err != nil {
		return nil, err
	}
	list, _, err := client.Prioritize(pod, nodeInfos(nodes))
	if err != nil {
		return nil, fmt.Errorf("prioritize, %s mode: %w", mode(names), err)
	}
	return scoresOf(*list, nodeNames(nodes))
}

// scoresOf also checks what the scheduler's client does not: only offered hosts, each once, 0 to 10.
func scoresOf(list extenderv1.HostPriorityList, offered []string) (map[string]int64, error) {
	scores := map[string]int64{}
	for _, name := range offered {
		scores[name] = 0
	}
	seen := map[string]bool{}
	for _, host := range list {
		if _, known := scores[host.Host]; !known {
			return nil, fmt.Errorf("host %q is scored and was not offered", host.Host)
		}
		if seen[host.Host] {
			return nil, fmt.Errorf("host %q is scored twice", host.Host)
		}
		if host.Score < extenderv1.MinExtenderPriority || host.Score > extenderv1.MaxExtenderPriority {
			return nil, fmt.Errorf("host %q has score %d", host.Host, host.Score)
		}
		seen[host.Host], scores[host.Host] = true, host.Score
	}
	return scores, nil
}

func mode(names bool) string {
	if names {
		return "names"
	}
	return "list"
}

// inBothModes runs a check in names mode and in list mode.
func inBothModes(check func(e *Extender, w *World, names bool) error) func(*Extender, *World) error {
	return func(e *Extender, w *World) error {
		for _, names := range []bool{true, false} {
			if err := check(e, w, names); err != nil {
				return fmt.Errorf("%s mode: %w", mode(names), err)
			}
		}
		return nil
	}
}

func wantNames(what string, got, want []string) error {
	if slices.Equal(got, want) {
		return nil
	}
	return fmt.Errorf("%s: got %.300v, want %.300v", what, fmt.Sprint(got), fmt.Sprint(want))
}

func wantAllPassed(got verdict, nodes []v1.Node) error {
	if len(got.failed)+len(got.never) > 0 {
		return fmt.Errorf("refused: %.300s", fmt.Sprint(got.failed, got.never))
	}
	return wantNames("passed", got.passed, nodeNames(nodes))
}

// wantNeutral: filter lets all pass in their order, and prioritize prefers none.
func wantNeutral(e *Extender, names bool, pod *v1.Pod, nodes []v1.Node) error {
	got, err := filterBy(e, names, pod, nodes)
	if err != nil {
		return err
	}
	if err := wantAllPassed(got, nodes); err != nil {
		return err
	}
	scores, err := scoresBy(e, names, pod, nodes)
	if err != nil {
		return err
	}
	for name, score := range scores {
		if score != scores[nodes[0].Name] {
			return fmt.Errorf("%s has score %d, %s has %d", name, score, nodes[0].Name, scores[nodes[0].Name])
		}
	}
	return nil
}

// wantHealthy: an ordinary call is answered as if nothing had happened.
func wantHealthy(e *Extender, w *World) error {
	got, err := filterBy(e, true, w.Pods.Unmarked, w.Nodes)
	if err != nil {
		return fmt.Errorf("afterwards: %w", err)
	}
	return wantAllPassed(got, w.Nodes)
}

// arguments is the body of a call; `more` replaces or adds fields, and a nil value takes a field away.
func arguments(pod *v1.Pod, names []string, more map[string]any) []byte {
	fields := map[string]any{"Pod": pod, "Nodes": json.RawMessage("null"), "NodeNames": names}
	for key, value := range more {
		if value == nil {
			delete(fields, key)
		} else {
			fields[key] = value
		}
	}
	body, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	return body
}

func passedNames(result *extenderv1.ExtenderFilterResult) []string {
	names := []string{}
	if result.NodeNames != nil {
		names = *result.NodeNames
	} else if result.Nodes != nil {
		names = nodeNames(result.Nodes.Items)
	}
	return names
}

func sorted(names []string) []string {
	names = slices.Clone(names)
	sort.Strings(names)
	return names
}
