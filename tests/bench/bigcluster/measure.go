// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"sort"
	"time"

	extenderv1 "k8s.io/kube-scheduler/extender/v1"
)

// contest is the two, called in turns.
type contest struct{ ours, reference *contender }

func (c contest) both() []*contender { return []*contender{c.ours, c.reference} }

func measure(arguments []string) error {
	flags := flag.NewFlagSet("measure", flag.ExitOnError)
	program := flags.String("extender", "", "longshore-extender")
	folder := flags.String("keys", "", "folder with ca.crt, tls.crt, tls.key, client.crt and client.key")
	cpu := flags.String("cpu", "1", "where both servers run")
	rounds := flags.Int("rounds", 1000, "calls of each kind")
	flags.Parse(arguments)
	if *program == "" || *folder == "" {
		return errors.New("measure: --extender and --keys are needed")
	}
	begun := time.Now()
	if err := makeWorld(benchSources()...); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "%d nodes posted in %.1f s\n", nodeCount, time.Since(begun).Seconds())
	c, err := startBoth(*program, *cpu, keys(*folder))
	defer c.ours.end()
	defer c.reference.end()
	if err != nil {
		return err
	}
	if err := c.ready(); err != nil {
		return err
	}
	for _, step := range []func(int) error{c.names, c.churn, c.connections, c.lists} {
		if err := step(*rounds); err != nil {
			return err
		}
	}
	return nil
}

func startBoth(program, cpu string, k keys) (c contest, err error) {
	if c.ours, err = start("ours", cpu, k, regexp.MustCompile(`"extender started","port":(\d+)`),
		extenderCommand(program, k)...); err != nil {
		return c, err
	}
	self, err := os.Executable()
	if err != nil {
		return c, err
	}
	c.reference, err = start("reference", cpu, k, regexp.MustCompile(`^port (\d+)`), self, "reference",
		"--cert="+k.file("tls.crt"), "--key="+k.file("tls.key"), "--client-ca="+k.file("ca.crt"))
	return c, err
}

// extenderCommand is longshore-extender on free ports, without a leader to hear of pressure from.
func extenderCommand(program string, k keys) []string {
	return []string{program, "--port=0", "--health-port=0", "--tls-dir=" + string(k), "--client-ca-file=" + k.file("ca.crt"),
		"--ca-file=" + k.file("ca.crt"), "--token-file=" + k.file("ca.crt"), "--controller=127.0.0.1:1"}
}

