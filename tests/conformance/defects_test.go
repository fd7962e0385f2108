// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"
)

// defect is one thing that an extender does wrong. What it doesn't set stays sound.
type defect struct {
	name, caughtBy string
	secure         bool                                          // it shows over TLS only
	handle         func(http.ResponseWriter, *http.Request) bool // true: it has answered
	body           func([]byte) []byte                           // as it is read
	filter         func(*extenderv1.ExtenderArgs, *extenderv1.ExtenderFilterResult)
	prioritize     func(*extenderv1.ExtenderArgs, *extenderv1.HostPriorityList)
	text           func(verb string, reply []byte) []byte
	tls            func(*tls.Config)
	timeout        time.Duration // of the suite, where the defect is a hang
	chunked        bool
	lenient        bool // takes what it cannot read for a request without nodes
	obeysStrangers bool
}

type (
	args   = extenderv1.ExtenderArgs
	result = extenderv1.ExtenderFilterResult
	scores = extenderv1.HostPriorityList
)

// drop leaves nodes out without a word.
func drop(which func(*args, string) bool) func(*args, *result) {
	return func(a *args, r *result) {
		setPassed(a, r, slices.DeleteFunc(passedNames(r), func(name string) bool { return which(a, name) }))
	}
}

func score(change func(*extenderv1.HostPriority)) func(*args, *scores) {
	return func(_ *args, list *scores) {
		for i := range *list {
			change(&(*list)[i])
		}
	}
}

// replace changes the reply's text, where Go's types would not let it be wrong.
func replace(verb, pattern, with string) func(string, []byte) []byte {
	expression := regexp.MustCompile(pattern)
	return func(v string, reply []byte) []byte {
		if v != verb {
			return reply
		}
		return expression.ReplaceAll(reply, []byte(with))
	}
}

// diesOf ends the connection when a body contains that.
func diesOf(text string) func([]byte) []byte {
	return func(body []byte) []byte {
		if bytes.Contains(body, []byte(text)) {
			panic(http.ErrAbortHandler)
		}
		return body
	}
}

func after(pause time.Duration, when func(*http.Request) bool) func(http.ResponseWriter, *http.Request) bool {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		if when(r) {
			time.Sleep(pause)
		}
		return false
	}
}

func always(*http.Request) bool { return true }

// oneAtATime reads each body with all others waiting.
func oneAtATime() func(http.ResponseWriter, *http.Request) bool {
	lock := sync.Mutex{}
	return func(_ http.ResponseWriter, r *http.Request) bool {
		lock.Lock()
		defer lock.Unlock()
		body := bytes.Buffer{}
		body.ReadFrom(r.Body)
		r.Body = readCloser{&body}
		return false
	}
}

type readCloser struct{ *bytes.Buffer }

func (readCloser) Close() error { return nil }

func isStranger(name string) bool { return strings.HasPrefix(name, "stranger-") }

