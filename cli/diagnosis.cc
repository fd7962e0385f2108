// SPDX-License-Identifier: Apache-2.0
#include "cli/diagnosis.h"

#include <charconv>
#include <map>
#include <optional>

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

// Of Kubernetes: "v1.34.2", and what distributions put behind it.
struct Release {
  int major = 0, minor = 0, patch = 0;

  std::string Text() const {
    return "v" + std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(patch);
  }
};

std::optional<Release> ReadRelease(std::string_view text) {
  if (text.starts_with('v')) text.remove_prefix(1);
  Release release;
  for (int* number : {&release.major, &release.minor, &release.patch}) {
    if (number != &release.major) {
      if (!text.starts_with('.')) return std::nullopt;
      text.remove_prefix(1);
    }
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
    if (error != std::errc() || *number < 0) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
  }
  return release;
}

// "" when it has none; a colon before the last slash is a port's.
std::string_view TagOf(std::string_view image) {
  image = image.substr(0, image.find('@'));
  const size_t colon = image.rfind(':');
  const size_t slash = image.rfind('/');
  if (colon == image.npos || (slash != image.npos && colon < slash)) return "";
  return image.substr(colon + 1);
}

// Each with the namespace of a Pod that runs it.
std::map<std::string, std::string> SchedulerImages(const std::vector<Json>& pods) {
  std::map<std::string, std::string> images;
  for (const Json& pod : pods) {
    if (!Text(pod, "/metadata/deletionTimestamp").empty()) continue;
    for (const Json& container : Items(pod, "/spec/containers")) {
      if (Text(container, "/name") != "kube-scheduler") continue;
      images[Text(container, "/image")] = Text(pod, "/metadata/namespace");
    }
  }
  return images;
}

// Kubernetes' version skew policy, for kube-scheduler.
std::string Skew(const Release& scheduler, const Release& server) {
  const bool one_older = scheduler.major == server.major && scheduler.minor + 1 == server.minor;
  if (one_older) return "one minor version older is for the time of an upgrade only";
  const bool newer = scheduler.major > server.major ||
                     (scheduler.major == server.major && scheduler.minor > server.minor);
  return newer ? "Kubernetes supports none that is newer than the API server"
               : "Kubernetes supports none that is older by more than one minor version";
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

Findings CheckSchedulerVersion(const Json& version, const std::vector<Json>& pods) {
  const std::string server_text = Text(version, "/gitVersion");
  const auto server = ReadRelease(server_text);
  Findings findings;
  for (const auto& [image, ns] : SchedulerImages(pods)) {
    Finding finding{Severity::kOk, std::string("image of ") + api::kSchedulerName, "", ""};
    const auto scheduler = ReadRelease(TagOf(image));
    if (!scheduler || !server) {
      finding.finding = (scheduler ? "the API server's version, " + server_text + ", is no release"
                                   : image + " does not say of which version it is") +
                        "; it should be of the API server's minor version" +
                        (server ? ", which is " + server_text : "");
      finding.remedy = "compare: kubectl -n " + ns + " exec deployment/" + api::kSchedulerName +
                       " -- kube-scheduler --version";
    } else if (scheduler->major == server->major && scheduler->minor == server->minor) {
      finding.finding = scheduler->Text() + ", and the API server is " + server_text;
    } else {
      finding.severity = Severity::kWarning;
      finding.finding = scheduler->Text() + ", and the API server is " + server_text + ": " +
                        Skew(*scheduler, *server);
      finding.remedy =
          "LONGSHORE_SCHEDULER_IMAGE=registry.k8s.io/kube-scheduler:" + server->Text() +
          " hack/deploy";
    }
    findings.push_back(std::move(finding));
  }
  return findings;
}

Finding NoSchedulerOfOurs() {
  return {Severity::kWarning, std::string("deployment/") + api::kSchedulerName,
          "does not exist: backup pods are placed only if the cluster's own kube-scheduler has a "
          "profile of that name",
          "if it has, look at its file with --scheduler-config; if not, apply the manifests"};
}

}  // namespace longshore::cli