// ready waits until both know the cluster, and then their replies must be equal: the same nodes in the same order, and
// the same scores.
func (c contest) ready() error {
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := errors.Join(c.equal(namesBody(sourceName, nodeCount)), c.equal(namesBody(requiringSource, nodeCount)),
			c.equal(namesBody(sourceName, 500)))
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (c contest) equal(body []byte) error {
	var verdicts [2]extenderv1.ExtenderFilterResult
	var scores [2]map[string]int64
	for i, one := range c.both() {
		if err := one.callLikeTheScheduler("filter", body, &verdicts[i]); err != nil {
			return err
		}
		list := extenderv1.HostPriorityList{}
		if err := one.callLikeTheScheduler("prioritize", body, &list); err != nil {
			return err
		}
		scores[i] = map[string]int64{}
		for _, host := range list {
			scores[i][host.Host] = host.Score
		}
	}
	if !reflect.DeepEqual(verdicts[0], verdicts[1]) {
		return errors.New("filter: the replies differ")
	}
	if scores[0][dataNode] == 0 {
		return errors.New("the data's own node has no score")
	}
	if !reflect.DeepEqual(scores[0], scores[1]) {
		return fmt.Errorf("prioritize: the replies differ: %d and %d scores", len(scores[0]), len(scores[1]))
	}
	return nil
}

// names measures filter and prioritize with 5000 and 500 names, each call of ours beside one of the reference.
func (c contest) names(rounds int) error {
	kinds := []struct {
		verb, name string
		body       []byte
	}{
		{"filter", "filter_5000", namesBody(sourceName, nodeCount)},
		{"filter", "filter_required_5000", namesBody(requiringSource, nodeCount)},
		{"prioritize", "prioritize_5000", namesBody(sourceName, nodeCount)},
		{"filter", "filter_500", namesBody(sourceName, 500)},
		{"prioritize", "prioritize_500", namesBody(sourceName, 500)},
	}
	series := map[string]*[2][]sample{}
	for round := -20; round < rounds; round++ { // the first ones warm up
		for _, kind := range kinds {
			for i, one := range c.both() {
				got, err := one.call(kind.verb, kind.body)
				if err != nil {
					return err
				}
				if round < 0 {
					continue
				}
				if series[kind.name] == nil {
					series[kind.name] = &[2][]sample{}
				}
				got.reply = nil
				series[kind.name][i] = append(series[kind.name][i], got)
			}
		}
	}
	for _, kind := range kinds {
		report(kind.name, series[kind.name])
	}
	say("go_over_ours_5000_p50_ratio", ratio(series["filter_5000"], serverTime), "ratio")
	say("go_over_ours_filter_required_5000_p50_ratio", ratio(series["filter_required_5000"], serverTime), "ratio")
	say("go_over_ours_prioritize_5000_p50_ratio", ratio(series["prioritize_5000"], serverTime), "ratio")
	say("go_over_ours_client_5000_p50_ratio", ratio(series["filter_5000"], clientTime), "ratio")
	return nil
}

func serverTime(s sample) float64 { return s.server }
func clientTime(s sample) float64 { return s.client }

func quantile(samples []sample, of func(sample) float64, q float64) float64 {
	values := make([]float64, 0, len(samples))
	for _, s := range samples {
		values = append(values, of(s))
	}
	sort.Float64s(values)
	return values[int(q*float64(len(values)-1))]
}

func ratio(both *[2][]sample, of func(sample) float64) float64 {
	return quantile(both[1], of, 0.5) / quantile(both[0], of, 0.5)
}

// report prints server-side times under the plain name; client-side ones, over TLS on loopback, say so.
func report(name string, both *[2][]sample) {
	for i, prefix := range []string{"", "go_"} {
		say(prefix+name+"_p50_ms", quantile(both[i], serverTime, 0.5), "ms")
		say(prefix+name+"_p99_ms", quantile(both[i], serverTime, 0.99), "ms")
		say(prefix+name+"_client_p50_ms", quantile(both[i], clientTime, 0.5), "ms")
	}
}

func say(name string, value float64, unit string) { fmt.Printf("%s %.4g %s\n", name, value, unit) }

// connections counts what 100 calls cost whose replies are read as the scheduler reads them.
func (c contest) connections(int) error {
	body := namesBody(sourceName, nodeCount)
	for i, one := range c.both() {
		before := one.dialled
		for range 50 {
			if err := one.callLikeTheScheduler("filter", body, &extenderv1.ExtenderFilterResult{}); err != nil {
				return err
			}
			if err := one.callLikeTheScheduler("prioritize", body, &extenderv1.HostPriorityList{}); err != nil {
				return err
			}
		}
		say([]string{"", "go_"}[i]+"new_connections_per_100_calls", float64(one.dialled-before), "connections")
	}
	return nil
}

// lists measures filter with whole nodes: time, and the most memory beyond what was there before and the body itself.
func (c contest) lists(int) error {
	body := listBody()
	const mib = 1 << 20
	say("list_60mb_body_mib", float64(len(body))/mib, "MiB")
	for i, one := range c.both() {
		prefix := []string{"", "go_"}[i]
		before := one.memory("VmRSS")
		if err := one.resetPeak(); err != nil {
			return err
		}
		first, err := one.call("filter", body)
		if err != nil {
			return err
		}
		if err := wantNodes(first.reply); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		extra := one.memory("VmHWM") - before - float64(len(body))/mib
		samples := []sample{}
		for range 9 {
			got, err := one.call("filter", body)
			if err != nil {
				return err
			}
			got.reply = nil
			samples = append(samples, got)
		}
		say(prefix+"list_60mb_ms", quantile(samples, serverTime, 0.5), "ms")
		say(prefix+"list_60mb_client_ms", quantile(samples, clientTime, 0.5), "ms")
		say(prefix+"list_60mb_extra_mib", extra, "MiB")
		say(prefix+"rss_before_mib", before, "MiB")
	}
	return nil
}

func wantNodes(reply []byte) error {
	result := extenderv1.ExtenderFilterResult{}
	if err := json.Unmarshal(reply, &result); err != nil {
		return err
	}
	if result.Error != "" || result.Nodes == nil || len(result.Nodes.Items) != nodeCount {
		return fmt.Errorf("list mode: error %q, or not all nodes back", result.Error)
	}
	return nil
}
