// SPDX-License-Identifier: Apache-2.0

// Command bigcluster measures our programs at 5000 nodes, which are objects of a real API server and nothing more.
// `bigcluster measure` (hack/bench extender) compares single calls of longshore-extender with those of a reference
// extender written in Go, on the same cluster, in the same run, by the same client; `bigcluster reference` is the
// reference itself. `bigcluster scheduling` (hack/bench scheduling) compares what a real kube-scheduler gets done with
// the extender and without it. `bigcluster scale` (hack/bench scale) loads longshore-controller with the reports of
// 5000 node agents about 20,000 backup pods.
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{
		"measure": measure, "reference": reference, "scheduling": scheduleAll, "scale": scale,
	}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: bigcluster measure|reference|scheduling|scale ARGUMENT...")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "bigcluster:", err)
		os.Exit(1)
	}
}
