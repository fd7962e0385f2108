// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	v1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

const (
	systemNamespace = "longshore-system"
	backupNamespace = "longshore-backup"
	ourAudience     = "longshore-controller"
	podsPerRequest  = 20
	ourAPI          = "/apis/longshore.dev/v1alpha1"
)

// crews is what a leader before has left in the cluster: requests whose pods are all there, and taken by a storage
// manager that has not given them an operation yet.
type crews struct {
	client   *kubernetes.Clientset
	template *v1.Pod // as the controller renders one
	agents   []*agent
	free     int // of each crew: how many pods have a worker with a stream; the others are taken by a storage manager
	lock     sync.Mutex
}

func (c *crews) post(ctx context.Context, path string, object any) (json.RawMessage, error) {
	return c.client.RESTClient().Post().AbsPath(path).SetHeader("Content-Type", "application/json").
		Body(mustJSON(object)).Do(ctx).Raw()
}

func (c *crews) apply(path, name string, object map[string]any) error {
	_, err := c.post(context.Background(), path, object)
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s/%s: %w", path, name, err)
	}
	return nil
}

// ours is an object of our API.
func ours(kind, name string, spec map[string]any) map[string]any {
	return map[string]any{"apiVersion": "longshore.dev/v1alpha1", "kind": kind, "metadata": map[string]any{"name": name}, "spec": spec}
}

func inBackupNamespace(resource string) string {
	return ourAPI + "/namespaces/" + backupNamespace + "/" + resource
}

// makeConfiguration posts what requests refer to.
func (c *crews) makeConfiguration() error {
	ctx := context.Background()
	for _, name := range []string{systemNamespace, backupNamespace} {
		_, err := c.client.CoreV1().Namespaces().Create(ctx, &v1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	accounts := map[string]string{"longshore-nodeagent": systemNamespace, "longshore-worker": backupNamespace, "manager": backupNamespace}
	for name, ns := range accounts {
		_, err := c.client.CoreV1().ServiceAccounts(ns).Create(ctx, &v1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	manager := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "manager"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: backupNamespace, Name: "manager"}}}
	if _, err := c.client.RbacV1().ClusterRoleBindings().Create(ctx, manager, metav1.CreateOptions{}); err != nil {
		return err
	}
	for _, name := range []string{"login", "key"} {
		secret := &v1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name},
			StringData: map[string]string{"username": "bench", "password": "not a secret"}}
		_, err := c.client.CoreV1().Secrets(backupNamespace).Create(ctx, secret, metav1.CreateOptions{})
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return err
		}
	}
	if err := c.apply(ourAPI+"/sourceimages", "postgresql", ours("SourceImage", "postgresql", map[string]any{
		"kind": "postgresql", "operations": []string{"Check", "Backup"},
		"image":     "registry.test/postgresql@sha256:" + strings.Repeat("0", 64),
		"resources": map[string]any{"requests": map[string]string{"cpu": "200m", "memory": "192Mi"}},
	})); err != nil {
		return err
	}
	if err := c.apply(inBackupNamespace("backuprepositories"), "outside", ours("BackupRepository", "outside", map[string]any{
		"url": "rest:https://repository.test/", "credentials": map[string]any{"append": map[string]string{"name": "login"}},
		"encryptionKeyRef": map[string]string{"name": "key", "key": "password"}, "keyID": "bench", "keyEscrowed": true, "maxWriters": 1024,
	})); err != nil {
		return err
	}
	return c.apply(inBackupNamespace("podpolicies"), "standard", ours("PodPolicy", "standard", map[string]any{
		"pathway": "Relay", "repositoryRef": map[string]string{"name": "outside"}}))
}

// makeRequest posts one source and its request, and the pods of its crew with their rows.
func (c *crews) makeRequest(number int) error {
	name := fmt.Sprintf("orders-%04d", number)
	first := number * podsPerRequest
	source := ours("BackupSource", name, map[string]any{
		"kind": "postgresql", "version": "17", "maxConcurrent": 256, "credentialsRef": map[string]string{"name": "login"},
		"postgresql": map[string]any{"host": name + ".test", "caRef": map[string]string{"name": "ca", "key": "ca.crt"}},
		"location":   map[string]string{"nodeName": c.agents[first%len(c.agents)].node}})
	text, err := c.post(context.Background(), inBackupNamespace("backupsources"), source)
	if err != nil {
		return err
	}
	now := time.Now().UTC().Format("2006-01-02T15:04:05.000000Z")
	ready := map[string]any{"type": "SourceReady", "status": "True", "reason": "LoggedIn", "message": "of the bench",
		"observedGeneration": 1, "lastTransitionTime": now}
	if err := c.putStatus("backupsources", text, map[string]any{"observedGeneration": 1, "conditions": []any{ready}}); err != nil {
		return err
	}
	text, err = c.post(context.Background(), inBackupNamespace("computerequests"), ours("ComputeRequest", name, map[string]any{
		"sourceRef": map[string]string{"name": name}, "policyRef": map[string]string{"name": "standard"},
		"pods": map[string]int{"min": 0, "initial": podsPerRequest, "max": podsPerRequest + 1},
		"scaling": map[string]any{"idleSeconds": 120, "signals": []any{map[string]any{"name": "cpu", "windowSeconds": 1,
			"up": map[string]int{"utilizationPercent": 150}, "down": map[string]int{"utilizationPercent": 5}}}},
	}))
	if err != nil {
		return err
	}
	request := metaOf(text)
	for slot := range podsPerRequest {
		if err := c.makePod(request, slot, c.agents[(first+slot)%len(c.agents)], now); err != nil {
			return err
		}
	}
	return nil
}

