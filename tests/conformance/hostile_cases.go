// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// What peers do that mean harm, or are broken (--hostile: it takes the extender's machine some work).
var hostileCases = []Case{
	{"12-hostile-100000-short-connections", hostile(shortConnections)},
	{"12-hostile-6000-silent-connections", hostile(silentConnections)},
	{"12-hostile-bodies-of-100-mb", hostile(hugeBodies)},
	{"12-hostile-http2-preface", hostile(http2Preface)},
	{"12-hostile-idle-connections", hostile(idleConnections)},
	{"12-hostile-pipelining", hostile(pipelining)},
	{"12-hostile-slow-bodies", hostile(slowBodies)},
	{"12-hostile-slow-headers", hostile(slowHeaders)},
	{"12-hostile-truncated-bodies", hostile(truncatedBodies)},
	{"12-hostile-wrong-certificates", hostile(wrongCertificates)},
}

// How long slow peers are held on to.
const held = 2 * time.Second

// dialTCP goes no further than TCP.
func (e *Extender) dialTCP() (net.Conn, error) {
	address, err := e.address()
	if err != nil {
		return nil, err
	}
	return net.DialTimeout("tcp", address, 5*time.Second)
}

// dialAs shows a certificate; over TCP alone where there is no TLS.
func (e *Extender) dialAs(certFile, keyFile string) func() (net.Conn, error) {
	if !e.secure() {
		return e.dialTCP
	}
	config, err := e.tlsConfig(certFile, keyFile)
	return func() (net.Conn, error) {
		if err != nil {
			return nil, err
		}
		address, err := e.address()
		if err != nil {
			return nil, err
		}
		return tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", address, config)
	}
}

// stranger is whoever comes with another's certificate of the same authority, if there is one.
func (e *Extender) dialAsStranger() func() (net.Conn, error) {
	if e.StrangerCertFile == "" {
		return e.dialAs(e.CertFile, e.KeyFile)
	}
	return e.dialAs(e.StrangerCertFile, e.StrangerKeyFile)
}

func (e *Extender) head(length int) string {
	return fmt.Sprintf("POST /%s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n",
		e.FilterVerb, length)
}

// Nothing at all, the beginning of a TLS handshake, a request, noise: and gone.
func shortConnections(e *Extender, _ *World) error {
	greetings := []string{"", "\x16\x03\x01\x02\x00\x01", "GET / HTTP/1.1\r\n\r\n", "\x00\xff\x00\xff"}
	refused := atomic.Int64{}
	inParallel(100000, func(i int) {
		connection, err := e.dialTCP()
		if err != nil {
			refused.Add(1)
			return
		}
		io.WriteString(connection, greetings[i%len(greetings)])
		abort(connection)
	})
	if refused.Load() > 1000 {
		return fmt.Errorf("%d connections could not be made", refused.Load())
	}
	return nil
}

// More than any server needs to keep.
func silentConnections(e *Extender, _ *World) error {
	crowd := crowd{}
	defer crowd.disperse()
	crowd.gather(6000, e.dialTCP, nil)
	time.Sleep(held)
	return nil
}

func idleConnections(e *Extender, w *World) error {
	request := append([]byte(e.head(2)), "{}"...)
	crowd := crowd{}
	defer crowd.disperse()
	crowd.gather(1000, e.dialAsStranger(), func(connection net.Conn) {
		connection.Write(request)
		connection.Read(make([]byte, 1024))
	})
	time.Sleep(held)
	return nil
}

func drip(crowd *crowd, text string) {
	for end := time.Now().Add(held); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		for _, connection := range crowd.connections {
			io.WriteString(connection, text)
		}
	}
}

