// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"runtime/pprof"
	"time"
)

// scaling is one run of `bigcluster scale`.
type scaling struct {
	program, kubeconfig, planner, audit string
	keys                                keys
	pods, free, steps                   int
	settle, seconds                     time.Duration

	crews      *crews
	fleet      *fleet
	controller *process
	ports      [3]string // of API, streams and health
	manager    string    // a token
	problems   []error
}

var controllerUp = regexp.MustCompile(`"controller started","api_port":(\d+),"streams_port":(\d+),"health_port":(\d+)`)

func scale(arguments []string) error {
	s := &scaling{ports: [3]string{"0", "0", "0"}}
	flags := flag.NewFlagSet("scale", flag.ExitOnError)
	flags.StringVar(&s.program, "controller", "", "longshore-controller")
	flags.StringVar(&s.planner, "planner", "", "the program that renders pods as the controller does")
	flags.StringVar(&s.kubeconfig, "kubeconfig", "", "the controller's own")
	flags.StringVar(&s.audit, "audit", "", "the API server's audit log of the controller's calls")
	folder := flags.String("keys", "", "folder with ca.crt, tls.crt, tls.key, client.crt and client.key")
	agents := flags.Int("agents", nodeCount, "node agents, at most 5000")
	flags.IntVar(&s.pods, "pods", 20000, "backup pods, 20 of each request")
	flags.IntVar(&s.free, "free", 0, "of the 20, how many have a worker with a stream of its own: one second more each")
	flags.IntVar(&s.steps, "steps", 200, "pods whose load is raised over their threshold")
	flags.DurationVar(&s.settle, "settle", time.Minute, "before anything is measured: samples are kept for 40 s")
	flags.DurationVar(&s.seconds, "seconds", time.Minute, "over which cost is measured")
	flags.Parse(arguments)
	s.keys = keys(*folder)
	if s.program == "" || *folder == "" || *agents > nodeCount {
		return errors.New("scale: --controller, --planner, --kubeconfig, --audit and --keys are needed; at most 5000 agents")
	}
	if err := s.makeCrews(*agents); err != nil {
		return err
	}
	defer func() { s.controller.stop() }()
	if err := s.begin(); err != nil {
		return err
	}
	for _, part := range []func() error{s.cost, s.lag, s.rebuild} {
		if err := part(); err != nil {
			return err
		}
	}
	return errors.Join(s.problems...)
}

// wrong notes what makes the figures worthless; the run goes on, and fails at its end.
func (s *scaling) wrong(format string, values ...any) {
	s.problems = append(s.problems, fmt.Errorf(format, values...))
}

// tell says on standard error what is no figure of its own.
func tell(format string, values ...any) { fmt.Fprintf(os.Stderr, format+"\n", values...) }

func (s *scaling) makeCrews(agents int) error {
	begun := time.Now()
	if err := makeWorld(); err != nil {
		return err
	}
	client, err := newClient()
	if err != nil {
		return err
	}
	planned, err := plannedPods(s.planner, placedSources()[:1], 1)
	if err != nil {
		return err
	}
	s.crews = &crews{client: client, template: planned[0], free: s.free}
	for i := range agents {
		s.crews.agents = append(s.crews.agents, &agent{node: benchNode(i).Name})
	}
	if err := s.crews.makeConfiguration(); err != nil {
		return err
	}
	if err := inParallel(s.pods/podsPerRequest, s.crews.makeRequest); err != nil {
		return err
	}
	tell("%d nodes, %d requests, %d pods with rows posted in %.0f s", nodeCount, s.pods/podsPerRequest, s.pods, time.Since(begun).Seconds())
	return nil
}

// launch starts the controller on the ports that it had before.
func (s *scaling) launch() error {
	p, found, err := launch("longshore-controller", controllerUp, s.program, "--kubeconfig="+s.kubeconfig,
		"--tls-dir="+string(s.keys), "--ca-file="+s.keys.file("ca.crt"),
		"--api-port="+s.ports[0], "--streams-port="+s.ports[1], "--health-port="+s.ports[2])
	if err != nil {
		return err
	}
	s.controller = p
	copy(s.ports[:], found[1:])
	return nil
}

