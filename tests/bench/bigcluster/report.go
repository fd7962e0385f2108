// SPDX-License-Identifier: Apache-2.0

package main

import (
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
)

// The messages of common/messages/agent.proto and worker.proto that the simulated ones speak, field by field as there.

type podLoad struct {
	uid      string
	cpuNanos uint64 // cumulative
}

func number(b []byte, field protowire.Number, value uint64) []byte {
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), value)
}

func text(b []byte, field protowire.Number, value string) []byte {
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), value)
}

func message(b []byte, field protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), value)
}

func agentHello(node, epoch string) []byte {
	return message(nil, 1, text(text(text(nil, 1, node), 2, "bench"), 3, epoch))
}

func workerHello() []byte { return message(nil, 1, text(text(nil, 1, "bench"), 2, "postgresql")) }

func workerIdle() []byte { return message(nil, 6, nil) }

// counter is a value that grows with the seconds.
func counter(seconds, perSecond uint64) uint64 { return seconds * perSecond }

// growth is a field and what it grows by each second.
type growth struct {
	field     protowire.Number
	perSecond uint64
}

// counters appends them in the order of the fields, as Protobuf's own writers do.
func counters(b []byte, seconds uint64, fields ...growth) []byte {
	for _, each := range fields {
		b = number(b, each.field, counter(seconds, each.perSecond))
	}
	return b
}

func histogram(seconds uint64) (b []byte) {
	packed := []byte{}
	for bucket := range uint64(12) {
		packed = protowire.AppendVarint(packed, counter(seconds, 1+bucket))
	}
	return message(b, 1, packed)
}

// oncePerSecond makes what thousands have in common after so many seconds once: the generator must leave the controller
// its share of the machine.
func oncePerSecond(render func(seconds uint64) []byte) func(seconds uint64) []byte {
	var made sync.Map
	return func(seconds uint64) []byte {
		if known, found := made.Load(seconds); found {
			return known.([]byte)
		}
		now := render(seconds)
		made.Store(seconds, now)
		return now
	}
}

// usage is what a pod at work reports: every field that the agent measures has a value, one device, no pressure of its
// own (cgroup v1 and v2 differ in that).
func usage(cpuNanos, seconds uint64) []byte {
	return append(number(nil, 1, cpuNanos), usageBesideCPU(seconds)...)
}

var usageBesideCPU = oncePerSecond(func(seconds uint64) []byte {
	b := counters(nil, seconds, growth{2, 1_234_567})
	b = message(b, 3, histogram(seconds))
	b = counters(b, seconds, growth{5, 111}, growth{6, 7}, growth{7, 4 << 20}, growth{8, 1 << 20}, growth{9, 64}, growth{10, 16})
	device := counters(text(nil, 1, "254:0"), seconds, growth{3, 4 << 20}, growth{4, 1 << 20}, growth{5, 64}, growth{6, 16},
		growth{8, 2_000_000}, growth{9, 30_000_000})
	for _, field := range []protowire.Number{10, 11, 12} {
		device = message(device, field, histogram(seconds))
	}
	b = counters(message(b, 11, device), seconds, growth{12, 5 << 20}, growth{13, 5 << 20}, growth{14, 640}, growth{15, 640},
		growth{16, 4 << 20}, growth{17, 1 << 20}, growth{24, 100_000}, growth{25, 6 << 20})
	memory := []byte{}
	for field := protowire.Number(1); field <= 6; field++ {
		memory = number(memory, field, 150<<20+counter(seconds%60, 4096))
	}
	return message(b, 26, memory)
})

// usageReport is one second of a node. Each pod has one container with the same numbers.
func usageReport(sequence uint64, start, end time.Duration, wall time.Time, pods []podLoad) []byte {
	b := number(nil, 1, sequence)
	b = number(number(b, 2, uint64(start)), 3, uint64(end))
	b = number(b, 4, uint64(wall.UnixNano()))
	if sequence == 1 {
		b = number(b, 5, 1)
	}
	node := uint64(0)
	for _, pod := range pods {
		used := usage(pod.cpuNanos, sequence)
		container := message(text(nil, 1, "containerd://"+pod.uid), 2, used)
		b = message(b, 6, message(message(text(nil, 1, pod.uid), 2, used), 3, container))
		node += pod.cpuNanos
	}
	sums := append(number(nil, 1, node), nodeBesideCPU(sequence)...)
	return message(nil, 2, message(b, 7, sums))
}

var nodeBesideCPU = oncePerSecond(func(seconds uint64) []byte {
	b := counters(number(nil, 2, 8000), seconds, growth{3, 5_000_000_000}, growth{4, 10_000_000})
	b = counters(number(number(b, 6, 20<<30), 7, 32<<30), seconds, growth{10, 10})
	device := counters(text(nil, 1, "254:0"), seconds, growth{3, 16 << 20}, growth{4, 4 << 20})
	b = message(b, 12, message(message(device, 11, histogram(seconds)), 12, histogram(seconds)))
	return message(b, 13, counters(text(nil, 1, "eth0"), seconds, growth{2, 400_000}, growth{3, 24 << 20}))
})
