// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// bindings posts and deletes pods, and hears from a watch which of them are bound.
type bindings struct {
	client *kubernetes.Clientset
	lock   sync.Mutex
	// Guarded by it:
	nodes       map[string]string // of each bound pod
	first, last time.Time         // when a binding was seen since the last posting
	atFirst     func()
	changed     chan struct{} // holds one when there is something new
}

func watchBindings() (*bindings, error) {
	config, err := restConfig()
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.ContentType = "application/vnd.kubernetes.protobuf" // cheaper, for what shares the machine
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	b := &bindings{client: client, nodes: map[string]string{}, changed: make(chan struct{}, 1)}
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTweakListOptions(
		func(options *metav1.ListOptions) { options.FieldSelector = "spec.nodeName!=" }))
	factory.Core().V1().Pods().Informer().AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc: func(object any) { b.bound(object.(*v1.Pod)) },
		DeleteFunc: func(object any) {
			if name, err := cache.DeletionHandlingMetaNamespaceKeyFunc(object); err == nil {
				b.gone(name)
			}
		},
	})
	factory.Start(context.Background().Done())
	factory.WaitForCacheSync(context.Background().Done())
	return b, nil
}

func (b *bindings) bound(pod *v1.Pod) {
	b.lock.Lock()
	defer b.lock.Unlock()
	b.last = time.Now()
	if len(b.nodes) == 0 {
		b.first = b.last
		if b.atFirst != nil {
			b.atFirst()
		}
	}
	b.nodes[pod.Namespace+"/"+pod.Name] = pod.Spec.NodeName
	b.tell()
}

func (b *bindings) gone(pod string) {
	b.lock.Lock()
	defer b.lock.Unlock()
	delete(b.nodes, pod)
	b.tell()
}

func (b *bindings) tell() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

func (b *bindings) count() int {
	b.lock.Lock()
	defer b.lock.Unlock()
	return len(b.nodes)
}

// until waits for that many bound pods, for as long as there is some news every 20 s.
func (b *bindings) until(want int) error {
	for b.count() != want {
		select {
		case <-b.changed:
		case <-time.After(20 * time.Second):
			return fmt.Errorf("%d of %d pods are bound, and no more: %s", b.count(), want, b.complaint())
		}
	}
	return nil
}

// complaint is what the scheduler says of one pod that it could not place.
func (b *bindings) complaint() string {
	list, err := b.client.CoreV1().Pods(namespace).List(context.Background(), metav1.ListOptions{FieldSelector: "spec.nodeName="})
	if err != nil {
		return err.Error()
	}
	for _, pod := range list.Items {
		for _, condition := range pod.Status.Conditions {
			if condition.Type == v1.PodScheduled {
				return pod.Name + ": " + condition.Message
			}
		}
	}
	return "the scheduler says nothing"
}

// post makes the pods while nobody schedules them; atFirst is called when the first one is bound.
func (b *bindings) post(pods []*v1.Pod, atFirst func()) error {
	b.lock.Lock()
	b.atFirst = atFirst
	b.lock.Unlock()
	return inParallel(len(pods), func(i int) error {
		_, err := b.client.CoreV1().Pods(namespace).Create(context.Background(), pods[i], metav1.CreateOptions{})
		return err
	})
}

// seen gives the node of each bound pod, and how many bindings there were in a second.
func (b *bindings) seen() (nodes map[string]string, perSecond float64) {
	b.lock.Lock()
	defer b.lock.Unlock()
	return maps.Clone(b.nodes), float64(len(b.nodes)-1) / b.last.Sub(b.first).Seconds()
}

func (b *bindings) clear(pods []*v1.Pod) error {
	now := int64(0)
	err := inParallel(len(pods), func(i int) error {
		return b.client.CoreV1().Pods(namespace).Delete(context.Background(), pods[i].Name, metav1.DeleteOptions{GracePeriodSeconds: &now})
	})
	if err != nil {
		return err
	}
	return b.until(0)
}