var defects = []defect{
	{name: "reads field names in one case only", caughtBy: "01-field-names-in-any-case",
		body: func(body []byte) []byte {
			return bytes.ReplaceAll(body, []byte(`"nOdEnAmEs"`), []byte(`"Unknown"`))
		}},
	{name: "writes NodeNames in snake case", caughtBy: "05-order-is-kept",
		text: replace("filter", `"NodeNames"`, `"node_names"`)},
	{name: "answers both lists with no node", caughtBy: "02-both-lists-are-answered",
		filter: func(a *args, r *result) {
			if a.Nodes != nil && a.NodeNames != nil {
				setPassed(a, r, []string{})
			}
		}},
	{name: "takes neither list for an empty one", caughtBy: "02-neither-list-is-an-error", lenient: true},
	{name: "takes no pod for any pod", caughtBy: "03-null-pod-is-an-error", lenient: true},
	{name: "null for an empty list", caughtBy: "04-empty-list-stays-empty-and-not-null",
		text: replace("filter", `"NodeNames":\[\]`, `"NodeNames":null`)},
	{name: "null for no scores", caughtBy: "04-empty-list-stays-empty-and-not-null",
		text: replace("prioritize", `^\[\]$`, `null`)},
	{name: "null where all are refused", caughtBy: "04-nothing-passes-as-an-empty-list",
		text: replace("filter", `"NodeNames":\[\]`, `"NodeNames":null`)},
	{name: "drops a node silently", caughtBy: "05-order-is-kept",
		filter: drop(func(_ *args, name string) bool { return name == "node-2" })},
	{name: "sorts the nodes", caughtBy: "05-order-is-kept",
		filter: func(a *args, r *result) { setPassed(a, r, sorted(passedNames(r))) }},
	{name: "answers names for a list", caughtBy: "05-order-is-kept",
		filter: func(a *args, r *result) { setPassed(&args{NodeNames: &[]string{}}, r, passedNames(r)) }},
	{name: "an error beside an answer", caughtBy: "05-order-is-kept",
		filter: func(_ *args, r *result) { r.Error = "nothing in particular" }},
	{name: "201 for 200", caughtBy: "05-order-is-kept",
		handle: func(w http.ResponseWriter, _ *http.Request) bool { w.WriteHeader(http.StatusCreated); return false }},
	{name: "duplicates out", caughtBy: "05-no-duplicates-out",
		filter: func(a *args, r *result) {
			if a.NodeNames != nil {
				setPassed(a, r, *a.NodeNames)
			}
		}},
	{name: "scores a host twice", caughtBy: "05-no-duplicates-out",
		prioritize: func(_ *args, list *scores) { *list = append(*list, *list...) }},
	{name: "adds a node that was not offered", caughtBy: "06-only-offered-nodes-come-back",
		filter: func(a *args, r *result) { setPassed(a, r, append(passedNames(r), "an-extra-one")) }},
	{name: "scores a host that was not offered", caughtBy: "06-only-offered-nodes-come-back",
		prioritize: func(_ *args, list *scores) { *list = append(*list, extenderv1.HostPriority{Host: "node-0"}) }},
	{name: "scores by another name", caughtBy: "06-only-offered-nodes-come-back",
		prioritize: score(func(h *extenderv1.HostPriority) { h.Host += ".example.com" })},
	{name: "scores to 100", caughtBy: "07-scores-are-integers-of-0-to-10",
		prioritize: score(func(h *extenderv1.HostPriority) { h.Score *= 10 })},
	{name: "negative scores", caughtBy: "07-scores-are-integers-of-0-to-10",
		prioritize: score(func(h *extenderv1.HostPriority) { h.Score -= 10 })},
	{name: "fractions", caughtBy: "07-score-literals-are-integers",
		text: replace("prioritize", `"Score":(\d+)`, `"Score":$1.0`)},
	{name: "scores in quotes", caughtBy: "07-score-literals-are-integers",
		text: replace("prioritize", `"Score":(\d+)`, `"Score":"$1"`)},
	{name: "a connection for each call", caughtBy: "08-one-connection-for-1000-calls",
		handle: func(w http.ResponseWriter, _ *http.Request) bool { w.Header().Set("Connection", "close"); return false }},
	{name: "chunked replies", caughtBy: "08-content-length-always", chunked: true},
	{name: "waits for a body that waits for it", caughtBy: "09-expect-100-continue",
		handle: after(1600*time.Millisecond, func(r *http.Request) bool { return r.Header.Get("Expect") != "" })},
	{name: "takes packed bodies for JSON", caughtBy: "09-gzip-body-is-read-or-415",
		handle: func(_ http.ResponseWriter, r *http.Request) bool { r.Header.Del("Content-Encoding"); return false }},
	{name: "returns nodes without their status", caughtBy: "10-large-node-list",
		filter: func(_ *args, r *result) {
			for i := range r.Nodes.Items {
				r.Nodes.Items[i].Status = v1.NodeStatus{}
			}
		}},
	{name: "waits for 100 GB", caughtBy: "10-over-large-body-is-refused-fast",
		handle: func(_ http.ResponseWriter, r *http.Request) bool { r.ContentLength = 0; return false }},
	{name: "ends the connection of half a body", caughtBy: "11-truncated-body-is-an-error",
		body: func(body []byte) []byte {
			if !bytes.HasSuffix(body, []byte("}")) {
				panic(http.ErrAbortHandler)
			}
			return body
		}},
	{name: "takes no body for no nodes", caughtBy: "11-empty-body-is-an-error", lenient: true},
	{name: "takes XML for no nodes", caughtBy: "11-no-json-is-an-error", lenient: true},
	{name: "takes wrong types for no nodes", caughtBy: "11-wrong-types-are-an-error", lenient: true},
	{name: "dies of deep nesting", caughtBy: "11-deep-nesting-is-survived", body: diesOf("[[[[[[")},
	{name: "dies of huge numbers", caughtBy: "11-huge-numbers-are-survived", body: diesOf("1e400")},
	{name: "dies of bad UTF-8", caughtBy: "11-bad-utf8-is-survived", body: diesOf("\xff\xfe")},
	{name: "dies of lone surrogates", caughtBy: "11-lone-surrogates-are-survived", body: diesOf(`\ud800 `)},
	{name: "dies of NUL", caughtBy: "11-nul-is-survived", body: diesOf(`"\u0000"`)},
	{name: "ends names at NUL", caughtBy: "11-names-of-any-bytes-are-survived",
		text: replace("filter", `a\\u0000b`, `a`)},
	{name: "reads one body at a time", caughtBy: "12-half-open-peers-block-nobody", timeout: 3 * time.Second, handle: oneAtATime()},
	{name: "takes any verb for filter", caughtBy: "13-wrong-verb-is-404",
		handle: func(_ http.ResponseWriter, r *http.Request) bool {
			if r.URL.Path != "/prioritize" {
				r.URL.Path = "/filter"
			}
			return false
		}},
	{name: "answers GET", caughtBy: "13-get-is-405",
		handle: func(_ http.ResponseWriter, r *http.Request) bool { r.Method = http.MethodPost; return false }},
	{name: "promises HTTP/2 and speaks HTTP/1.1", caughtBy: "14-alpn-with-http2-offered", secure: true, timeout: 2 * time.Second,
		tls: func(config *tls.Config) { config.NextProtos = []string{"h2"} }},
	{name: "speaks HTTP/2 only", caughtBy: "14-http1-without-alpn", secure: true, timeout: 2 * time.Second,
		tls: func(config *tls.Config) {
			config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
				if !slices.Contains(hello.SupportedProtos, "h2") {
					return nil, errors.New("no common protocol")
				}
				return nil, nil
			}
		}},
	{name: "TLS 1.0", caughtBy: "14-tls-below-1.2-is-refused", secure: true,
		tls: func(config *tls.Config) { config.MinVersion = tls.VersionTLS10 }},
	{name: "asks for no certificate", caughtBy: "14-no-client-certificate-is-refused", secure: true, obeysStrangers: true,
		tls: func(config *tls.Config) { config.ClientAuth = tls.NoClientCert }},
	{name: "obeys whoever has a certificate", caughtBy: "14-stranger-is-refused", secure: true, obeysStrangers: true},
	{name: "dies of fields it does not know", caughtBy: "15-unknown-fields-are-passed-over", body: diesOf("PodGroup")},
	{name: "drops nodes it does not know", caughtBy: "18-unknown-nodes-pass",
		filter: drop(func(_ *args, name string) bool { return isStranger(name) })},
	{name: "prefers a node it does not know", caughtBy: "18-unknown-nodes-pass",
		prioritize: func(a *args, list *scores) {
			if name := offered(a); len(name) > 0 && isStranger(name[0]) {
				*list = append(*list, extenderv1.HostPriority{Host: name[0], Score: 3})
			}
		}},
	{name: "slower than httpTimeout", caughtBy: "25-answers-before-the-scheduler-gives-up", handle: after(1200*time.Millisecond, always)},
	{name: "refuses others' pods", caughtBy: "26-pod-without-the-marker-is-untouched",
		filter: drop(func(a *args, name string) bool { return a.Pod.Name == "unmarked" && name == "node-4" })},
	{name: "guesses for a source it does not know", caughtBy: "27-unknown-source-is-neutral",
		prioritize: func(a *args, list *scores) {
			if a.Pod.Name == "unknown" {
				*list = append(*list, extenderv1.HostPriority{Host: "node-0", Score: 1})
			}
		}},
	{name: "refuses for ever what may change", caughtBy: "27-undecided-nodes-can-be-tried-later",
		filter: func(_ *args, r *result) {
			r.FailedNodes, r.FailedAndUnresolvableNodes = r.FailedAndUnresolvableNodes, r.FailedNodes
		}},
	{name: "equals are not equal", caughtBy: "39-ranking-and-equal-nodes",
		prioritize: score(func(h *extenderv1.HostPriority) {
			if h.Host == "node-2" {
				h.Score++
			}
		})},
	{name: "lets preemption try what it cannot help", caughtBy: "41-required-placement-is-unresolvable",
		filter: func(_ *args, r *result) {
			r.FailedNodes, r.FailedAndUnresolvableNodes = r.FailedAndUnresolvableNodes, r.FailedNodes
		}},
	{name: "refuses without a reason", caughtBy: "41-required-placement-is-unresolvable",
		filter: func(_ *args, r *result) {
			for name := range r.FailedAndUnresolvableNodes {
				r.FailedAndUnresolvableNodes[name] = ""
			}
		}},
	{name: "slow where nodes are many", caughtBy: "45-5000-names",
		handle: after(1200*time.Millisecond, func(r *http.Request) bool { return r.ContentLength > 100000 })},
}

