// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	v1 "k8s.io/api/core/v1"
	fwk "k8s.io/kube-scheduler/framework"
)

const (
	noHostility = skip("no --hostile")
	// What the extender's process may have more of, soon after an attack, than before it.
	mostDescriptorsLeft = 16
	mostBytesLeft       = 96 << 20
	recoveryTime        = 8 * time.Second
	// What a newcomer may wait for longer: where a flood has filled the listener's queue, Linux drops its SYN, and sends
	// it again after a second. The scheduler keeps its connections.
	refusedSYN = 2 * time.Second
	// Later than so many times httpTimeout, a call counts as lost.
	lost = 5
	// What it may have in between: the memory limit of its pod.
	mostBytes = 512 << 20
)

// hostile lets the scheduler go on with its work during an attack: 99 of 100 of its calls must be answered within
// httpTimeout and none lost, and what the attack cost must come back. The attackers share the machine with both, so one
// late call says nothing about the extender.
func hostile(attack func(*Extender, *World) error) func(*Extender, *World) error {
	return func(e *Extender, w *World) error {
		if !e.Hostile {
			return noHostility
		}
		process := &process{pid: e.PID}
		before := process.look()
		workers, err := startSchedulers(e, w)
		if err != nil {
			return err
		}
		process.watch()
		failed := attack(e, w)
		calls, err := workers.stop(e.HTTPTimeout)
		peak := process.stop()
		fmt.Printf("     scheduler: %s", calls)
		if e.PID > 0 {
			fmt.Printf("; extender: at most %d descriptors, %d MiB", peak.descriptors, peak.bytes>>20)
		}
		fmt.Println()
		switch {
		case failed != nil:
			return failed
		case err != nil:
			return fmt.Errorf("meanwhile the scheduler: %w", err)
		case peak.bytes > mostBytes:
			return fmt.Errorf("%d MiB of memory", peak.bytes>>20)
		}
		if err := process.wantRecovered(before); err != nil {
			return err
		}
		return wantHealthy(e, w)
	}
}

// schedulers: one that keeps its connection, and one that is started anew for each call.
type schedulers struct {
	running     atomic.Bool
	wait        sync.WaitGroup
	mutex       sync.Mutex
	calls, anew []time.Duration
	failed      error
}

func startSchedulers(e *Extender, w *World) (*schedulers, error) {
	kept, err := e.clientThatWaits(true, e.URL, lost*e.HTTPTimeout)
	if err != nil {
		return nil, err
	}
	nodes := nodeInfos(append(slices.Clone(w.Nodes), strangers(500)...))
	s := &schedulers{}
	s.running.Store(true)
	s.repeat(&s.calls, 20*time.Millisecond, func() error { return schedule(kept, w.anyPod(), nodes) })
	body := arguments(w.anyPod(), append(w.names(), nodeNames(strangers(500))...), nil)
	s.repeat(&s.anew, 200*time.Millisecond, func() error {
		// Not the scheduler's client, whose connections nobody else can close.
		client, err := e.rawClient(e.CertFile, e.KeyFile)
		if err != nil {
			return err
		}
		defer client.CloseIdleConnections()
		client.Timeout = e.HTTPTimeout + refusedSYN
		reply, err := e.sendBy(client, http.MethodPost, e.FilterVerb, body)
		if err == nil && reply.Status != http.StatusOK {
			err = fmt.Errorf("status %d", reply.Status)
		}
		if err != nil {
			err = fmt.Errorf("on a new connection: %w", err)
		}
		return err
	})
	return s, nil
}

func schedule(client fwk.Extender, pod *v1.Pod, nodes []fwk.NodeInfo) error {
	if _, _, _, err := client.Filter(pod, nodes); err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	if _, _, err := client.Prioritize(pod, nodes); err != nil {
		return fmt.Errorf("prioritize: %w", err)
	}
	return nil
}

func (s *schedulers) repeat(durations *[]time.Duration, pause time.Duration, call func() error) {
	s.wait.Add(1)
	go func() {
		defer s.wait.Done()
		for s.running.Load() {
			start := time.Now()
			err := call()
			s.mutex.Lock()
			*durations = append(*durations, time.Since(start))
			if s.failed == nil && err != nil {
				s.failed = fmt.Errorf("%w (after %v)", err, time.Since(start).Round(time.Millisecond))
			}
			s.mutex.Unlock()
			time.Sleep(pause)
		}
	}()
}

