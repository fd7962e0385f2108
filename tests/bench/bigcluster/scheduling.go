// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	v1 "k8s.io/api/core/v1"
)

// arm is one way to schedule the same number of pods. Its name is that of its figures.
type arm struct {
	name     string
	pods     []*v1.Pod
	extender bool // runs, and is in the scheduler's configuration
	asked    bool // the extender must hear of each pod, else of none
}

// result is one run of an arm.
type result struct {
	perSecond float64
	near      nearness
	requests  float64 // that the extender heard
}

// scheduling is what all runs share. Of each run the scheduler and the extender are new, so that no run is warmer than
// another, and the pods are there before the scheduler is: what is measured is scheduling, and not posting.
type scheduling struct {
	options           schedulerOptions
	extender, planner string
	perSource, rounds int
	sources           []placedSource
	bindings          *bindings
	results           map[string][]result // by arm
	costs             map[string]*costs
}

func scheduleAll(arguments []string) error {
	s := scheduling{sources: placedSources(), results: map[string][]result{}, costs: map[string]*costs{}}
	flags := flag.NewFlagSet("scheduling", flag.ExitOnError)
	flags.StringVar(&s.extender, "extender", "", "longshore-extender")
	flags.StringVar(&s.planner, "planner", "", "planned_pods")
	flags.StringVar(&s.options.program, "scheduler", "", "kube-scheduler")
	flags.StringVar(&s.options.production, "configuration", "", "KubeSchedulerConfiguration to start from")
	flags.StringVar(&s.options.kubeconfig, "scheduler-kubeconfig", "", "of the scheduler's own user")
	folder := flags.String("keys", "", "folder with ca.crt, tls.crt, tls.key, client.crt and client.key")
	flags.IntVar(&s.perSource, "pods-per-source", 20, fmt.Sprintf("of %d sources", sourceCount))
	flags.IntVar(&s.rounds, "rounds", 3, "how often each arm is run")
	flags.Parse(arguments)
	if s.extender == "" || s.planner == "" || s.options.program == "" || s.options.production == "" || *folder == "" {
		return errors.New("scheduling: --extender, --planner, --scheduler, --configuration and --keys are needed")
	}
	s.options.keys = keys(*folder)
	var err error
	if s.options.folder, err = os.MkdirTemp("", "scheduling"); err != nil {
		return err
	}
	defer os.RemoveAll(s.options.folder)
	objects := []string{}
	for _, source := range s.sources {
		objects = append(objects, source.object())
	}
	if err := makeWorld(objects...); err != nil {
		return err
	}
	if s.bindings, err = watchBindings(); err != nil {
		return err
	}
	return s.compare()
}

// compare runs the arms in turns, every other round backwards, after one run each of those that only explain.
func (s *scheduling) compare() error {
	steered, err := plannedPods(s.planner, s.sources, s.perSource)
	if err != nil {
		return err
	}
	anywhere, plain := changed(steered, unsteered), changed(steered, unmarked)
	explaining := []arm{{"marked_not_steered", anywhere, true, true}, {"marked_steered_without_extender", steered, false, false}}
	arms := []arm{
		{"marked_steered", steered, true, true}, {"marked_without_either", anywhere, false, false},
		{"unmarked", plain, true, false}, {"unmarked_without_extender", plain, false, false}}
	for round := range s.rounds + 1 {
		turn := slices.Clone(arms)
		if round == 0 {
			turn = explaining
		} else if round%2 == 0 {
			slices.Reverse(turn)
		}
		for _, a := range turn {
			got, err := s.run(a)
			if err != nil {
				return fmt.Errorf("%s: %w", a.name, err)
			}
			fmt.Fprintf(os.Stderr, "%-32s %6.1f pods/s%s\n", a.name, got.perSecond, got.near)
			s.results[a.name] = append(s.results[a.name], got)
			if err := s.bindings.clear(a.pods); err != nil {
				return err
			}
		}
	}
	s.report(append(arms, explaining...))
	return nil
}

