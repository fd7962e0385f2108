// SPDX-License-Identifier: Apache-2.0
#include "controller/pod_facts.h"

#include <algorithm>

#include "common/api/meta.h"
#include "controller/pod_template.h"

namespace longshore::controller {
namespace {

using api::Json;
using kube::StringAt;

const Json& At(const Json& json, const char* pointer) {
  static const Json empty;
  const Json::json_pointer path(pointer);
  return json.contains(path) ? json.at(path) : empty;
}

// DisruptionTarget says who ends the pod, before and after it has ended.
void ReadConditions(const Json& pod, PodFacts& facts) {
  const Json& conditions = At(pod, "/status/conditions");
  if (!conditions.is_array()) return;
  for (size_t i = 0; i < conditions.size(); ++i) {
    const Json& condition = conditions[i];
    const std::string_view type = StringAt(condition, "/type");
    const bool is_true = StringAt(condition, "/status") == "True";
    if (type == kAvailableCondition) {
      facts.available_condition = StringAt(condition, "/status");
      facts.available_index = static_cast<int>(i);
    } else if (type == "DisruptionTarget" && is_true) {
      facts.end_reason = StringAt(condition, "/reason");
      facts.end_message = StringAt(condition, "/message");
    } else if (type == "PodScheduled" && !is_true && facts.node.empty()) {
      facts.trouble = "Unschedulable";
      facts.trouble_message = std::string(StringAt(condition, "/message"));
      if (StringAt(condition, "/reason") == "Unschedulable") {
        facts.unschedulable_since = StringAt(condition, "/lastTransitionTime");
      }
    }
  }
}

// Maps the kubelet's reasons for a waiting container to ours, with the remedy.
void ReadWaiting(std::string_view reason, std::string_view message, PodFacts& facts) {
  const std::string said =
      std::string(reason) + (message.empty() ? "" : ": ") + std::string(message);
  if (reason == "ErrImagePull" || reason == "ImagePullBackOff" || reason == "InvalidImageName" ||
      reason == "ErrImageNeverPull" || reason == "ImageInspectError") {
    facts.trouble = "ImagePullFailed";
    facts.trouble_message =
        said + "; make the image of the SourceImage available to the node or correct spec.image";
  } else if (reason == "CreateContainerConfigError" || reason == "CreateContainerError" ||
             reason == "RunContainerError") {
    facts.trouble = "ContainerConfigError";
    facts.trouble_message = said + "; see `kubectl describe pod`";
  } else if (reason == "CrashLoopBackOff") {
    facts.trouble = "CrashLoop";
    facts.trouble_message = said + "; see `kubectl logs --previous`";
  }
}

void ReadContainers(const Json& pod, PodFacts& facts) {
  const Json& statuses = At(pod, "/status/containerStatuses");
  if (!statuses.is_array() || statuses.empty()) return;
  const Json& status = statuses[0];
  facts.running = status.contains("state") && status["state"].contains("running");
  facts.started = StringAt(status, "/state/running/startedAt");
  facts.restarts = status.value("restartCount", 0);
  ReadWaiting(StringAt(status, "/state/waiting/reason"), StringAt(status, "/state/waiting/message"),
              facts);
}

}  // namespace

PodFacts FactsOf(const kube::ObjectPtr& pod) {
  PodFacts facts;
  if (!pod) return facts;
  facts.exists = true;
  facts.uid = kube::UidOf(*pod);
  facts.resource_version = StringAt(*pod, "/metadata/resourceVersion");
  facts.node = StringAt(*pod, "/spec/nodeName");
  facts.ip = StringAt(*pod, "/status/podIP");
  facts.deletion_time = StringAt(*pod, "/metadata/deletionTimestamp");
  facts.deleting = !facts.deletion_time.empty();
  ReadConditions(*pod, facts);
  ReadContainers(*pod, facts);
  const std::string_view phase = StringAt(*pod, "/status/phase");
  facts.ended = phase == "Failed" || phase == "Succeeded";
  if (facts.ended && facts.end_reason.empty()) {
    const std::string_view reason = StringAt(*pod, "/status/reason");
    facts.end_reason = reason.empty() ? "PodFailed" : reason;
    facts.end_message = StringAt(*pod, "/status/message");
  }
  return facts;
}

bool MadeFor(const api::Json& pod, const std::string& row_uid) {
  const Json& owners = At(pod, "/metadata/ownerReferences");
  return owners.is_array() && std::any_of(owners.begin(), owners.end(), [&](const Json& owner) {
           return StringAt(owner, "/uid") == row_uid;
         });
}

}  // namespace longshore::controller
