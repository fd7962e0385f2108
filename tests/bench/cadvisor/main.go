// SPDX-License-Identifier: Apache-2.0

// Command cadvisor runs cAdvisor's manager over one cgroup subtree and reads it each second from within, which is
// cheaper than the scrape that it usually gets. No container runtime is asked: only the factory of raw cgroups is
// linked in. tests/bench/contenders.cc starts it, measures its CPU time and reads its lines:
//
//	AGE_MS SHORT_LIVED_CPU_NS PODS
//
// the median age of the pods' newest samples when read, the CPU time that it has ever shown of the pods below
// besteffort, and how many pods it shows now.
package main

import (
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"sort"
	"strings"
	"time"

	"github.com/google/cadvisor/cache/memory"
	"github.com/google/cadvisor/container"
	info "github.com/google/cadvisor/info/v1"
	"github.com/google/cadvisor/manager"
	"github.com/google/cadvisor/utils/sysfs"
	"k8s.io/klog/v2"
)

// Off unless asked for, as in cAdvisor's own command.
var offByDefault = []container.MetricKind{
	container.MemoryNumaMetrics, container.NetworkTcpUsageMetrics, container.NetworkUdpUsageMetrics,
	container.NetworkAdvancedTcpUsageMetrics, container.ProcessSchedulerMetrics, container.ProcessMetrics,
	container.HugetlbUsageMetrics, container.ReferencedMemoryMetrics, container.CPUTopologyMetrics,
	container.ResctrlMetrics, container.CPUSetMetrics,
	container.PerfMetrics, // counts nothing without a file that says what
}

func start(root, mode string) (manager.Manager, error) {
	metrics := container.AllMetrics.Difference(container.MetricSet{})
	for _, kind := range offByDefault {
		delete(metrics, kind)
	}
	housekeeping := manager.HousekeepingConfigFlags
	if mode == "1s" {
		// What we report as well, each second whether or not something changes.
		delete(metrics, container.DiskUsageMetrics)
		interval, dynamic := time.Second, false
		*manager.HousekeepingInterval = interval
		housekeeping = manager.HousekeepingConfig{Interval: &interval, AllowDynamic: &dynamic}
	}
	m, err := manager.New(memory.New(2*time.Minute, nil), sysfs.NewRealSysFs(), housekeeping, metrics,
		http.DefaultClient, []string{root}, nil, "", 0)
	if err != nil {
		return nil, err
	}
	return m, m.Start()
}

type reader struct {
	kubepods   string
	shortLived map[string]uint64 // the last CPU time seen, by cgroup
}

func (r *reader) read(m manager.Manager) (string, error) {
	containers, err := m.SubcontainersInfo(r.kubepods, &info.ContainerInfoRequest{NumStats: 1})
	if err != nil && len(containers) == 0 {
		return "", err
	}
	now := time.Now()
	ages := []float64{}
	for _, c := range containers {
		if len(c.Stats) == 0 || !strings.HasPrefix(path.Base(c.Name), "pod") {
			continue
		}
		newest := c.Stats[len(c.Stats)-1]
		ages = append(ages, float64(now.Sub(newest.Timestamp).Microseconds())/1000)
		if strings.HasPrefix(c.Name, r.kubepods+"/besteffort/") {
			r.shortLived[c.Name] = newest.Cpu.Usage.Total
		}
	}
	if len(ages) == 0 {
		return "", fmt.Errorf("no pods below %s", r.kubepods)
	}
	sort.Float64s(ages)
	var sum uint64
	for _, ns := range r.shortLived {
		sum += ns
	}
	return fmt.Sprintf("%.3f %d %d", ages[len(ages)/2], sum, len(ages)), nil
}

// silence drops what cAdvisor logs of cgroups that are gone before it has looked at them.
func silence() {
	flags := flag.NewFlagSet("klog", flag.ExitOnError)
	klog.InitFlags(flags)
	flags.Parse([]string{"-logtostderr=false", "-stderrthreshold=FATAL"})
	klog.SetOutput(io.Discard)
}

func main() {
	silence()
	root := flag.String("root", "", "the kubelet's cgroup root, e.g. /node-1")
	mode := flag.String("mode", "default", "1s or default")
	flag.Parse()
	m, err := start(*root, *mode)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cadvisor:", err)
		os.Exit(1)
	}
	r := reader{kubepods: *root + "/kubepods", shortLived: map[string]uint64{}}
	for range time.Tick(time.Second) {
		line, err := r.read(m)
		if err != nil {
			fmt.Fprintln(os.Stderr, "cadvisor:", err)
			continue
		}
		fmt.Println(line)
	}
}
