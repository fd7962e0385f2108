// SPDX-License-Identifier: Apache-2.0

package main

import (
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

// counter is a value that grows with the seconds, differently for each pod and field.
func counter(seconds, perSecond uint64) uint64 { return seconds * perSecond }

func histogram(seconds uint64) (b []byte) {
	packed := []byte{}
	for bucket := range uint64(12) {
		packed = protowire.AppendVarint(packed, counter(seconds, 1+bucket))
	}
	return message(b, 1, packed)
}

// usage is what a pod at work reports: every field that the agent measures has a value, one device, no pressure of its
// own (cgroup v1 and v2 differ in that).
func usage(cpuNanos, seconds uint64) (b []byte) {
	b = number(b, 1, cpuNanos)
	b = number(b, 2, counter(seconds, 1_234_567))
	b = message(b, 3, histogram(seconds))
	b = number(number(b, 5, counter(seconds, 111)), 6, counter(seconds, 7))
	for field, rate := range map[protowire.Number]uint64{7: 4 << 20, 8: 1 << 20, 9: 64, 10: 16, 12: 5 << 20, 13: 5 << 20,
		14: 640, 15: 640, 16: 4 << 20, 17: 1 << 20, 24: 100_000, 25: 6 << 20} {
		b = number(b, field, counter(seconds, rate))
	}
	device := text(nil, 1, "254:0")
	for field, rate := range map[protowire.Number]uint64{3: 4 << 20, 4: 1 << 20, 5: 64, 6: 16, 8: 2_000_000, 9: 30_000_000} {
		device = number(device, field, counter(seconds, rate))
	}
	for _, field := range []protowire.Number{10, 11, 12} {
		device = message(device, field, histogram(seconds))
	}
	b = message(b, 11, device)
	memory := []byte{}
	for field := protowire.Number(1); field <= 6; field++ {
		memory = number(memory, field, 150<<20+counter(seconds%60, 4096))
	}
	return message(b, 26, memory)
}

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
	sums := number(number(nil, 1, node), 2, 8000)
	for field, rate := range map[protowire.Number]uint64{3: 5_000_000_000, 4: 10_000_000, 10: 10} {
		sums = number(sums, field, counter(sequence, rate))
	}
	sums = number(number(sums, 6, 20<<30), 7, 32<<30)
	device := message(message(text(nil, 1, "254:0"), 11, histogram(sequence)), 12, histogram(sequence))
	sums = message(sums, 12, number(number(device, 3, counter(sequence, 16<<20)), 4, counter(sequence, 4<<20)))
	nic := number(number(text(nil, 1, "eth0"), 2, counter(sequence, 400_000)), 3, counter(sequence, 24<<20))
	b = message(b, 7, message(sums, 13, nic))
	return message(nil, 2, b)
}
