// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// runNewPods does for each pod that the controller makes what scheduler, kubelet and worker would: binds it to the first
// node of its affinity, lets it run at once, and dials in.
func (c *crews) runNewPods(f *fleet) error {
	pods, err := c.client.CoreV1().Pods(backupNamespace).Watch(context.Background(), metav1.ListOptions{FieldSelector: "spec.nodeName="})
	if err != nil {
		return err
	}
	go func() {
		for event := range pods.ResultChan() {
			if pod, ok := event.Object.(*v1.Pod); ok && event.Type == watch.Added {
				go c.runPod(f, pod)
			}
		}
	}()
	return nil
}

func (c *crews) runPod(f *fleet, pod *v1.Pod) {
	ctx := context.Background()
	node := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution.NodeSelectorTerms[0].MatchFields[0].Values[0]
	binding := &v1.Binding{ObjectMeta: metav1.ObjectMeta{Name: pod.Name}, Target: v1.ObjectReference{Kind: "Node", Name: node}}
	if c.client.CoreV1().Pods(backupNamespace).Bind(ctx, binding, metav1.CreateOptions{}) != nil {
		return
	}
	running := mustJSON(map[string]any{"status": v1.PodStatus{Phase: v1.PodRunning, PodIP: "10.1.2.3",
		ContainerStatuses: []v1.ContainerStatus{{Name: "worker", Ready: true, Image: pod.Spec.Containers[0].Image,
			State: v1.ContainerState{Running: &v1.ContainerStateRunning{StartedAt: metav1.Now()}}}}}})
	if _, err := c.client.CoreV1().Pods(backupNamespace).Patch(ctx, pod.Name, "application/strategic-merge-patch+json", running,
		metav1.PatchOptions{}, "status"); err != nil {
		return
	}
	c.runWorker(f, pod.Name, string(pod.UID))
}

// runWorker is a worker that has nothing to do.
func (c *crews) runWorker(f *fleet, pod, uid string) {
	token, err := c.token(backupNamespace, "longshore-worker", pod, uid)
	if err != nil {
		return
	}
	f.keep("/v1/workers", token, workerHello(), func(int, time.Time) []byte { return workerIdle() })
}