// begin starts the controller, the agents and the workers, and waits until all of them are connected.
func (s *scaling) begin() error {
	tokens := make([]string, len(s.crews.agents))
	if err := inParallel(len(tokens), func(i int) (err error) {
		tokens[i], err = s.crews.agentToken(s.crews.agents[i])
		return err
	}); err != nil {
		return err
	}
	var err error
	if s.manager, err = s.crews.token(backupNamespace, "manager", "", ""); err != nil {
		return err
	}
	if err := s.launch(); err != nil {
		return err
	}
	config, err := s.keys.clientConfig()
	if err != nil {
		return err
	}
	config.Certificates = nil
	s.fleet = &fleet{address: "127.0.0.1:" + s.ports[1], keys: config, stopping: make(chan struct{})}
	begun := time.Now()
	wanted := int64(len(tokens))
	for i, a := range s.crews.agents {
		go a.run(s.fleet, tokens[i])
		for _, pod := range a.pods {
			if pod.worker {
				wanted++
				go s.crews.runWorker(s.fleet, pod.name, pod.uid)
			}
		}
	}
	if err := s.crews.runNewPods(s.fleet); err != nil {
		return err
	}
	for s.fleet.open.Load() < wanted {
		if time.Since(begun) > 5*time.Minute {
			pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
			return fmt.Errorf("only %d of %d streams are open", s.fleet.open.Load(), wanted)
		}
		time.Sleep(100 * time.Millisecond)
	}
	tell("%d streams open after %.1f s", wanted, time.Since(begun).Seconds())
	return nil
}

// figure is one value of the controller's metrics.
func (s *scaling) figure(name string) float64 {
	page, err := scrape("http://127.0.0.1:" + s.ports[2])
	if err != nil {
		s.wrong("%s: %w", name, err)
	}
	return page.sum(name)
}

// cost is what the reports take while nothing crosses a threshold.
func (s *scaling) cost() error {
	time.Sleep(s.settle)
	const prefix = "longshore_controller_"
	dropped := []string{"foreign_samples_total", "superseded_reports_total", "bad_messages_total"}
	before := map[string]float64{}
	for _, name := range append(dropped, "usage_reports_total", "reconcile_duration_seconds_count") {
		before[name] = s.figure(prefix + name)
	}
	lost := s.fleet.lost.Load()
	pid := s.controller.command.Process.Pid
	threads, cpu, begun := threadSeconds(pid), cpuSeconds(pid), time.Now()
	time.Sleep(s.seconds)
	took := time.Since(begun).Seconds()
	say("scale_cores", (cpuSeconds(pid)-cpu)/took, "cores")
	say("scale_rss_mib", s.controller.memory("VmRSS"), "MiB")
	for name, seconds := range threadSeconds(pid) {
		if spent := (seconds - threads[name]) / took; spent > 0.005 {
			tell("  thread %-16s %.3f cores", name, spent)
		}
	}
	reports := (s.figure(prefix+"usage_reports_total") - before["usage_reports_total"]) / took
	say("scale_reports_per_second", reports, "1/s")
	tell("reconciles: %.0f a second", (s.figure(prefix+"reconcile_duration_seconds_count")-before["reconcile_duration_seconds_count"])/took)
	if reports < 0.98*float64(len(s.crews.agents)) {
		s.wrong("%d agents sent, but only %.0f reports a second were taken", len(s.crews.agents), reports)
	}
	if pods := s.figure(prefix + "usage_pods"); int(pods) < s.pods {
		s.wrong("%d pods are reported, the controller has samples of %.0f", s.pods, pods)
	}
	for _, name := range dropped {
		if rise := s.figure(prefix+name) - before[name]; rise > 0 {
			s.wrong("%s rose by %.0f", name, rise)
		}
	}
	if now := s.fleet.lost.Load(); now > lost {
		s.wrong("%d streams were lost", now-lost)
	}
	return nil
}

// threadSeconds is the CPU time of a process so far, by the names of its threads.
func threadSeconds(pid int) map[string]float64 {
	folder := fmt.Sprintf("/proc/%d/task", pid)
	tasks, _ := os.ReadDir(folder)
	seconds := map[string]float64{}
	for _, task := range tasks {
		name, _ := os.ReadFile(folder + "/" + task.Name() + "/comm")
		text, _ := os.ReadFile(folder + "/" + task.Name() + "/schedstat")
		nanos := 0.0
		fmt.Sscan(string(text), &nanos)
		seconds[string(name[:max(0, len(name)-1)])] += nanos / 1e9
	}
	return seconds
}
