// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// fleet is what the simulated agents and workers have in common.
type fleet struct {
	address  string // of the leader's streams
	keys     *tls.Config
	stopping chan struct{}
	number   atomic.Int64 // of the streams that were dialled: spreads them over source addresses
	open     atomic.Int64
	lost     atomic.Int64 // streams that ended while the leader was there
	messages atomic.Int64
}

// dial opens one stream, with the back-off of the real clients; nil when the fleet stops first.
func (f *fleet) dial(path, token string) *websocket.Conn {
	pause := 200 * time.Millisecond
	for {
		// One address has 28,000 ports; a network has more.
		local := &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+f.number.Add(1)%200))}
		dialer := websocket.Dialer{
			TLSClientConfig: f.keys.Clone(), HandshakeTimeout: 15 * time.Second, ReadBufferSize: 512, WriteBufferSize: 512,
			NetDialContext: (&net.Dialer{LocalAddr: local, Timeout: 5 * time.Second}).DialContext,
		}
		connection, _, err := dialer.DialContext(context.Background(), "wss://"+f.address+path,
			http.Header{"Authorization": {"Bearer " + token}})
		if err == nil {
			f.open.Add(1)
			return connection
		}
		select {
		case <-f.stopping:
			return nil
		case <-time.After(pause/2 + rand.N(pause)):
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// keep has a stream open until the fleet stops: say is called for each second of it, at a phase of its own, and gives
// what is to be sent.
func (f *fleet) keep(path, token string, hello []byte, say func(stream int, now time.Time) []byte) {
	for stream := 0; ; stream++ {
		connection := f.dial(path, token)
		if connection == nil {
			return
		}
		ended := make(chan struct{})
		go func() { // instructions are read and let be; pings are answered
			defer close(ended)
			for {
				if _, _, err := connection.ReadMessage(); err != nil {
					return
				}
			}
		}()
		stopped := f.talk(connection, hello, ended, func(now time.Time) []byte { return say(stream, now) })
		connection.Close()
		f.open.Add(-1)
		if stopped {
			return
		}
		f.lost.Add(1)
	}
}

func (f *fleet) talk(connection *websocket.Conn, hello []byte, ended chan struct{}, say func(time.Time) []byte) (stopped bool) {
	if connection.WriteMessage(websocket.BinaryMessage, hello) != nil {
		return false
	}
	time.Sleep(rand.N(time.Second))
	ticks := time.NewTicker(time.Second)
	defer ticks.Stop()
	for {
		select {
		case <-f.stopping:
			return true
		case <-ended:
			return false
		case <-ticks.C:
			if connection.WriteMessage(websocket.BinaryMessage, say(time.Now())) != nil {
				return false
			}
			f.messages.Add(1)
		}
	}
}

// agent is a simulated node agent, and what it sees on its node.
type agent struct {
	node string
	pods []*simulatedPod
}

type simulatedPod struct {
	name, uid, request string
	worker             bool        // has one with a stream
	busy               atomic.Bool // uses 900 millicores instead of 20
	cpuNanos           uint64
}

const (
	idleMilli, busyMilli = 20, 900
)

func (a *agent) run(f *fleet, token string) {
	boot := time.Now()
	last, sequence := time.Duration(0), uint64(0)
	current := -1
	f.keep("/v1/agents", token, agentHello(a.node, fmt.Sprintf("boot/%s", a.node)), func(stream int, now time.Time) []byte {
		if stream != current {
			current, sequence = stream, 0
		}
		sequence++
		end := now.Sub(boot)
		loads := make([]podLoad, len(a.pods))
		for i, pod := range a.pods {
			milli := uint64(idleMilli)
			if pod.busy.Load() {
				milli = busyMilli
			}
			pod.cpuNanos += milli * uint64(end-last) / 1000
			loads[i] = podLoad{pod.uid, pod.cpuNanos}
		}
		report := usageReport(sequence, last, end, now, loads)
		last = end
		return report
	})
}
