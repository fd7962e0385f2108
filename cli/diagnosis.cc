// SPDX-License-Identifier: Apache-2.0
#include "cli/diagnosis.h"

#include "cli/fields.h"
#include "common/api/meta.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

constexpr size_t kNamesShown = 5;

std::string Some(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kNamesShown);
  const std::vector<std::string> first(names.begin(),
                                       names.begin() + static_cast<std::ptrdiff_t>(shown));
  const size_t more = names.size() - shown;
  return Join(first, ", ") + (more > 0 ? " and " + std::to_string(more) + " more" : "");
}

bool HasLabel(const Json& object, const std::string& key) {
  const Json& labels = At(object, "/metadata/labels");
  return labels.is_object() && labels.contains(key) && labels[key] != Json("");
}

}  // namespace

const char* SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kError:
      return "error";
    case Severity::kWarning:
      return "warning";
    case Severity::kOk:
      break;
  }
  return "ok";
}

Findings CheckTopologyLabels(const std::vector<Json>& nodes) {
  Findings findings;
  // A rack is between a node and its zone; who has none of that kind needs no label for it.
  const auto check = [&](const char* label, const char* without, bool needed) {
    std::vector<std::string> missing;
    for (const Json& node : nodes) {
      if (!HasLabel(node, label)) missing.push_back(Text(node, "/metadata/name"));
    }
    if (missing.empty() || (!needed && missing.size() == nodes.size())) return;
    findings.push_back({Severity::kWarning, std::string("label ") + label,
                        "missing on " + std::to_string(missing.size()) + " of " +
                            std::to_string(nodes.size()) + " nodes (" + Some(missing) +
                            "): " + without,
                        std::string("kubectl label node NODE ") + label + "=…"});
  };
  check(api::kLabelZone, "they are near the data only if they hold it", true);
  check(api::kLabelRegion, "another zone of theirs counts as far away", false);
  check(api::kLabelRack, "their rack counts as none, others' as known", false);
  if (findings.empty()) {
    findings.push_back({Severity::kOk, "topology labels",
                        "on all " + std::to_string(nodes.size()) + " nodes that need them", ""});
  }
  return findings;
}

Finding CheckWorkload(const Json& workload) {
  const bool daemon_set = Text(workload, "/kind") == "DaemonSet";
  const std::string name = Text(workload, "/metadata/name");
  const int64_t wanted = daemon_set ? Number(workload, "/status/desiredNumberScheduled")
                                    : Number(workload, "/spec/replicas", 1);
  const int64_t ready = daemon_set ? Number(workload, "/status/numberAvailable")
                                   : Number(workload, "/status/availableReplicas");
  const std::string pods =
      std::to_string(ready) + " of " + std::to_string(wanted) + " pods are available";
  const std::string object = (daemon_set ? "daemonset/" : "deployment/") + name;
  if (wanted == 0) {
    return {Severity::kError, object, daemon_set ? "no node takes it" : "it is scaled to 0",
            daemon_set ? "look at its node selector and tolerations" : "scale it to 1"};
  }
  if (ready >= wanted) return {Severity::kOk, object, pods, ""};
  return {ready == 0 ? Severity::kError : Severity::kWarning, object, pods,
          "kubectl -n " + Text(workload, "/metadata/namespace") + " describe " + object};
}

Finding NoSchedulerOfOurs() {
  return {Severity::kWarning, std::string("deployment/") + api::kSchedulerName,
          "does not exist: backup pods are placed only if the cluster's own kube-scheduler has a "
          "profile of that name",
          "if it has, look at its file with --scheduler-config; if not, apply the manifests"};
}

}  // namespace longshore::cli
