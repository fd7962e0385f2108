// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"time"
)

// lag raises the load of pods of different requests, one after the other and at random phases, and reads from the
// requests how long after the first report over the threshold the decision was made.
func (s *scaling) lag() error {
	if s.steps > s.pods/podsPerRequest {
		return fmt.Errorf("scale: --steps is more than the %d requests", s.pods/podsPerRequest)
	}
	calls, err := s.countCalls()
	if err != nil {
		return err
	}
	chosen := s.onePodOfEach()
	for _, pod := range chosen {
		pod.busy.Store(true)
		time.AfterFunc(5*time.Second, func() { pod.busy.Store(false) })
		time.Sleep(rand.N(time.Second))
	}
	time.Sleep(5 * time.Second) // until the last one is announced, and its row is at rest
	lags := []float64{}
	for _, pod := range chosen {
		text, err := s.crews.client.RESTClient().Get().AbsPath(inBackupNamespace("computerequests"), pod.request).DoRaw(context.Background())
		if err != nil {
			return err
		}
		var request struct {
			Status struct {
				LastDecision struct {
					Cause              string
					Time, CrossingTime time.Time
				}
			}
		}
		if err := json.Unmarshal(text, &request); err != nil {
			return err
		}
		decision := request.Status.LastDecision
		if decision.Cause != "ThresholdExceeded" {
			s.wrong("%s crossed its threshold and was not answered: the last decision is %q", pod.name, decision.Cause)
			continue
		}
		lags = append(lags, decision.Time.Sub(decision.CrossingTime).Seconds())
	}
	if len(lags) == 0 {
		return errors.Join(append(s.problems, errors.New("no crossing was answered"))...)
	}
	slices.Sort(lags)
	say("scale_lag_p50_s", lags[len(lags)/2], "s")
	say("scale_lag_p99_s", lags[min(len(lags)-1, len(lags)*99/100)], "s")
	return s.callsPerPod(calls)
}

// onePodOfEach gives one pod of each of `steps` requests.
func (s *scaling) onePodOfEach() (chosen []*simulatedPod) {
	taken := map[string]bool{}
	for _, i := range rand.Perm(len(s.crews.agents)) {
		for _, pod := range s.crews.agents[i].pods {
			if !taken[pod.request] && len(chosen) < s.steps {
				taken[pod.request] = true
				chosen = append(chosen, pod)
			}
		}
	}
	return chosen
}

// countCalls reads the audit log: calls of the controller by verb and resource, watches left out.
func (s *scaling) countCalls() (map[string]int, error) {
	file, err := os.Open(s.audit)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	calls := map[string]int{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var call struct {
			Verb      string
			ObjectRef struct{ Resource, Subresource string }
		}
		if json.Unmarshal(lines.Bytes(), &call) == nil && call.Verb != "watch" && call.Verb != "list" {
			calls[call.Verb+" "+call.ObjectRef.Resource+"/"+call.ObjectRef.Subresource]++
		}
	}
	return calls, lines.Err()
}

// callsPerPod says what the pods that were made since took, from the decision to their being offered.
func (s *scaling) callsPerPod(before map[string]int) error {
	time.Sleep(3 * time.Second) // the log is written in batches
	after, err := s.countCalls()
	if err != nil {
		return err
	}
	total, pods := 0, after["create pods/"]-before["create pods/"]
	if pods == 0 {
		return errors.New("no pod was made")
	}
	for kind, count := range after {
		if more := count - before[kind]; more > 0 {
			total += more
			tell("  %-40s %.2f a pod", kind, float64(more)/float64(pods))
		}
	}
	say("api_calls_per_pod", float64(total)/float64(pods), "calls")
	return nil
}

// rebuild takes the controller away at once, with all that it has in memory, and waits for the same answer; meanwhile all
// agents connect again.
func (s *scaling) rebuild() error {
	before, err := s.podStates()
	if err != nil {
		return err
	}
	s.controller.command.Process.Kill()
	s.controller.command.Wait()
	begun := time.Now()
	if err := s.launch(); err != nil {
		return err
	}
	for {
		now, err := s.podStates()
		if err == nil && slices.Equal(before, now) {
			break
		}
		if time.Since(begun) > 3*time.Minute {
			return fmt.Errorf("after 3 minutes a new leader's answer is still another: %v", err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	took := time.Since(begun).Seconds()
	say("rebuild_s_per_1000_pods", took*1000/float64(len(before)), "s")
	for time.Since(begun) < 3*time.Minute && s.figure("longshore_controller_agents_connected") < float64(len(s.crews.agents)) {
		time.Sleep(200 * time.Millisecond)
	}
	tell("a new leader answered for %d pods after %.1f s, and had all agents back after %.1f s", len(before), took, time.Since(begun).Seconds())
	return nil
}

// podStates is the storage manager's view: each pod with its state and epoch, in order.
func (s *scaling) podStates() ([]string, error) {
	config, err := s.keys.clientConfig()
	if err != nil {
		return nil, err
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}}
	request, err := http.NewRequest(http.MethodGet, "https://127.0.0.1:"+s.ports[0]+"/v1/pods", nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+s.manager)
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d: %.200s", response.StatusCode, text)
	}
	var list struct {
		Items []struct {
			Name, Node, State string
			Epoch             int
		}
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, err
	}
	states := []string{}
	for _, item := range list.Items {
		states = append(states, fmt.Sprintf("%s %s %s %d", item.Name, item.Node, item.State, item.Epoch))
	}
	slices.Sort(states)
	return states, nil
}
