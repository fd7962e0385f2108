// SPDX-License-Identifier: Apache-2.0

// Command extender measures longshore-extender at 5000 nodes. `extender measure` (hack/bench extender) compares single
// calls with those of a reference extender written in Go, on the same cluster, in the same run, by the same client;
// `extender reference` is the reference itself. `extender scheduling` (hack/bench scheduling) compares what a real
// kube-scheduler gets done with it and without it.
package main

import (
	"fmt"
	"os"
)

func main() {
	commands := map[string]func([]string) error{"measure": measure, "reference": reference, "scheduling": scheduleAll}
	if len(os.Args) < 2 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: extender measure|reference|scheduling ARGUMENT...")
		os.Exit(2)
	}
	if err := commands[os.Args[1]](os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, "extender:", err)
		os.Exit(1)
	}
}
