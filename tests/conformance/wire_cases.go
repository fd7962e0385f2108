// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"time"

	extenderv1 "k8s.io/kube-scheduler/extender/v1"
)

// HTTP, and field names.
var wireCases = []Case{
	{"01-field-names-in-any-case", anyCase},
	{"08-one-connection-for-1000-calls", keepAlive},
	{"08-content-length-always", contentLength},
	{"09-expect-100-continue", expectContinue},
	{"09-gzip-body-is-read-or-415", gzipBody},
	{"13-wrong-verb-is-404", wrongVerb},
	{"13-get-is-405", getVerb},
	{"15-unknown-fields-are-passed-over", unknownFields},
}

// encoding/json writes and reads names in any case, so an extender in Go does, and clients may count on it.
func anyCase(e *Extender, w *World) error {
	usual, err := e.filter(arguments(w.anyPod(), w.names(), nil))
	if err != nil {
		return err
	}
	pod, err := json.Marshal(w.anyPod())
	if err != nil {
		return err
	}
	// The pod's keys too, but not those of its labels and annotations.
	for _, key := range []string{"metadata", "namespace", "labels", "spec", "containers"} {
		pod = bytes.ReplaceAll(pod, []byte(`"`+key+`":`), []byte(`"`+strings.ToUpper(key)+`":`))
	}
	body := fmt.Sprintf(`{"pod":%s,"NODES":null,"nOdEnAmEs":%s}`, pod, mustJSON(w.names()))
	odd, err := e.filter([]byte(body))
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(usual, odd) {
		return fmt.Errorf("got %+v, want %+v", odd, usual)
	}
	return nil
}

func mustJSON(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return text
}

// The scheduler's client closes each body without draining it, which costs the connection if the reply is chunked.
func keepAlive(e *Extender, w *World) error {
	address, err := e.address()
	if err != nil {
		return err
	}
	counter, err := newCounter(address)
	if err != nil {
		return err
	}
	defer counter.listener.Close()
	scheme, _, _ := strings.Cut(e.URL, "://")
	client, err := e.client(true, scheme+"://"+counter.listener.Addr().String())
	if err != nil {
		return err
	}
	nodes := nodeInfos(append(w.Nodes, strangers(500)...))
	for range 500 {
		if _, _, _, err := client.Filter(w.anyPod(), nodes); err != nil {
			return err
		}
		if _, _, err := client.Prioritize(w.anyPod(), nodes); err != nil {
			return err
		}
	}
	if count := counter.connections.Load(); count != 1 {
		return fmt.Errorf("%d connections", count)
	}
	return nil
}

func contentLength(e *Extender, w *World) error {
	names := append(w.names(), nodeNames(strangers(5000))...)
	for _, verb := range []string{e.FilterVerb, e.PrioritizeVerb} {
		// Go's transport asks for gzip by itself and then hides the length; so it is asked for nothing.
		reply, err := e.send(http.MethodPost, verb, arguments(w.anyPod(), names, nil), "Accept-Encoding", "identity")
		if err != nil {
			return err
		}
		if reply.Length < 0 {
			return fmt.Errorf("%s: no Content-Length", verb)
		}
	}
	return nil
}

func expectContinue(e *Extender, w *World) error {
	start := time.Now()
	reply, err := e.send(http.MethodPost, e.FilterVerb, arguments(w.Pods.Unmarked, w.names(), nil),
		"Expect", "100-continue")
	if err != nil {
		return err
	}
	// The client waits for 2 s and then sends the body unasked.
	if reply.Status != http.StatusOK || time.Since(start) > 1500*time.Millisecond {
		return fmt.Errorf("status %d after %v", reply.Status, time.Since(start))
	}
	return nil
}

func gzipBody(e *Extender, w *World) error {
	packed := bytes.Buffer{}
	writer := gzip.NewWriter(&packed)
	writer.Write(arguments(w.Pods.Unmarked, w.names(), nil))
	writer.Close()
	reply, err := e.send(http.MethodPost, e.FilterVerb, packed.Bytes(), "Content-Encoding", "gzip")
	if err != nil {
		return err
	}
	if reply.Status == http.StatusUnsupportedMediaType {
		return nil
	}
	result := extenderv1.ExtenderFilterResult{}
	if err := json.Unmarshal(reply.Body, &result); err != nil || reply.Status != http.StatusOK {
		return fmt.Errorf("status %d: %.200s", reply.Status, reply.Body)
	}
	if result.Error != "" {
		return errors.New("the body is taken for JSON: " + result.Error)
	}
	return wantNames("passed", passedNames(&result), w.names())
}

func wrongVerb(e *Extender, w *World) error {
	return wantStatus(e, http.MethodPost, e.FilterVerb+"-no-such-verb", http.StatusNotFound,
		arguments(w.Pods.Unmarked, w.names(), nil))
}

func getVerb(e *Extender, w *World) error {
	for _, verb := range []string{e.FilterVerb, e.PrioritizeVerb} {
		if err := wantStatus(e, http.MethodGet, verb, http.StatusMethodNotAllowed, nil); err != nil {
			return err
		}
	}
	return nil
}

func wantStatus(e *Extender, method, verb string, want int, body []byte) error {
	reply, err := e.send(method, verb, body)
	if err != nil {
		return err
	}
	if reply.Status != want {
		return fmt.Errorf("%s %s: status %d, want %d", method, verb, reply.Status, want)
	}
	return nil
}

func unknownFields(e *Extender, w *World) error {
	usual, err := e.filter(arguments(w.anyPod(), w.names(), nil))
	if err != nil {
		return err
	}
	newer, err := e.filter(arguments(w.anyPod(), w.names(), map[string]any{
		"PodGroup": map[string]any{"a": []any{1, 2.5e300, nil, true, map[string]any{}}}, "Aaa": "x", "Zzz": []int{}}))
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(usual, newer) {
		return fmt.Errorf("got %+v, want %+v", newer, usual)
	}
	return nil
}
