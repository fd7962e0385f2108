// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"
)

const (
	nodeCount  = 5000
	zones      = 20
	dataNode   = "node-02510"
	namespace  = "default"
	sourceName = "bench"
	// All but its zone is refused, with a reason for each node.
	requiringSource = "bench-required"
)

// benchNode: racks of 20, zones of 250, regions of 2500; four sizes, so that room differs.
func benchNode(i int) *v1.Node {
	name := fmt.Sprintf("node-%05d", i)
	amounts := v1.ResourceList{
		v1.ResourceCPU:    *resource.NewQuantity(int64(2<<(i%4)), resource.DecimalSI),
		v1.ResourceMemory: resource.MustParse("64Gi"),
		v1.ResourcePods:   resource.MustParse("110"),
	}
	return &v1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{
			v1.LabelHostname:       name,
			v1.LabelTopologyRegion: fmt.Sprintf("region-%d", i/2500),
			v1.LabelTopologyZone:   fmt.Sprintf("zone-%d", i/(nodeCount/zones)),
			rackLabel:              fmt.Sprintf("rack-%d", i/20),
		}},
		Status: v1.NodeStatus{Capacity: amounts, Allocatable: amounts,
			Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue}}},
	}
}

func backupPod() *v1.Pod {
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "backup", Namespace: namespace, UID: "uid-of-the-backup-pod",
			Labels: map[string]string{sourceLabel: sourceName}},
		Spec: v1.PodSpec{Containers: []v1.Container{{Name: "worker", Image: "registry.test/worker:1",
			Resources: v1.ResourceRequirements{Requests: v1.ResourceList{
				v1.ResourceCPU: resource.MustParse("1"), v1.ResourceMemory: resource.MustParse("256Mi")}}}}},
	}
}

// benchSources are those of the benches of single calls: one prefers nearness, the other requires its data's zone.
func benchSources() []string {
	const text = `{"apiVersion":"longshore.dev/v1alpha1","kind":"BackupSource","metadata":{"name":%q},"spec":{
		"kind":"filesystem","filesystem":{"persistentVolumeClaim":"data"},"location":{"nodeName":%q},"placement":%s}}`
	return []string{fmt.Sprintf(text, sourceName, dataNode, `{}`),
		fmt.Sprintf(text, requiringSource, dataNode, `{"mode":"Require","tier":"Zone"}`)}
}

// makeWorld posts the nodes and the sources, unless they are there; the CRDs are.
func makeWorld(sources ...string) error {
	client, err := newClient()
	if err != nil {
		return err
	}
	for _, source := range sources {
		err = client.RESTClient().Post().AbsPath("/apis/longshore.dev/v1alpha1/namespaces", namespace, "backupsources").
			SetHeader("Content-Type", "application/json").Body([]byte(source)).Do(context.Background()).Error()
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	return inParallel(nodeCount, func(i int) error {
		_, err := client.CoreV1().Nodes().Create(context.Background(), benchNode(i), metav1.CreateOptions{})
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return err
	})
}

// inParallel does it for all numbers below count, 16 at a time.
func inParallel(count int, do func(int) error) error {
	numbers := make(chan int)
	failures := make([]error, 16)
	group := sync.WaitGroup{}
	for worker := range failures {
		group.Go(func() {
			for i := range numbers {
				if err := do(i); err != nil {
					failures[worker] = err
				}
			}
		})
	}
	for i := range count {
		numbers <- i
	}
	close(numbers)
	group.Wait()
	return errors.Join(failures...)
}

// inSchedulerOrder gives the first `count` node numbers in the order in which the scheduler offers them: zone by zone in
// turns.
func inSchedulerOrder(count int) []int {
	numbers := []int{}
	for i := range count {
		numbers = append(numbers, i%zones*(nodeCount/zones)+i/zones)
	}
	return numbers
}

// namesBody is what the scheduler sends with nodeCacheCapable.
func namesBody(source string, count int) []byte {
	names := []string{}
	for _, i := range inSchedulerOrder(count) {
		names = append(names, benchNode(i).Name)
	}
	pod := backupPod()
	pod.Labels[sourceLabel] = source
	return mustJSON(extenderv1.ExtenderArgs{Pod: pod, NodeNames: &names})
}

// listBody is what it sends without: nodes in use, whose status lists 57 images, 12 kB each.
func listBody() []byte {
	list := &v1.NodeList{}
	for _, i := range inSchedulerOrder(nodeCount) {
		node := benchNode(i)
		for image := range 57 {
			node.Status.Images = append(node.Status.Images, v1.ContainerImage{
				Names: []string{
					fmt.Sprintf("registry.test/some/longer/path/image-%02d@sha256:%064x", image, image),
					fmt.Sprintf("registry.test/some/longer/path/image-%02d:v1.%d.0", image, i)},
				SizeBytes: int64(image) << 20,
			})
		}
		list.Items = append(list.Items, *node)
	}
	return mustJSON(extenderv1.ExtenderArgs{Pod: backupPod(), Nodes: list})
}

func mustJSON(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}