func (s *scheduling) report(arms []arm) {
	for _, a := range arms {
		say(a.name+"_pods_per_second", median(s.results[a.name], func(r result) float64 { return r.perSecond }), "pods/s")
		say(a.name+"_cpu_ms_per_pod", s.costs[a.name].cpuPerPod(), "ms")
		fmt.Fprintf(os.Stderr, "%s, per pod:\n%s", a.name, s.costs[a.name])
	}
	say("throughput_ratio_marked", medianRatio(s.results["marked_steered"], s.results["marked_without_either"]), "ratio")
	say("throughput_ratio_unmarked", medianRatio(s.results["unmarked"], s.results["unmarked_without_extender"]), "ratio")
	say("unmarked_requests", median(s.results["unmarked"], func(r result) float64 { return r.requests }), "requests")
	say("best_tier_fraction", median(s.results["marked_steered"], bestTier), "fraction")
	say("best_tier_fraction_not_steered", median(s.results["marked_not_steered"], bestTier), "fraction")
	say("best_tier_fraction_without_either", median(s.results["marked_without_either"], bestTier), "fraction")
}

func bestTier(r result) float64 { return r.near.share() }

func median(results []result, of func(result) float64) float64 {
	values := []float64{}
	for _, one := range results {
		values = append(values, of(one))
	}
	return middle(values)
}

// medianRatio compares the runs of each round.
func medianRatio(ours, others []result) float64 {
	ratios := []float64{}
	for i := range ours {
		ratios = append(ratios, ours[i].perSecond/others[i].perSecond)
	}
	return middle(ratios)
}

func middle(values []float64) float64 {
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// run leaves the pods bound, and nobody who looks at them.
func (s *scheduling) run(a arm) (r result, err error) {
	var extender *contender
	health, url := "", ""
	if a.extender {
		if extender, health, err = s.startExtender(); err != nil {
			return r, err
		}
		defer extender.stop()
		url = extender.url
	}
	meter := newMeter(extender)
	if err := s.bindings.post(a.pods, meter.begin); err != nil {
		return r, err
	}
	scheduler, err := s.options.start(url)
	if err != nil {
		return r, err
	}
	defer scheduler.stop()
	meter.add("kube-scheduler", scheduler.command.Process.Pid)
	if err := s.bindings.until(len(a.pods)); err != nil {
		return r, err
	}
	meter.end()
	var nodes map[string]string
	nodes, r.perSecond = s.bindings.seen()
	if s.costs[a.name] == nil {
		s.costs[a.name] = &costs{}
	}
	if r.requests, err = s.costs[a.name].take(meter, scheduler, health, len(a.pods)); err != nil {
		return r, err
	}
	if a.asked && r.requests < float64(len(a.pods)) || !a.asked && r.requests > 0 {
		return r, fmt.Errorf("the extender was asked %.0f times for %d pods", r.requests, len(a.pods))
	}
	r.near = nearnessOf(a.pods, s.sources, nodes)
	return r, nil
}

// startExtender gives also the address of its health port; it has listed the cluster by then.
func (s *scheduling) startExtender() (extender *contender, health string, err error) {
	// Where nobody else is measured beside them, servers run on any CPU.
	anyCPU := fmt.Sprintf("0-%d", runtime.NumCPU()-1)
	up := regexp.MustCompile(`"extender started","port":(\d+),"health_port":(\d+)`)
	extender, found, err := startOn("longshore-extender", anyCPU, s.options.keys, up, extenderCommand(s.extender, s.options.keys)...)
	if err != nil {
		return nil, "", err
	}
	health = "http://127.0.0.1:" + found[2]
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		page, err := scrape(health)
		if err == nil && page.sum("longshore_extender_synced") == 1 {
			return extender, health, nil
		}
		if time.Now().After(deadline) {
			extender.stop()
			return nil, "", fmt.Errorf("the extender is not ready: %v", errors.Join(err, errors.New(strings.Join(page, "\n"))))
		}
	}
}
