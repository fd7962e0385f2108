// SPDX-License-Identifier: Apache-2.0
//
// What `longshore doctor` finds, from objects that were read already. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/api/archive.h"

namespace longshore::cli {

// Error: something does not work or is open to others; warning: worse than it need be.
enum class Severity { kOk, kWarning, kError };
const char* SeverityName(Severity severity);

struct Finding {
  Severity severity = Severity::kOk;
  std::string object;   // what it is about, with the field: "extenders[0].httpTimeout"
  std::string finding;  // what is so
  std::string remedy;   // what to change; empty when nothing is to be done
};
using Findings = std::vector<Finding>;

// Of a KubeSchedulerConfiguration, in YAML: whatever stops our extender from being heard, or lets
// it hold up or harm other pods. docs/placement.md has the reasons.
Findings LintSchedulerConfiguration(std::string_view yaml);

// Node objects: labels without which nearness ends at the node.
Findings CheckTopologyLabels(const std::vector<api::Json>& nodes);

// A Deployment or DaemonSet of the installation.
Finding CheckWorkload(const api::Json& workload);

// The minor version of the scheduler that runs, by its image's tag, against the API server's: what
// /version says, and the Deployment's Pods. Nothing where none runs: CheckWorkload says that.
Findings CheckSchedulerVersion(const api::Json& version, const std::vector<api::Json>& pods);

// The installation has no kube-scheduler: that of the cluster may do its work.
Finding NoSchedulerOfOurs();

}  // namespace longshore::cli
