// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// contender is an extender that runs as a process, and the client that calls it: the same for all, TLS with client
// certificates over one kept connection.
type contender struct {
	*process
	url     string
	client  *http.Client
	dialled int // connections of this client
}

// keys is the folder with ca.crt, tls.crt and tls.key (the servers'), client.crt and client.key.
type keys string

func (k keys) file(name string) string { return string(k) + "/" + name }

func (k keys) clientConfig() (*tls.Config, error) {
	pem, err := os.ReadFile(k.file("ca.crt"))
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	pair, err := tls.LoadX509KeyPair(k.file("client.crt"), k.file("client.key"))
	return &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{pair}}, err
}

// start runs a program on that CPU and waits for the line that tells its port.
func start(name, cpu string, k keys, port *regexp.Regexp, arguments ...string) (*contender, error) {
	c, _, err := startOn(name, cpu, k, port, arguments...)
	return c, err
}

// startOn gives also all that the pattern found; its first group is the port.
func startOn(name, cpus string, k keys, up *regexp.Regexp, arguments ...string) (c *contender, found []string, err error) {
	p, found, err := launch(name, up, append([]string{"taskset", "-c", cpus}, arguments...)...)
	if err != nil {
		return nil, nil, err
	}
	config, err := k.clientConfig()
	if err != nil {
		p.stop()
		return nil, nil, err
	}
	// A configuration of its own keeps Go's client at HTTP/1.1.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: config}, Timeout: time.Minute}
	return &contender{process: p, url: "https://127.0.0.1:" + found[1], client: client}, found, nil
}

// end is stop of one that may not have been started.
func (c *contender) end() {
	if c != nil {
		c.stop()
	}
}

// sample is one call: by the client's clock until the whole reply is there, and by the server's own from the whole body
// to the whole reply (Server-Timing).
type sample struct {
	client, server float64 // ms
	reply          []byte
}

func (c *contender) call(verb string, body []byte) (sample, error) {
	start := time.Now()
	response, err := c.post(verb, body)
	if err != nil {
		return sample{}, err
	}
	defer response.Body.Close()
	reply, err := io.ReadAll(response.Body)
	took := float64(time.Since(start).Nanoseconds()) / 1e6
	if err != nil {
		return sample{}, err
	}
	_, duration, _ := strings.Cut(response.Header.Get("Server-Timing"), "dur=")
	server, err := strconv.ParseFloat(duration, 64)
	if err != nil {
		return sample{}, fmt.Errorf("%s %s: no Server-Timing", c.name, verb)
	}
	return sample{took, server, reply}, nil
}

func (c *contender) post(verb string, body []byte) (*http.Response, error) {
	request, err := http.NewRequest(http.MethodPost, c.url+"/"+verb, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request = request.WithContext(httptrace.WithClientTrace(request.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if !info.Reused {
				c.dialled++
			}
		}}))
	request.Header.Set("Content-Type", "application/json")
	response, err := c.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", c.name, verb, err)
	}
	if response.StatusCode != http.StatusOK {
		response.Body.Close()
		return nil, fmt.Errorf("%s %s: status %d", c.name, verb, response.StatusCode)
	}
	return response, nil
}

// callLikeTheScheduler decodes one value and closes the body without draining it.
func (c *contender) callLikeTheScheduler(verb string, body []byte, result any) error {
	response, err := c.post(verb, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	return json.NewDecoder(response.Body).Decode(result)
}
