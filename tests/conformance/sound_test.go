// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"
)

const mostBodyBytes = 128 << 20

// sound is an extender that does all that the suite asks for, in as little code as possible; a defect spoils one thing.
type sound struct {
	world  atomic.Pointer[World]
	defect defect
}

func newSound(world *World, spoiled defect) *sound {
	s := &sound{defect: spoiled}
	s.world.Store(world)
	return s
}

func (s *sound) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.TLS != nil && !s.defect.obeysStrangers && r.TLS.PeerCertificates[0].Subject.CommonName != schedulerName {
		http.Error(w, "not you", http.StatusForbidden)
		return
	}
	if s.defect.handle != nil && s.defect.handle(w, r) {
		return
	}
	verb := strings.TrimPrefix(r.URL.Path, "/")
	switch {
	case verb != "filter" && verb != "prioritize":
		http.NotFound(w, r)
	case r.Method != http.MethodPost:
		http.Error(w, "POST it", http.StatusMethodNotAllowed)
	case r.ContentLength > mostBodyBytes:
		w.Header().Set("Connection", "close")
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	case r.Header.Get("Content-Encoding") != "":
		http.Error(w, "not packed, please", http.StatusUnsupportedMediaType)
	default:
		s.answer(w, r, verb)
	}
}

func (s *sound) answer(w http.ResponseWriter, r *http.Request, verb string) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if s.defect.body != nil {
		body = s.defect.body(body)
	}
	reply := mustJSON(s.reply(verb, body))
	if s.defect.text != nil {
		reply = s.defect.text(verb, reply)
	}
	w.Header().Set("Content-Type", "application/json")
	if !s.defect.chunked {
		w.Header().Set("Content-Length", strconv.Itoa(len(reply)))
	}
	w.Write(reply)
}

func (s *sound) reply(verb string, body []byte) any {
	arguments, err := readArguments(body)
	if err != nil && s.defect.lenient {
		err, arguments.Pod, arguments.NodeNames = nil, &v1.Pod{}, &[]string{}
	}
	if verb == "prioritize" {
		list := extenderv1.HostPriorityList{}
		if err == nil {
			list = s.prioritize(arguments)
		}
		if s.defect.prioritize != nil {
			s.defect.prioritize(arguments, &list)
		}
		return list
	}
	if err != nil {
		return &extenderv1.ExtenderFilterResult{Error: err.Error()}
	}
	result := s.filter(arguments)
	if s.defect.filter != nil {
		s.defect.filter(arguments, result)
	}
	return result
}

func readArguments(body []byte) (*extenderv1.ExtenderArgs, error) {
	arguments := &extenderv1.ExtenderArgs{}
	if err := json.Unmarshal(body, arguments); err != nil {
		return arguments, err
	}
	if arguments.Pod == nil {
		return arguments, errors.New("Pod: missing")
	}
	if arguments.NodeNames == nil && arguments.Nodes == nil {
		return arguments, errors.New("neither Nodes nor NodeNames")
	}
	return arguments, nil
}

// offered names each node once, in the order of the request.
func offered(arguments *extenderv1.ExtenderArgs) []string {
	all := []string{}
	if arguments.NodeNames != nil {
		all = *arguments.NodeNames
	} else if arguments.Nodes != nil {
		all = nodeNames(arguments.Nodes.Items)
	}
	once, seen := []string{}, map[string]bool{}
	for _, name := range all {
		if !seen[name] {
			once = append(once, name)
		}
		seen[name] = true
	}
	return once
}

func (s *sound) filter(arguments *extenderv1.ExtenderArgs) *extenderv1.ExtenderFilterResult {
	w := s.world.Load()
	result := &extenderv1.ExtenderFilterResult{
		FailedNodes: extenderv1.FailedNodesMap{}, FailedAndUnresolvableNodes: extenderv1.FailedNodesMap{}}
	passed := []string{}
	for _, name := range offered(arguments) {
		switch {
		case arguments.Pod.UID == w.Pods.Undecided.UID:
			result.FailedNodes[name] = "not known yet"
		case arguments.Pod.UID == w.Pods.Required.UID && !slices.Contains(w.RequiredPasses, name):
			result.FailedAndUnresolvableNodes[name] = "too far"
		default:
			passed = append(passed, name)
		}
	}
	setPassed(arguments, result, passed)
	return result
}

func setPassed(arguments *extenderv1.ExtenderArgs, result *extenderv1.ExtenderFilterResult, passed []string) {
	result.NodeNames, result.Nodes = &passed, nil
	if arguments.NodeNames != nil {
		return
	}
	list := &v1.NodeList{Items: []v1.Node{}}
	at := map[string]int{}
	for i := range arguments.Nodes.Items {
		at[arguments.Nodes.Items[i].Name] = i
	}
	for _, name := range passed {
		if i, known := at[name]; known {
			list.Items = append(list.Items, arguments.Nodes.Items[i])
		} else {
			list.Items = append(list.Items, node(name))
		}
	}
	result.NodeNames, result.Nodes = nil, list
}

func (s *sound) prioritize(arguments *extenderv1.ExtenderArgs) extenderv1.HostPriorityList {
	w := s.world.Load()
	list := extenderv1.HostPriorityList{}
	if arguments.Pod.UID != w.Pods.Marked.UID {
		return list
	}
	for _, name := range offered(arguments) {
		for place, equals := range w.Ranking {
			for range count(equals, name) {
				list = append(list, extenderv1.HostPriority{Host: name, Score: int64(10 - 2*place)})
			}
		}
	}
	return list
}

// A world that has a name twice makes it score twice.
func count(names []string, wanted string) (times int) {
	for _, name := range names {
		if name == wanted {
			times++
		}
	}
	return times
}

// soundWorld is one in which every case has something to look at.
func soundWorld() *World {
	w := &World{}
	for i := range 5 {
		w.Nodes = append(w.Nodes, node(fmt.Sprintf("node-%d", i)))
	}
	w.Pods.Marked, w.Pods.Unmarked, w.Pods.UnknownSource = pod("marked"), pod("unmarked"), pod("unknown")
	w.Pods.Required, w.Pods.Undecided = pod("required"), pod("undecided")
	w.Pods.Marked.Labels = map[string]string{"source": "db"}
	w.RequiredPasses = []string{"node-0", "node-1"}
	w.Ranking = [][]string{{"node-0"}, {"node-1", "node-2"}, {"node-3"}, {"node-4"}}
	return w
}

// serve starts it; the Extender is how the suite reaches it.
func (s *sound) serve(t *testing.T, secure bool) *Extender {
	t.Helper()
	server := httptest.NewUnstartedServer(s)
	server.Config.ReadTimeout = 2 * time.Second
	server.Config.ErrorLog = quiet
	e := &Extender{FilterVerb: "filter", PrioritizeVerb: "prioritize", Timeout: 30 * time.Second, HTTPTimeout: time.Second}
	if s.defect.timeout != 0 {
		e.Timeout = s.defect.timeout
	}
	if secure {
		authority := newAuthority(t)
		authority.equip(t, e)
		roots := x509.NewCertPool()
		roots.AddCert(authority.certificate)
		server.TLS = &tls.Config{ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert,
			Certificates: []tls.Certificate{authority.issue(t, "extender")}}
		if s.defect.tls != nil {
			s.defect.tls(server.TLS)
			if slices.Contains(server.TLS.NextProtos, "h2") { // promised, and not spoken
				server.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
			}
		}
		server.StartTLS()
	} else {
		server.Start()
	}
	t.Cleanup(func() { server.CloseClientConnections(); server.Close() })
	e.URL = server.URL
	return e
}