func slowHeaders(e *Extender, _ *World) error {
	crowd := crowd{}
	defer crowd.disperse()
	crowd.gather(1000, e.dialTCP, func(connection net.Conn) { io.WriteString(connection, "\x16\x03\x01\x02") })
	crowd.gather(700, e.dialAsStranger(), func(connection net.Conn) {
		io.WriteString(connection, "POST /"+e.FilterVerb+" HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	})
	drip(&crowd, "a")
	return nil
}

// Each sends a part of a body that is announced as 100 MB, and then a byte now and then.
func slowBodies(e *Extender, _ *World) error {
	crowd := crowd{}
	defer crowd.disperse()
	part := strings.Repeat(" ", 2<<20)
	crowd.gather(250, e.dialAs(e.CertFile, e.KeyFile), func(connection net.Conn) {
		io.WriteString(connection, e.head(100<<20)+part)
	})
	drip(&crowd, " ")
	return nil
}

// Whole ones, of the size of a large cluster's node list, several at a time.
func hugeBodies(e *Extender, w *World) error {
	body := bytes.Repeat([]byte(" "), 100<<20)
	copy(body[len(body)-40<<10:], arguments(w.anyPod(), w.names(), nil))
	failures := make(chan error, 8)
	inParallel(8, func(int) {
		client, err := e.rawClient(e.CertFile, e.KeyFile)
		if err != nil {
			failures <- err
			return
		}
		defer client.CloseIdleConnections()
		// Which of them are answered is the extender's choice.
		e.sendBy(client, http.MethodPost, e.FilterVerb, body)
	})
	select {
	case err := <-failures:
		return err
	default:
		return nil
	}
}

func http2Preface(e *Extender, _ *World) error {
	preface := "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	crowd := crowd{}
	defer crowd.disperse()
	failures := make(chan error, 300)
	crowd.gather(300, e.dialAs(e.CertFile, e.KeyFile), func(connection net.Conn) {
		io.WriteString(connection, preface)
		connection.SetDeadline(time.Now().Add(5 * time.Second))
		reply, err := io.ReadAll(connection)
		if err != nil || bytes.Contains(reply, []byte(" 200 ")) {
			failures <- fmt.Errorf("HTTP/2 without having agreed on it: %v %.100q", err, reply)
		}
	})
	select {
	case err := <-failures:
		return err
	default:
		return nil
	}
}

// As many answers as requests, in their order; and a peer that never reads any.
func pipelining(e *Extender, w *World) error {
	const count = 2000
	one := arguments(w.Pods.Unmarked, w.names(), nil)
	batch := bytes.Repeat(append([]byte(e.head(len(one))), one...), count)
	deaf := crowd{}
	defer deaf.disperse()
	deaf.gather(20, e.dialAs(e.CertFile, e.KeyFile), func(connection net.Conn) {
		connection.SetWriteDeadline(time.Now().Add(time.Second))
		connection.Write(batch)
	})
	connection, err := e.dialAs(e.CertFile, e.KeyFile)()
	if err != nil {
		return err
	}
	defer abort(connection)
	connection.SetDeadline(time.Now().Add(20 * time.Second))
	go connection.Write(batch)
	reader := bufio.NewReader(connection)
	for i := range count {
		response, err := http.ReadResponse(reader, nil)
		if err != nil {
			return fmt.Errorf("reply %d of %d: %w", i, count, err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
			return fmt.Errorf("reply %d of %d: status %d, %v", i, count, response.StatusCode, err)
		}
	}
	return nil
}

// Half of a body, and then the peer is gone or says that it has ended.
func truncatedBodies(e *Extender, w *World) error {
	body := arguments(w.anyPod(), nodeNames(strangers(2000)), nil)
	dial := e.dialAs(e.CertFile, e.KeyFile)
	inParallel(1000, func(i int) {
		connection, err := dial()
		if err != nil {
			return
		}
		defer abort(connection)
		connection.SetDeadline(time.Now().Add(5 * time.Second))
		if i%2 == 0 {
			io.WriteString(connection, e.head(len(body)))
			connection.Write(body[:len(body)/2])
			return
		}
		io.WriteString(connection, e.head(len(body)/2))
		connection.Write(body[:len(body)/2])
		connection.Read(make([]byte, 1024))
	})
	return nil
}

// None, another's, one of an unknown authority, and no TLS at all.
func wrongCertificates(e *Extender, w *World) error {
	if !e.secure() {
		return skip("no TLS")
	}
	unknown, err := selfSigned()
	if err != nil {
		return err
	}
	config, err := e.tlsConfig("", "")
	if err != nil {
		return err
	}
	config.Certificates = []tls.Certificate{unknown}
	address, err := e.address()
	if err != nil {
		return err
	}
	dials := []func() (net.Conn, error){
		e.dialTCP, e.dialAs("", ""), e.dialAsStranger(),
		func() (net.Conn, error) { return tls.Dial("tcp", address, config) },
	}
	one := arguments(w.Pods.Unmarked, w.names(), nil)
	request := append([]byte(e.head(len(one))), one...)
	obeyed := make(chan string, 4000)
	inParallel(4000, func(i int) {
		connection, err := dials[i%len(dials)]()
		if err != nil {
			return
		}
		defer abort(connection)
		connection.SetDeadline(time.Now().Add(5 * time.Second))
		connection.Write(request)
		reply := make([]byte, 1024)
		if n, _ := connection.Read(reply); bytes.Contains(reply[:n], []byte(" 200 ")) && (i%len(dials) != 2 || e.StrangerCertFile != "") {
			obeyed <- string(reply[:n])
		}
	})
	if len(obeyed) > 0 {
		return fmt.Errorf("%d were obeyed: %.100s", len(obeyed), <-obeyed)
	}
	return nil
}
