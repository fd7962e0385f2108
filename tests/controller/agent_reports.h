// SPDX-License-Identifier: Apache-2.0
//
// Reports as an agent makes them, for tests of what the controller makes of them.
#pragma once

#include <string>

#include "common/messages/agent.pb.h"
#include "controller/report_order.h"

namespace longshore::controller {

constexpr int64_t kSecondNs = 1'000'000'000;

// At `second` of the agent's clock, by both its clocks.
inline messages::UsageReport ReportAt(uint64_t sequence, double second, bool complete = true) {
  messages::UsageReport report;
  report.set_sequence(sequence);
  report.set_interval_end_ns(static_cast<int64_t>(second * 1e9));
  report.set_wall_end_ns(1'790'000'000 * kSecondNs + static_cast<int64_t>(second * 1e9));
  report.set_complete(complete);
  return report;
}

inline messages::PodCounters& AddPod(messages::UsageReport& report, const std::string& uid,
                                     uint64_t cpu_ns, uint64_t written = 0) {
  messages::PodCounters& pod = *report.add_pods();
  pod.set_pod_uid(uid);
  pod.mutable_usage()->set_cpu_ns(cpu_ns);
  pod.mutable_usage()->set_write_bytes(written);
  pod.mutable_usage()->mutable_memory()->set_working_set_bytes(1000);
  return pod;
}

}  // namespace longshore::controller
