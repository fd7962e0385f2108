// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"slices"

	extenderv1 "k8s.io/kube-scheduler/extender/v1"
)

// What is decided, as far as the world says what to expect.
var placementCases = []Case{
	{"26-pod-without-the-marker-is-untouched", inBothModes(unmarked)},
	{"27-unknown-source-is-neutral", inBothModes(unknownSource)},
	{"27-undecided-nodes-can-be-tried-later", inBothModes(undecided)},
	{"39-ranking-and-equal-nodes", inBothModes(ranking)},
	{"41-required-placement-is-unresolvable", inBothModes(required)},
}

func unmarked(e *Extender, w *World, names bool) error {
	return wantNeutral(e, names, w.Pods.Unmarked, w.Nodes)
}

func unknownSource(e *Extender, w *World, names bool) error {
	if w.Pods.UnknownSource == nil {
		return skip("the world has no pod of an unknown source")
	}
	return wantNeutral(e, names, w.Pods.UnknownSource, w.Nodes)
}

// FailedNodes, so that preemption and later events are still worth a try.
func undecided(e *Extender, w *World, names bool) error {
	if w.Pods.Undecided == nil {
		return skip("the world has no undecided pod")
	}
	got, err := filterBy(e, names, w.Pods.Undecided, w.Nodes)
	if err != nil {
		return err
	}
	if len(got.passed)+len(got.never) > 0 {
		return fmt.Errorf("passed %v, unresolvable %v", got.passed, got.never)
	}
	return wantReasons(got.failed, w.names())
}

func wantReasons(reasons extenderv1.FailedNodesMap, names []string) error {
	refused := []string{}
	for name, reason := range reasons {
		if reason == "" {
			return fmt.Errorf("%s is refused without a reason", name)
		}
		refused = append(refused, name)
	}
	return wantNames("refused", sorted(refused), sorted(names))
}

func ranking(e *Extender, w *World, names bool) error {
	if w.Pods.Marked == nil || len(w.Ranking) == 0 {
		return skip("the world has no ranking")
	}
	scores, err := scoresBy(e, names, w.Pods.Marked, w.Nodes)
	if err != nil {
		return err
	}
	return wantRanking(scores, w.Ranking, w.names())
}

// No eviction brings the data nearer: FailedAndUnresolvableNodes, with a reason each.
func required(e *Extender, w *World, names bool) error {
	if w.Pods.Required == nil {
		return skip("the world has no pod that is refused anywhere")
	}
	got, err := filterBy(e, names, w.Pods.Required, w.Nodes)
	if err != nil {
		return err
	}
	passed, refused := []string{}, []string{}
	for _, name := range w.names() {
		if slices.Contains(w.RequiredPasses, name) {
			passed = append(passed, name)
		} else {
			refused = append(refused, name)
		}
	}
	if err := wantNames("passed", got.passed, passed); err != nil {
		return err
	}
	if len(got.failed) > 0 {
		return fmt.Errorf("in FailedNodes: %v", got.failed)
	}
	return wantReasons(got.never, refused)
}