func (c *crews) makePod(request metav1.ObjectMeta, slot int, on *agent, now string) error {
	pod := c.template.DeepCopy()
	labels := map[string]string{"longshore.dev/request": request.Name, "longshore.dev/request-uid": string(request.UID),
		"longshore.dev/source": request.Name, "longshore.dev/slot": fmt.Sprint(slot), "longshore.dev/attempt": "0"}
	for key, value := range labels {
		pod.Labels[key] = value
	}
	name := fmt.Sprintf("%s-%02d", request.Name, slot)
	row := ours("BackupPod", name, map[string]any{
		"requestRef": map[string]string{"name": request.Name}, "sourceRef": map[string]string{"name": request.Name, "namespace": backupNamespace},
		"slot": slot, "attempt": 0, "image": pod.Spec.Containers[0].Image, "cause": "Requested", "candidateNodes": []string{on.node}})
	row["metadata"] = map[string]any{"name": name, "labels": pod.Labels, "ownerReferences": []any{map[string]any{
		"apiVersion": "longshore.dev/v1alpha1", "kind": "ComputeRequest", "name": request.Name, "uid": request.UID, "controller": true}}}
	text, err := c.post(context.Background(), inBackupNamespace("backuppods"), row)
	if err != nil {
		return err
	}
	pod.Name, pod.Namespace, pod.Spec.NodeName = name, backupNamespace, on.node
	pod.OwnerReferences[0].Name, pod.OwnerReferences[0].UID = name, metaOf(text).UID
	made, err := c.client.CoreV1().Pods(backupNamespace).Create(context.Background(), pod, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	status := map[string]any{"state": "Available", "podUID": made.UID, "nodeName": on.node, "tier": "Rack", "epoch": 0,
		"reason": "WorkerReady", "message": "the worker is connected and its tools answer", "lastTransitionTime": now}
	if slot >= c.free {
		status["state"], status["epoch"], status["reason"] = "Assigned", 1, "Acquired"
		status["lease"] = map[string]any{"holder": "system:serviceaccount:longshore-backup:manager", "epoch": 1, "key": name,
			"expires": time.Now().Add(3 * time.Hour).UTC().Format("2006-01-02T15:04:05.000000Z")}
	}
	c.lock.Lock()
	on.pods = append(on.pods, &simulatedPod{name: name, uid: string(made.UID), request: request.Name, worker: slot < c.free})
	c.lock.Unlock()
	return c.putStatus("backuppods", text, status)
}

func (c *crews) putStatus(resource string, object json.RawMessage, status map[string]any) error {
	whole := map[string]any{}
	if err := json.Unmarshal(object, &whole); err != nil {
		return err
	}
	whole["status"] = status
	return c.client.RESTClient().Put().AbsPath(inBackupNamespace(resource), metaOf(object).Name, "status").
		SetHeader("Content-Type", "application/json").Body(mustJSON(whole)).Do(context.Background()).Error()
}

func metaOf(text json.RawMessage) metav1.ObjectMeta {
	object := metav1.PartialObjectMetadata{}
	if err := json.Unmarshal(text, &object); err != nil {
		panic(err)
	}
	return object.ObjectMeta
}

// agentToken is what a node's agent has projected into its pod.
func (c *crews) agentToken(a *agent) (string, error) {
	pod := &v1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "nodeagent-" + a.node},
		Spec: v1.PodSpec{NodeName: a.node, ServiceAccountName: "longshore-nodeagent",
			Containers: []v1.Container{{Name: "agent", Image: "registry.test/nodeagent:1"}}}}
	made, err := c.client.CoreV1().Pods(systemNamespace).Create(context.Background(), pod, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return c.token(systemNamespace, "longshore-nodeagent", made.Name, string(made.UID))
}

// token is for our audience; bound to a pod where one is named.
func (c *crews) token(ns, account, pod, uid string) (string, error) {
	seconds := int64(4 * 3600)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		Audiences: []string{ourAudience}, ExpirationSeconds: &seconds}}
	if pod != "" {
		request.Spec.BoundObjectRef = &authenticationv1.BoundObjectReference{Kind: "Pod", APIVersion: "v1", Name: pod, UID: types.UID(uid)}
	}
	made, err := c.client.CoreV1().ServiceAccounts(ns).CreateToken(context.Background(), account, request, metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	return made.Status.Token, nil
}
