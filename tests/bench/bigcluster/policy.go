// SPDX-License-Identifier: Apache-2.0

package main

import (
	v1 "k8s.io/api/core/v1"
)

// Nearness, best first, and the points of each (docs/placement.md).
const (
	tierNode = iota
	tierRack
	tierZone
	tierRegion
	tierNone
	tierUnknown
)

var (
	localityPoints = []int64{84, 63, 42, 21, 0, 10}
	tierNames      = []string{"Node", "Rack", "Zone", "Region", "None", "Unknown"}
)

const (
	neutralPressure = 4
	maxRoomPoints   = 6
)

// judge holds what one call needs: the node map does not change under it.
type judge struct {
	cluster       *cluster
	active        bool // the pod is ours and its source is known
	source        source
	data          *nodeInfo // where the data is
	wanted        int
	cpuMilli, mem int64
}

func (c *cluster) judge(pod *v1.Pod) judge {
	c.lock.RLock()
	defer c.lock.RUnlock()
	j := judge{cluster: c}
	name := pod.Labels[sourceLabel]
	if name == "" {
		return j
	}
	j.source, j.active = c.sources[pod.Namespace+"/"+name]
	j.data = c.nodes[j.source.nodeName]
	for tier, name := range tierNames {
		if name == j.source.tier {
			j.wanted = tier
		}
	}
	j.cpuMilli, j.mem = requests(pod)
	return j
}

func (j *judge) node(name string) *nodeInfo {
	j.cluster.lock.RLock()
	defer j.cluster.lock.RUnlock()
	return j.cluster.nodes[name]
}

// Names count only inside what holds them.
func (j *judge) tier(node *nodeInfo) int {
	if node == nil || j.data == nil {
		return tierUnknown
	}
	if node.name == j.data.name {
		return tierNode
	}
	if node.region == "" || j.data.region == "" || node.zone == "" || j.data.zone == "" {
		return tierUnknown
	}
	switch {
	case node.region != j.data.region:
		return tierNone
	case node.zone != j.data.zone:
		return tierRegion
	case node.rack == "" || node.rack != j.data.rack:
		return tierZone
	}
	return tierRack
}

// refuses gives the reason, or nothing.
func (j *judge) refuses(name string) string {
	if !j.active || !j.source.required {
		return ""
	}
	node := j.node(name)
	tier := j.tier(node)
	if tier <= j.wanted || (node == nil && j.wanted != tierNode) {
		return ""
	}
	return "longshore: tier " + tierNames[j.wanted] + " of the data is required, this node is at " + tierNames[tier]
}

// grade is the scheduler's 0..10.
func (j *judge) grade(name string) int64 {
	if !j.active || j.refuses(name) != "" {
		return 0
	}
	node := j.node(name)
	points := localityPoints[max(j.tier(node), j.wanted)] + neutralPressure
	if node != nil {
		cpu := sharePermille(node.cpuMilli-node.usedMilli-j.cpuMilli, node.cpuMilli)
		memory := sharePermille(node.memory-node.usedMemory-j.mem, node.memory)
		points += (min(cpu, memory)*maxRoomPoints + 500) / 1000
	}
	return points / 10
}

func sharePermille(left, allocatable int64) int64 {
	if allocatable <= 0 {
		return 0
	}
	return min(max(left/max(1, allocatable/1000), 0), 1000)
}