// The suite has nothing to say against an extender that does all of it right, in clear text and with certificates.
func TestSoundExtenderPassesEveryCase(t *testing.T) {
	for _, secure := range []bool{false, true} {
		world := soundWorld()
		e := newSound(world, defect{}).serve(t, secure)
		for _, c := range cases(world) {
			var reason skip
			switch err := c.Run(e, world); {
			case errors.As(err, &reason) && (secure || reason != "no TLS") && reason != noHostility:
				t.Errorf("TLS %v: %s was skipped: %v", secure, c.Name, err)
			case err != nil && !errors.As(err, &reason):
				t.Errorf("TLS %v: %s: %v", secure, c.Name, err)
			}
		}
	}
}

func TestEachDefectIsCaughtByItsCase(t *testing.T) {
	for _, spoiled := range defects {
		t.Run(spoiled.name, func(t *testing.T) {
			world := soundWorld()
			all := cases(world)
			at := slices.IndexFunc(all, func(c Case) bool { return c.Name == spoiled.caughtBy })
			if at < 0 {
				t.Fatalf("there is no case %s", spoiled.caughtBy)
			}
			err := all[at].Run(newSound(world, spoiled).serve(t, spoiled.secure), world)
			var reason skip
			if err == nil || errors.As(err, &reason) {
				t.Errorf("%s does not catch it: %v", spoiled.caughtBy, err)
			}
			t.Log(err)
		})
	}
}

// No case is there for show: each has a defect that it is alone to look for.
func TestEachCaseCatchesADefect(t *testing.T) {
	for _, c := range cases(soundWorld()) {
		if strings.HasPrefix(c.Name, "12-hostile-") {
			continue // what they have in common is in hostile_test.go
		}
		if !slices.ContainsFunc(defects, func(d defect) bool { return d.caughtBy == c.Name }) {
			t.Errorf("no defect is known that %s would catch", c.Name)
		}
	}
}
