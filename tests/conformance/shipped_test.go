// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"regexp"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	schedulerapi "k8s.io/kubernetes/pkg/scheduler/apis/config"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/scheme"
	"k8s.io/kubernetes/pkg/scheduler/apis/config/validation"
)

// kube-scheduler would start with each configuration that we ship or show.
func TestShippedConfigurationsAreTheSchedulers(t *testing.T) {
	stanza := regexp.MustCompile("(?s)```yaml\n(apiVersion: kubescheduler.*?)```")
	for _, path := range []string{"manifests/base/scheduler/config.yaml",
		"manifests/components/cluster-scheduler/config.yaml", "docs/placement.md"} {
		text, err := os.ReadFile("../../" + path)
		must(t, err)
		if shown := stanza.FindSubmatch(text); shown != nil {
			text = shown[1]
		}
		object, err := runtime.Decode(scheme.Codecs.UniversalDecoder(), text) // strict, as the scheduler's own
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		configuration := object.(*schedulerapi.KubeSchedulerConfiguration)
		if err := validation.ValidateKubeSchedulerConfiguration(configuration); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
