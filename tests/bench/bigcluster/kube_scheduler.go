// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"
)

// schedulerOptions is what kube-scheduler runs with.
type schedulerOptions struct {
	program    string
	production string // the KubeSchedulerConfiguration of manifests/
	kubeconfig string
	keys       keys
	folder     string // for files made of these
}

// kubeScheduler is a running one. Its counters begin with it.
type kubeScheduler struct {
	*process
	url string
}

// configuration is the production one with this machine's addresses and files. Without an extender (an empty URL) that
// is left out, and the resources it manages are ignored all the same: else its pods would fit nowhere. The limit on
// requests a second goes in both: with the default of 50 it would be all that is measured.
func (o schedulerOptions) configuration(extenderURL string) ([]byte, error) {
	text, err := os.ReadFile(o.production)
	if err != nil {
		return nil, err
	}
	var all struct {
		APIVersion       string           `json:"apiVersion"`
		Kind             string           `json:"kind"`
		LeaderElection   map[string]any   `json:"leaderElection,omitempty"`
		ClientConnection map[string]any   `json:"clientConnection"`
		Profiles         []map[string]any `json:"profiles"`
		Extenders        []map[string]any `json:"extenders,omitempty"`
	}
	if err := yaml.UnmarshalStrict(text, &all); err != nil {
		return nil, err
	}
	if len(all.Extenders) != 1 || len(all.Profiles) != 1 {
		return nil, errors.New("production configuration: one extender and one profile expected")
	}
	all.ClientConnection = map[string]any{"kubeconfig": o.kubeconfig, "qps": 5000, "burst": 5000}
	extender := all.Extenders[0]
	if extenderURL == "" {
		all.Extenders = nil
		all.Profiles[0]["pluginConfig"] = []any{map[string]any{"name": "NodeResourcesFit", "args": map[string]any{
			"apiVersion": all.APIVersion, "kind": "NodeResourcesFitArgs", "ignoredResources": names(extender["managedResources"])}}}
	} else {
		extender["urlPrefix"] = extenderURL
		tlsConfig := extender["tlsConfig"].(map[string]any)
		tlsConfig["caFile"] = o.keys.file("ca.crt")
		tlsConfig["certFile"], tlsConfig["keyFile"] = o.keys.file("client.crt"), o.keys.file("client.key")
	}
	return yaml.Marshal(all)
}

func names(items any) (names []string) {
	for _, item := range items.([]any) {
		names = append(names, item.(map[string]any)["name"].(string))
	}
	return names
}

func (o schedulerOptions) start(extenderURL string) (*kubeScheduler, error) {
	text, err := o.configuration(extenderURL)
	if err != nil {
		return nil, err
	}
	file := o.folder + "/scheduler.yaml"
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return nil, err
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	p, _, err := launch("kube-scheduler", regexp.MustCompile("Serving securely on"), o.program, "--config="+file,
		"--authentication-skip-lookup=true", "--authorization-always-allow-paths=/metrics", "--bind-address=127.0.0.1",
		"--secure-port="+strconv.Itoa(port))
	return &kubeScheduler{p, fmt.Sprintf("https://127.0.0.1:%d", port)}, err
}

// freePort is one of this moment.
func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// figures is a page of metrics in Prometheus' text format.
type figures []string

// scrape asks programs that were started here, on loopback: their certificates are their own.
func scrape(url string) (figures, error) {
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	response, err := client.Get(url + "/metrics")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s/metrics: status %d", url, response.StatusCode)
	}
	return strings.Split(string(text), "\n"), err
}

// sum adds up all series of that name that have all these labels, each as `label="value"`.
func (f figures) sum(name string, labels ...string) float64 {
	total := 0.0
lines:
	for _, line := range f {
		rest, found := strings.CutPrefix(line, name)
		if !found || (rest[0] != '{' && rest[0] != ' ') {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(rest, label) {
				continue lines
			}
		}
		value, _ := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		total += value
	}
	return total
}
