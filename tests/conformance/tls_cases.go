// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"fmt"
	"net/http"
)

// Only of an extender that has TLS.
var tlsCases = []Case{
	{"14-alpn-with-http2-offered", ifSecure(alpn)},
	{"14-http1-without-alpn", ifSecure(withoutALPN)},
	{"14-tls-below-1.2-is-refused", ifSecure(oldTLS)},
	{"14-no-client-certificate-is-refused", ifSecure(noCertificate)},
	{"14-stranger-is-refused", ifSecure(stranger)},
}

func ifSecure(check func(*Extender, *World) error) func(*Extender, *World) error {
	return func(e *Extender, w *World) error {
		if !e.secure() {
			return skip("no TLS")
		}
		return check(e, w)
	}
}

// The scheduler's client offers h2 and http/1.1. Whatever is chosen must work.
func alpn(e *Extender, w *World) error {
	address, err := e.address()
	if err != nil {
		return err
	}
	config, err := e.tlsConfig(e.CertFile, e.KeyFile)
	if err != nil {
		return err
	}
	config.NextProtos = []string{"h2", "http/1.1"}
	connection, err := tls.Dial("tcp", address, config)
	if err != nil {
		return err
	}
	defer connection.Close()
	switch chosen := connection.ConnectionState().NegotiatedProtocol; chosen {
	case "", "http/1.1", "h2":
		return wantHealthy(e, w)
	default:
		return fmt.Errorf("chose %q", chosen)
	}
}

func withoutALPN(e *Extender, w *World) error {
	reply, err := e.send(http.MethodPost, e.FilterVerb, arguments(w.Pods.Unmarked, w.names(), nil))
	if err != nil {
		return err
	}
	if reply.Status != http.StatusOK {
		return fmt.Errorf("status %d", reply.Status)
	}
	return nil
}

func oldTLS(e *Extender, w *World) error {
	address, err := e.address()
	if err != nil {
		return err
	}
	config, err := e.tlsConfig(e.CertFile, e.KeyFile)
	if err != nil {
		return err
	}
	config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	connection, err := tls.Dial("tcp", address, config)
	if err == nil {
		connection.Close()
		return fmt.Errorf("TLS %x is spoken", connection.ConnectionState().Version)
	}
	return nil
}

func noCertificate(e *Extender, w *World) error {
	if e.CertFile == "" {
		return skip("the extender asks for none")
	}
	return wantRefused(e, w, "", "")
}

func stranger(e *Extender, w *World) error {
	if e.StrangerCertFile == "" {
		return skip("no --stranger-cert")
	}
	return wantRefused(e, w, e.StrangerCertFile, e.StrangerKeyFile)
}

// In the handshake, or by status.
func wantRefused(e *Extender, w *World, certFile, keyFile string) error {
	client, err := e.rawClient(certFile, keyFile)
	if err != nil {
		return err
	}
	reply, err := e.sendBy(client, http.MethodPost, e.FilterVerb, arguments(w.Pods.Unmarked, w.names(), nil))
	if err == nil && reply.Status != http.StatusForbidden && reply.Status != http.StatusUnauthorized {
		return fmt.Errorf("status %d: %.200s", reply.Status, reply.Body)
	}
	return wantHealthy(e, w)
}
