// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	v1 "k8s.io/api/core/v1"
	extenderv1 "k8s.io/kube-scheduler/extender/v1"
)

// The reference: what a careful Go programmer writes with the official types, encoding/json and client-go's informers.
// It follows the policy of docs/placement.md as far as a source with an explicit node needs it, pressure never being
// reported. Its replies have a Content-Length, since a chunked one costs the scheduler's client its connection.

type served struct {
	Address, CertFile, KeyFile, ClientCAFile string
}

func reference(arguments []string) error {
	at := served{}
	flags := flag.NewFlagSet("reference", flag.ExitOnError)
	flags.StringVar(&at.Address, "listen", "127.0.0.1:0", "")
	flags.StringVar(&at.CertFile, "cert", "", "")
	flags.StringVar(&at.KeyFile, "key", "", "")
	flags.StringVar(&at.ClientCAFile, "client-ca", "", "client certificates come from it")
	flags.Parse(arguments)
	cluster, err := newCluster()
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /filter", timed(func(args *extenderv1.ExtenderArgs) any { return filter(cluster, args) }))
	mux.HandleFunc("POST /prioritize", timed(func(args *extenderv1.ExtenderArgs) any { return prioritize(cluster, args) }))
	return at.serve(mux)
}

func (s served) serve(handler http.Handler) error {
	pem, err := os.ReadFile(s.ClientCAFile)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	listener, err := net.Listen("tcp", s.Address)
	if err != nil {
		return err
	}
	fmt.Println("port", listener.Addr().(*net.TCPAddr).Port)
	server := &http.Server{Handler: handler,
		TLSConfig: &tls.Config{ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}}
	return server.ServeTLS(listener, s.CertFile, s.KeyFile)
}

// timed runs an operation on a request whose body is there; like ours, it says how long it took from the whole body to
// the whole reply.
func timed(operation func(*extenderv1.ExtenderArgs) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := readBody(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		start := time.Now()
		var args extenderv1.ExtenderArgs
		var result any
		if err := json.Unmarshal(body, &args); err != nil {
			result = extenderv1.ExtenderFilterResult{Error: err.Error()}
		} else {
			result = operation(&args)
		}
		reply, err := json.Marshal(result)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		took := time.Since(start)
		w.Header().Set("Server-Timing", fmt.Sprintf("total;dur=%.3f", float64(took.Nanoseconds())/1e6))
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(reply)))
		w.Write(reply)
	}
}

func readBody(r *http.Request) ([]byte, error) {
	if r.ContentLength < 0 {
		return io.ReadAll(r.Body)
	}
	body := make([]byte, r.ContentLength)
	_, err := io.ReadFull(r.Body, body)
	return body, err
}

func filter(cluster *cluster, args *extenderv1.ExtenderArgs) *extenderv1.ExtenderFilterResult {
	result := &extenderv1.ExtenderFilterResult{
		FailedNodes: extenderv1.FailedNodesMap{}, FailedAndUnresolvableNodes: extenderv1.FailedNodesMap{}}
	if args.Pod == nil || (args.NodeNames == nil && args.Nodes == nil) {
		result.Error = "Pod, or both of Nodes and NodeNames, are missing"
		return result
	}
	judge := cluster.judge(args.Pod)
	if args.NodeNames != nil {
		names := make([]string, 0, len(*args.NodeNames))
		for _, name := range *args.NodeNames {
			if reason := judge.refuses(name); reason != "" {
				result.FailedAndUnresolvableNodes[name] = reason
			} else {
				names = append(names, name)
			}
		}
		result.NodeNames = &names
		return result
	}
	list := &v1.NodeList{Items: make([]v1.Node, 0, len(args.Nodes.Items))}
	for _, node := range args.Nodes.Items {
		if reason := judge.refuses(node.Name); reason != "" {
			result.FailedAndUnresolvableNodes[node.Name] = reason
		} else {
			list.Items = append(list.Items, node)
		}
	}
	result.Nodes = list
	return result
}

func prioritize(cluster *cluster, args *extenderv1.ExtenderArgs) extenderv1.HostPriorityList {
	list := extenderv1.HostPriorityList{}
	if args.Pod == nil {
		return list
	}
	judge := cluster.judge(args.Pod)
	score := func(name string) {
		// Absent hosts have 0, and what is not written need not be read.
		if grade := judge.grade(name); grade > 0 {
			list = append(list, extenderv1.HostPriority{Host: name, Score: grade})
		}
	}
	if args.NodeNames != nil {
		for _, name := range *args.NodeNames {
			score(name)
		}
	} else if args.Nodes != nil {
		for i := range args.Nodes.Items {
			score(args.Nodes.Items[i].Name)
		}
	}
	return list
}
