// SPDX-License-Identifier: Apache-2.0

// Command metrics-server is Kubernetes' own, unchanged: what a HorizontalPodAutoscaler, which hack/bench controller
// compares with, gets its figures from.
package main

import (
	"os"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/restclient"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"sigs.k8s.io/metrics-server/cmd/metrics-server/app"
)

func main() {
	os.Exit(cli.Run(app.NewMetricsServerCommand(genericapiserver.SetupSignalContext().Done())))
}
