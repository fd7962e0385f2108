// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"os"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler/framework"
)

// World is what the extender knows of its cluster and what is to be expected of it (--world FILE). Without one only the
// protocol is checked, with nodes that the extender has never heard of.
type World struct {
	// Nodes that are offered, in this order. The extender has seen all of them in its cluster.
	Nodes []v1.Node `json:"nodes"`
	Pods  struct {
		// Placed by the extender; every node of the world passes.
		Marked *v1.Pod `json:"marked"`
		// None of the extender's business.
		Unmarked *v1.Pod `json:"unmarked"`
		// Marked, but of a source that the extender does not know.
		UnknownSource *v1.Pod `json:"unknownSource"`
		// Passes exactly on RequiredPasses.
		Required *v1.Pod `json:"required"`
		// May run nowhere now, but could later.
		Undecided *v1.Pod `json:"undecided"`
	} `json:"pods"`
	RequiredPasses []string `json:"requiredPasses"`
	// The marked pod's nodes from the best to the worst; equals are in one group.
	Ranking [][]string `json:"ranking"`
	// What happens to the cluster, and is to be followed.
	Changes []Change `json:"changes"`
}

func loadWorld(path string) (*World, error) {
	world := &World{}
	if path == "" {
		for i := range 4 {
			world.Nodes = append(world.Nodes, node(fmt.Sprintf("conformance-%d", i)))
		}
		world.Pods.Unmarked = pod("unmarked")
		return world, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, world); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(world.Nodes) < 2 {
		return nil, fmt.Errorf("%s: nodes: at least two are needed", path)
	}
	if world.Pods.Unmarked == nil {
		world.Pods.Unmarked = pod("unmarked")
	}
	return world, nil
}

// anyPod is one that the extender judges, if the world has such a one.
func (w *World) anyPod() *v1.Pod {
	if w.Pods.Marked != nil {
		return w.Pods.Marked
	}
	return w.Pods.Unmarked
}

func (w *World) names() []string { return nodeNames(w.Nodes) }

func pod(name string) *v1.Pod {
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "default", UID: types.UID("uid-of-" + name)},
		Spec:       v1.PodSpec{Containers: []v1.Container{{Name: "main", Image: "registry.test/none:1"}}},
	}
}

func node(name string) v1.Node {
	return v1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{v1.LabelHostname: name}}}
}

func nodeNames(nodes []v1.Node) []string {
	names := make([]string, 0, len(nodes))
	for i := range nodes {
		names = append(names, nodes[i].Name)
	}
	return names
}

func nodeInfos(nodes []v1.Node) []fwk.NodeInfo {
	infos := make([]fwk.NodeInfo, 0, len(nodes))
	for i := range nodes {
		info := framework.NewNodeInfo()
		info.SetNode(&nodes[i])
		infos = append(infos, info)
	}
	return infos
}

func namesOf(infos []fwk.NodeInfo) []string {
	names := make([]string, 0, len(infos))
	for _, info := range infos {
		names = append(names, info.Node().Name)
	}
	return names
}

// strangers are nodes that no cluster has.
func strangers(count int) []v1.Node {
	nodes := make([]v1.Node, 0, count)
	for i := range count {
		nodes = append(nodes, node(fmt.Sprintf("stranger-%05d.conformance.test", i)))
	}
	return nodes
}

// fatNodes are as large as those of a cluster in use, whose status lists 50 images: 12 kB each.
func fatNodes(count int) []v1.Node {
	nodes := strangers(count)
	for i := range nodes {
		for image := range 50 {
			nodes[i].Status.Images = append(nodes[i].Status.Images, v1.ContainerImage{
				Names: []string{
					fmt.Sprintf("registry.test/some/longer/path/image-%02d@sha256:%064x", image, image),
					fmt.Sprintf("registry.test/some/longer/path/image-%02d:v1.%d.0", image, i)},
				SizeBytes: int64(image) << 20,
			})
		}
	}
	return nodes
}
