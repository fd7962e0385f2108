// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"os"
	"sync"

	v1 "k8s.io/api/core/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	rackLabel   = "topology.longshore.dev/rack"
	sourceLabel = "longshore.dev/source"
)

// One node as scoring needs it: kept up to date by watches, so that a call only looks it up.
type nodeInfo struct {
	name, rack, zone, region string
	cpuMilli, memory         int64 // allocatable
	usedMilli, usedMemory    int64 // requests of the pods bound there
}

type source struct {
	nodeName, tier string
	required       bool
}

// cluster is the cache of the reference.
type cluster struct {
	lock    sync.RWMutex
	nodes   map[string]*nodeInfo
	sources map[string]source // by namespace/name
}

func restConfig() (*rest.Config, error) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	config.QPS = -1 // no limit of its own
	return config, nil
}

func newClient() (*kubernetes.Clientset, error) {
	config, err := restConfig()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

func newCluster() (*cluster, error) {
	client, err := newClient()
	if err != nil {
		return nil, err
	}
	c := &cluster{nodes: map[string]*nodeInfo{}, sources: map[string]source{}}
	if err := c.readSources(client); err != nil {
		return nil, err
	}
	factory := informers.NewSharedInformerFactory(client, 0)
	factory.Core().V1().Nodes().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { c.setNode(object.(*v1.Node)) },
		UpdateFunc: func(_, object any) { c.setNode(object.(*v1.Node)) },
		DeleteFunc: func(object any) { c.dropNode(object) },
	})
	factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { c.count(object.(*v1.Pod), 1) },
		UpdateFunc: func(before, object any) {
			c.count(before.(*v1.Pod), -1)
			c.count(object.(*v1.Pod), 1)
		},
		DeleteFunc: func(object any) {
			if pod, ok := object.(*v1.Pod); ok {
				c.count(pod, -1)
			}
		},
	})
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())
	return c, nil
}

// Sources don't change during a benchmark: they are read once.
func (c *cluster) readSources(client *kubernetes.Clientset) error {
	text, err := client.RESTClient().Get().AbsPath("/apis/longshore.dev/v1alpha1/backupsources").DoRaw(context.Background())
	if err != nil {
		return err
	}
	var list struct {
		Items []struct {
			Metadata struct{ Name, Namespace string }
			Spec     struct {
				Location  struct{ NodeName string }
				Placement struct{ Mode, Tier string }
			}
		}
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	for _, item := range list.Items {
		c.sources[item.Metadata.Namespace+"/"+item.Metadata.Name] = source{
			item.Spec.Location.NodeName, item.Spec.Placement.Tier, item.Spec.Placement.Mode == "Require"}
	}
	return nil
}

func (c *cluster) setNode(node *v1.Node) {
	c.lock.Lock()
	defer c.lock.Unlock()
	info := &nodeInfo{}
	if old := c.nodes[node.Name]; old != nil {
		*info = *old
	}
	info.name, info.rack = node.Name, node.Labels[rackLabel]
	info.zone, info.region = node.Labels[v1.LabelTopologyZone], node.Labels[v1.LabelTopologyRegion]
	info.cpuMilli = node.Status.Allocatable.Cpu().MilliValue()
	info.memory = node.Status.Allocatable.Memory().Value()
	c.nodes[node.Name] = info
}

func (c *cluster) dropNode(object any) {
	if node, ok := object.(*v1.Node); ok {
		c.lock.Lock()
		defer c.lock.Unlock()
		delete(c.nodes, node.Name)
	}
}

func (c *cluster) count(pod *v1.Pod, sign int64) {
	if pod.Spec.NodeName == "" {
		return
	}
	cpu, memory := requests(pod)
	c.lock.Lock()
	defer c.lock.Unlock()
	info := &nodeInfo{name: pod.Spec.NodeName}
	if old := c.nodes[pod.Spec.NodeName]; old != nil {
		*info = *old
	}
	info.usedMilli += sign * cpu
	info.usedMemory += sign * memory
	c.nodes[pod.Spec.NodeName] = info
}

func requests(pod *v1.Pod) (cpuMilli, memory int64) {
	for i := range pod.Spec.Containers {
		requests := pod.Spec.Containers[i].Resources.Requests
		cpuMilli += requests.Cpu().MilliValue()
		memory += requests.Memory().Value()
	}
	return cpuMilli, memory
}
