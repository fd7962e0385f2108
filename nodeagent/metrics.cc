// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/metrics.h"

#include <sys/resource.h>
#include <unistd.h>

namespace longshore::nodeagent {
namespace {

double OwnCpuSeconds() {
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) != 0) return 0;
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double OwnResidentBytes(KeptFile& statm) {
  auto text = statm.Read("/proc/self/statm");  // "size resident …", in pages
  if (!text) return 0;
  TakeWord(*text);
  return static_cast<double>(Number(*text)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

AgentMetrics::AgentMetrics(metrics::Registry& r)
    : loaded_(r.MakeGauge("longshore_nodeagent_bpf_loaded", "1 while the BPF programs measure")),
      pods_(r.MakeGauge("longshore_nodeagent_pods", "Pods that are measured")),
      unknown_pods_(r.MakeGauge("longshore_nodeagent_unknown_pods",
                                "Pods that are not measured: more cgroups than --max-cgroups")),
      connected_(r.MakeGauge("longshore_nodeagent_controller_connected",
                             "1 while a stream to the controller is open")),
      resident_bytes_(r.MakeGauge("longshore_nodeagent_resident_bytes",
                                  "Memory of this process, its maps too")),
      sample_seconds_(r.MakeHistogram("longshore_nodeagent_sample_seconds",
                                      "Time to take and hand over one sample",
                                      {0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 1})),
      missed_ticks_(r.MakeCounter("longshore_nodeagent_missed_ticks_total",
                                  "Samples that were left out because the node was too busy")),
      sent_(r.MakeCounter("longshore_nodeagent_reports_sent_total", "Reports sent")),
      replaced_(r.MakeCounter("longshore_nodeagent_reports_replaced_total",
                              "Reports not sent, made superfluous by the next")),
      finals_dropped_(r.MakeCounter("longshore_nodeagent_finals_dropped_total",
                                    "Last records of pods that were dropped")),
      cpu_seconds_(
          r.MakeCounter("longshore_nodeagent_cpu_seconds_total", "CPU this process used")) {}

void AgentMetrics::SetLoaded(bool loaded) { loaded_.Set(loaded ? 1 : 0); }

void AgentMetrics::MissedTicks(uint64_t count) {
  missed_ticks_.Increment(static_cast<double>(count));
}

void AgentMetrics::AfterSample(const Sample& sample, std::chrono::nanoseconds took,
                               const Reporter::Counts& reports) {
  sample_seconds_.Observe(std::chrono::duration<double>(took).count());
  pods_.Set(static_cast<double>(sample.pods.size()));
  unknown_pods_.Set(static_cast<double>(sample.unknown_pods));
  connected_.Set(reports.connected ? 1 : 0);
  resident_bytes_.Set(OwnResidentBytes(statm_));
  cpu_seconds_.Follow(OwnCpuSeconds());
  sent_.Follow(static_cast<double>(reports.sent));
  replaced_.Follow(static_cast<double>(reports.replaced));
  finals_dropped_.Follow(static_cast<double>(reports.finals_dropped));
}

}  // namespace longshore::nodeagent
