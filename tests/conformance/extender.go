// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"
	fwk "k8s.io/kube-scheduler/framework"
	"k8s.io/kubernetes/pkg/scheduler"
	schedulerapi "k8s.io/kubernetes/pkg/scheduler/apis/config"
)

// Extender is the one under test: where it is, and whom we are to it.
type Extender struct {
	URL, FilterVerb, PrioritizeVerb, ServerName string
	CAFile, CertFile, KeyFile                   string
	// A valid certificate that it should not obey.
	StrangerCertFile, StrangerKeyFile string
	// Of the cluster that it watches, for cases that change it.
	Kubeconfig string
	// Whether it is attacked, and which process it is on this machine (0: unknown).
	Hostile bool
	PID     int
	// How long a call may take: any, and an ordinary one as kube-scheduler is configured.
	Timeout, HTTPTimeout time.Duration
}

func (e *Extender) secure() bool { return strings.HasPrefix(e.URL, "https:") }

func (e *Extender) address() (string, error) {
	parsed, err := url.Parse(e.URL)
	if err != nil {
		return "", err
	}
	if parsed.Port() != "" {
		return parsed.Host, nil
	}
	return net.JoinHostPort(parsed.Hostname(), parsed.Scheme), nil
}

func (e *Extender) serverName() string {
	if e.ServerName != "" {
		return e.ServerName
	}
	parsed, _ := url.Parse(e.URL)
	return parsed.Hostname()
}

// client is the scheduler's own, names mode or list mode. `at` is another URL of the extender, or empty.
func (e *Extender) client(names bool, at string) (fwk.Extender, error) {
	if at == "" {
		at = e.URL
	}
	return e.clientThatWaits(names, at, e.Timeout)
}

func (e *Extender) clientThatWaits(names bool, at string, timeout time.Duration) (fwk.Extender, error) {
	config := &schedulerapi.Extender{
		URLPrefix: at, FilterVerb: e.FilterVerb, PrioritizeVerb: e.PrioritizeVerb, Weight: 1,
		NodeCacheCapable: names, HTTPTimeout: metav1.Duration{Duration: timeout},
	}
	if e.secure() {
		config.EnableHTTPS = true
		config.TLSConfig = &schedulerapi.ExtenderTLSConfig{
			CAFile: e.CAFile, CertFile: e.CertFile, KeyFile: e.KeyFile, ServerName: e.serverName()}
	}
	return scheduler.NewHTTPExtender(config)
}

func (e *Extender) tlsConfig(certFile, keyFile string) (*tls.Config, error) {
	config := &tls.Config{ServerName: e.serverName(), RootCAs: x509.NewCertPool()}
	pem, err := os.ReadFile(e.CAFile)
	if err != nil {
		return nil, err
	}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s: no certificate", e.CAFile)
	}
	if certFile != "" {
		pair, err := tls.LoadX509KeyPair(certFile, keyFile)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// dial opens one connection, with TLS if the extender has it.
func (e *Extender) dial() (net.Conn, error) {
	address, err := e.address()
	if err != nil {
		return nil, err
	}
	if !e.secure() {
		return net.DialTimeout("tcp", address, 5*time.Second)
	}
	config, err := e.tlsConfig(e.CertFile, e.KeyFile)
	if err != nil {
		return nil, err
	}
	return tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", address, config)
}

// rawClient is for what the scheduler's client never sends.
func (e *Extender) rawClient(certFile, keyFile string) (*http.Client, error) {
	transport := &http.Transport{ExpectContinueTimeout: 2 * time.Second}
	if e.secure() {
		config, err := e.tlsConfig(certFile, keyFile)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig = config
	}
	return &http.Client{Transport: transport, Timeout: e.Timeout}, nil
}

// Reply is what came back of a raw request.
type Reply struct {
	Status  int
	Length  int64 // as the header says; -1: it says nothing
	Headers http.Header
	Body    []byte
}

func (e *Extender) send(method, verb string, body []byte, headers ...string) (*Reply, error) {
	client, err := e.rawClient(e.CertFile, e.KeyFile)
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	return e.sendBy(client, method, verb, body, headers...)
}

func (e *Extender) sendBy(client *http.Client, method, verb string, body []byte, headers ...string) (*Reply, error) {
	request, err := http.NewRequest(method, strings.TrimRight(e.URL, "/")+"/"+verb, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return &Reply{response.StatusCode, response.ContentLength, response.Header, text}, err
}

// filter posts a body as it is; the reply must be one that the scheduler reads.
func (e *Extender) filter(body []byte) (*extenderv1.ExtenderFilterResult, error) {
	result := &extenderv1.ExtenderFilterResult{}
	return result, e.call(e.FilterVerb, body, result)
}

func (e *Extender) prioritize(body []byte) (extenderv1.HostPriorityList, error) {
	result := extenderv1.HostPriorityList{}
	return result, e.call(e.PrioritizeVerb, body, &result)
}

func (e *Extender) call(verb string, body []byte, result any) error {
	reply, err := e.send(http.MethodPost, verb, body)
	if err != nil {
		return err
	}
	if reply.Status != http.StatusOK {
		return fmt.Errorf("%s: status %d, which costs its body: %.200s", verb, reply.Status, reply.Body)
	}
	if err := json.Unmarshal(reply.Body, result); err != nil {
		return fmt.Errorf("%s: %w in %.200s", verb, err, reply.Body)
	}
	return nil
}

// counter forwards connections and counts them, as the scheduler's client shows nobody its own.
type counter struct {
	listener    net.Listener
	target      string
	connections atomic.Int64
}

func newCounter(target string) (*counter, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	c := &counter{listener: listener, target: target}
	go c.serve()
	return c, nil
}

func (c *counter) serve() {
	for {
		near, err := c.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		c.connections.Add(1)
		far, err := net.Dial("tcp", c.target)
		if err != nil {
			near.Close()
			continue
		}
		go forward(near, far)
		go forward(far, near)
	}
}

func forward(to, from net.Conn) {
	io.Copy(to, from)
	to.Close()
	from.Close()
}