func (s *schedulers) stop(httpTimeout time.Duration) (string, error) {
	s.running.Store(false)
	s.wait.Wait()
	slices.Sort(s.calls)
	if s.failed == nil && len(s.calls) > 0 {
		// A pod is two calls: filter and prioritize.
		if late := s.calls[(len(s.calls)-1)*99/100]; late > 2*httpTimeout {
			s.failed = fmt.Errorf("more than 1 of 100 calls took longer than httpTimeout (%v a pod)", late)
		}
	}
	return fmt.Sprintf("%s; on a new connection %s", summary(s.calls), summary(s.anew)), s.failed
}

func summary(durations []time.Duration) string {
	slices.Sort(durations)
	at := func(part float64) float64 {
		if len(durations) == 0 {
			return math.NaN()
		}
		return durations[int(part*float64(len(durations)-1))].Seconds() * 1000
	}
	return fmt.Sprintf("%d pods, p50 %.1f ms, p99 %.1f ms, longest %.1f ms", len(durations), at(0.5), at(0.99), at(1))
}

// process is the extender's own; without a pid nothing is known of it and nothing is said.
type process struct {
	pid     int
	running atomic.Bool
	peaks   chan usage
}

type usage struct{ descriptors, bytes int }

func (p *process) look() usage {
	if p.pid == 0 {
		return usage{}
	}
	folder := filepath.Join("/proc", strconv.Itoa(p.pid))
	entries, _ := os.ReadDir(filepath.Join(folder, "fd"))
	statm, _ := os.ReadFile(filepath.Join(folder, "statm"))
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return usage{}
	}
	pages, _ := strconv.Atoi(string(fields[1]))
	return usage{len(entries), pages * os.Getpagesize()}
}

func (p *process) watch() {
	p.peaks = make(chan usage)
	p.running.Store(true)
	go func() {
		peak := usage{}
		for p.running.Load() {
			now := p.look()
			peak = usage{max(peak.descriptors, now.descriptors), max(peak.bytes, now.bytes)}
			time.Sleep(50 * time.Millisecond)
		}
		p.peaks <- peak
	}()
}

func (p *process) stop() usage {
	p.running.Store(false)
	return <-p.peaks
}

func (p *process) wantRecovered(before usage) error {
	now := usage{}
	for end := time.Now().Add(recoveryTime); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		now = p.look()
		if now.descriptors <= before.descriptors+mostDescriptorsLeft && now.bytes <= before.bytes+mostBytesLeft {
			return nil
		}
	}
	return fmt.Errorf("%v later there are %d descriptors and %d MiB; before there were %d and %d MiB", recoveryTime,
		now.descriptors, now.bytes>>20, before.descriptors, before.bytes>>20)
}

// crowd is connections that are all closed at once in the end.
type crowd struct {
	mutex       sync.Mutex
	connections []net.Conn
	refused     atomic.Int64
}

// gather opens so many, by a few at a time; `greet` is what each then does. A refusal is no failure: that is what a
// server under attack may do.
func (c *crowd) gather(count int, dial func() (net.Conn, error), greet func(net.Conn)) {
	inParallel(count, func(int) {
		connection, err := dial()
		if err != nil {
			c.refused.Add(1)
			return
		}
		c.mutex.Lock()
		c.connections = append(c.connections, connection)
		c.mutex.Unlock()
		connection.SetDeadline(time.Now().Add(20 * time.Second))
		if greet != nil {
			greet(connection)
		}
	})
}

func (c *crowd) disperse() {
	for _, connection := range c.connections {
		abort(connection)
	}
}

// abort leaves no TIME_WAIT, of which a machine can have only as many as it has ports.
func abort(connection net.Conn) {
	inner := connection
	if wrapped, ok := connection.(interface{ NetConn() net.Conn }); ok {
		inner = wrapped.NetConn()
	}
	if tcp, ok := inner.(*net.TCPConn); ok {
		tcp.SetLinger(0)
	}
	inner.Close()
}

// inParallel: eight at a time.
func inParallel(count int, do func(i int)) {
	next := atomic.Int64{}
	wait := sync.WaitGroup{}
	for range 8 {
		wait.Go(func() {
			for i := next.Add(1); i <= int64(count); i = next.Add(1) {
				do(int(i))
			}
		})
	}
	wait.Wait()
}

// selfSigned is a certificate that no authority knows.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "nobody"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
