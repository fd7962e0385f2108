// SPDX-License-Identifier: Apache-2.0

// Command conformance looks at a scheduler extender from outside, as kube-scheduler does: with the scheduler's own
// client (scheduler.NewHTTPExtender), and with raw requests where that client is too well-behaved. It knows nothing of
// how the extender is made; --world tells it what is to be expected. It prints a line for each case, whose number is that
// of the edge case in docs/placement.md, and a summary; the status is 1 if a case failed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"sort"
	"time"
)

// skip says why a case does not apply here.
type skip string

func (s skip) Error() string { return string(s) }

// Case is one thing that an extender must do.
type Case struct {
	Name string // NUMBER-what-is-expected
	Run  func(*Extender, *World) error
}

func cases(w *World) []Case {
	all := []Case{}
	for _, some := range [][]Case{nodeCases, wireCases, badInputCases, placementCases, tlsCases, hostileCases, changeCases(w)} {
		all = append(all, some...)
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].Name < all[j].Name })
	return all
}

func main() {
	extender := &Extender{}
	flag.StringVar(&extender.URL, "url", "", "the extender's urlPrefix, http:// or https://")
	flag.StringVar(&extender.FilterVerb, "filter-verb", "filter", "")
	flag.StringVar(&extender.PrioritizeVerb, "prioritize-verb", "prioritize", "")
	flag.StringVar(&extender.ServerName, "server-name", "", "in its certificate, if other than the URL's host")
	flag.StringVar(&extender.CAFile, "ca", "", "file of the CA that its certificate comes from")
	flag.StringVar(&extender.CertFile, "cert", "", "file of the client certificate to show")
	flag.StringVar(&extender.KeyFile, "key", "", "file of its key")
	flag.StringVar(&extender.StrangerCertFile, "stranger-cert", "", "file of a valid client certificate that it must refuse")
	flag.StringVar(&extender.StrangerKeyFile, "stranger-key", "", "file of its key")
	flag.DurationVar(&extender.Timeout, "timeout", 30*time.Second, "how long any one call may take, the largest too")
	flag.DurationVar(&extender.HTTPTimeout, "http-timeout", time.Second, "the scheduler's httpTimeout, for ordinary calls")
	flag.StringVar(&extender.Kubeconfig, "kubeconfig", "", "of the world's cluster, which its changes are made to")
	flag.BoolVar(&extender.Hostile, "hostile", false, "also be hostile: thousands of connections, for a minute")
	flag.IntVar(&extender.PID, "pid", 0, "the extender's process on this machine, whose memory and descriptors are looked at")
	worldFile := flag.String("world", "", "file that says what the extender knows, and what to expect (see world.go)")
	only := flag.String("run", "", "only cases whose name matches this regular expression")
	flag.Parse()
	if extender.URL == "" || flag.NArg() > 0 || (extender.secure() && extender.CAFile == "") {
		fmt.Fprintln(os.Stderr, "conformance: --url is needed, and --ca for https; see --help")
		os.Exit(2)
	}
	world, err := loadWorld(*worldFile)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance: --run:", err)
		os.Exit(2)
	}
	if !run(extender, world, pattern) {
		os.Exit(1)
	}
}

func run(extender *Extender, world *World, pattern *regexp.Regexp) bool {
	passed, failed, skipped := 0, 0, 0
	for _, c := range cases(world) {
		if !pattern.MatchString(c.Name) {
			continue
		}
		start := time.Now()
		err := c.Run(extender, world)
		milliseconds := float64(time.Since(start).Microseconds()) / 1000
		var reason skip
		switch {
		case err == nil:
			passed++
			fmt.Printf("pass %s (%.1f ms)\n", c.Name, milliseconds)
		case errors.As(err, &reason):
			skipped++
			fmt.Printf("skip %s: %s\n", c.Name, reason)
		default:
			failed++
			fmt.Printf("FAIL %s (%.1f ms): %v\n", c.Name, milliseconds, err)
		}
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", passed, failed, skipped)
	return failed == 0 && passed > 0
}
