// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// churnPerSecond is one node in a hundred.
const churnPerSecond = nodeCount / 100

// churnNodes labels node after node anew until the context ends, and says how many it was.
func churnNodes(ctx context.Context) (done chan int, err error) {
	client, err := newClient()
	if err != nil {
		return nil, err
	}
	done = make(chan int, 1)
	go func() {
		tick := time.NewTicker(time.Second / churnPerSecond)
		defer tick.Stop()
		changed := 0
		for {
			select {
			case <-ctx.Done():
				done <- changed
				return
			case <-tick.C:
			}
			patch := fmt.Appendf(nil, `{"metadata":{"labels":{"bench.longshore.dev/churn":"%d"}}}`, changed)
			name := benchNode(changed * 7 % nodeCount).Name
			if _, err := client.CoreV1().Nodes().Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err == nil {
				changed++
			}
		}
	}()
	return done, nil
}

// churn measures calls with 5000 names while nodes change: by what the snapshots cost that come and go meanwhile.
func (c contest) churn(rounds int) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done, err := churnNodes(ctx)
	if err != nil {
		return err
	}
	kinds := []struct {
		verb, name string
		body       []byte
	}{
		{"filter", "churn_filter_5000", namesBody(sourceName, nodeCount)},
		{"filter", "churn_filter_required_5000", namesBody(requiringSource, nodeCount)},
		{"prioritize", "churn_prioritize_5000", namesBody(sourceName, nodeCount)},
	}
	series := map[string][]sample{}
	start := time.Now()
	for range rounds {
		for _, kind := range kinds {
			got, err := c.ours.call(kind.verb, kind.body)
			if err != nil {
				return err
			}
			got.reply = nil
			series[kind.name] = append(series[kind.name], got)
		}
		time.Sleep(5 * time.Millisecond) // a scheduler does other work between
	}
	took := time.Since(start).Seconds()
	stop()
	say("churn_nodes_per_second", float64(<-done)/took, "nodes/s")
	for _, kind := range kinds {
		say(kind.name+"_p50_ms", quantile(series[kind.name], serverTime, 0.5), "ms")
		say(kind.name+"_p99_ms", quantile(series[kind.name], serverTime, 0.99), "ms")
	}
	return nil
}
