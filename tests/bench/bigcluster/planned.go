// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
)

const (
	sourceCount    = 50
	markerResource = "longshore.dev/backup-pod"
)

// placedSource is a source with the node that its data is on: each in a rack of its own, and as many on nodes of 2, 4,
// 8 and 16 CPUs, so that some nodes have room for all backup pods of their source and others soon are full.
type placedSource struct{ name, node string }

func placedSources() (sources []placedSource) {
	for i := range sourceCount {
		sources = append(sources, placedSource{fmt.Sprintf("orders-%02d", i), benchNode(i*nodeCount/sourceCount + i%4).Name})
	}
	return sources
}

func (s placedSource) object() string {
	return fmt.Sprintf(`{"apiVersion":"longshore.dev/v1alpha1","kind":"BackupSource",
		"metadata":{"name":%q,"namespace":%q},"spec":{"kind":"postgresql","credentialsRef":{"name":"login"},
		"postgresql":{"host":"%s.test","caRef":{"name":"ca","key":"ca.crt"}},"location":{"nodeName":%q}}}`,
		s.name, namespace, s.name, s.node)
}

// plannedPods asks the controller's own code for its pods: perSource of each.
func plannedPods(program string, sources []placedSource, perSource int) (pods []*v1.Pod, err error) {
	nodes := []*v1.Node{}
	for i := range nodeCount {
		nodes = append(nodes, benchNode(i))
	}
	objects := []json.RawMessage{}
	for _, source := range sources {
		objects = append(objects, json.RawMessage(source.object()))
	}
	command := exec.Command(program)
	command.Stdin = bytes.NewReader(mustJSON(map[string]any{
		"nodes": nodes, "sources": objects, "podsPerSource": perSource,
		"image": map[string]any{"kind": "postgresql", "image": "registry.test/postgresql:17",
			"resources": map[string]any{"requests": map[string]string{"cpu": "200m", "memory": "192Mi"}}},
		// Room is all that fits: what is left to production would count as missed.
		"policy": map[string]any{"resources": map[string]any{"requests": map[string]string{"cpu": "500m"}},
			"nodeHeadroomPercent": 0},
	}))
	command.Stderr = os.Stderr
	text, err := command.Output()
	if err != nil {
		return nil, err
	}
	return pods, json.Unmarshal(text, &pods)
}

// changed gives copies of the pods with something done to each.
func changed(pods []*v1.Pod, how func(*v1.Pod)) (all []*v1.Pod) {
	for _, pod := range pods {
		other := pod.DeepCopy()
		how(other)
		all = append(all, other)
	}
	return all
}

func unsteered(pod *v1.Pod) { pod.Spec.Affinity = nil }

// unmarked makes it any application's pod.
func unmarked(pod *v1.Pod) {
	unsteered(pod)
	resources := &pod.Spec.Containers[0].Resources
	delete(resources.Requests, markerResource)
	delete(resources.Limits, markerResource)
	pod.Labels, pod.Annotations = map[string]string{"app": "any"}, nil
}

// nearness is how near to their data pods came.
type nearness struct {
	tiers [tierUnknown + 1]int64 // pods by tier
	hits  int64                  // pods as near as in the best assignment
	pods  int64
}

func (n nearness) share() float64 { return float64(n.hits) / float64(max(1, n.pods)) }

func (n nearness) String() (text string) {
	for tier, count := range n.tiers {
		if count > 0 {
			text += fmt.Sprintf(" %s %d", tierNames[tier], count)
		}
	}
	return text
}

// nearnessOf compares with the best assignment, which fills tier after tier. Room that pods of other sources took is no
// room. It does not look at the order in which pods were bound, since the scheduler binds in parallel.
func nearnessOf(pods []*v1.Pod, sources []placedSource, nodes map[string]string) (n nearness) {
	c := &cluster{nodes: map[string]*nodeInfo{}, sources: map[string]source{}}
	room := map[string]int64{} // pods that a node holds beside those bound there
	for i := range nodeCount {
		node := benchNode(i)
		c.setNode(node)
		room[node.Name] = capacity(node, pods[0])
	}
	bySource := map[string][]string{} // where its pods are
	for _, pod := range pods {
		node := nodes[pod.Namespace+"/"+pod.Name]
		room[node]--
		bySource[pod.Labels[sourceLabel]] = append(bySource[pod.Labels[sourceLabel]], node)
	}
	for _, source := range sources {
		var bound, free [tierUnknown + 1]int64
		j := judge{cluster: c, data: c.nodes[source.node]}
		for name, info := range c.nodes {
			free[j.tier(info)] += max(0, room[name])
		}
		for _, node := range bySource[source.name] {
			bound[j.tier(c.nodes[node])]++
		}
		left := int64(len(bySource[source.name]))
		n.pods += left
		for tier := range bound {
			best := min(left, free[tier]+bound[tier])
			n.tiers[tier] += bound[tier]
			n.hits += min(bound[tier], best)
			left -= best
		}
	}
	return n
}

func capacity(node *v1.Node, pod *v1.Pod) int64 {
	count := node.Status.Allocatable.Pods().Value()
	for name, wanted := range pod.Spec.Containers[0].Resources.Requests {
		if amount, found := node.Status.Allocatable[name]; found {
			count = min(count, times(amount, wanted))
		}
	}
	return count
}

func times(amount, wanted resource.Quantity) int64 { return amount.MilliValue() / wanted.MilliValue() }
