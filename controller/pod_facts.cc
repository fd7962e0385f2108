// SPDX-License-Identifier: Apache-2.0
#include "controller/pod_facts.h"

#include <algorithm>

#include "common/api/meta.h"
#include "common/base/clock.h"
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
      facts.trouble_message =
          std::string(StringAt(condition, "/message")) +
          "; free a node, or change resources, tolerations or caps of the PodPolicy; "
          "`longshore explain " +
          std::string(kube::NameOf(pod)) + "` says more";
      if (StringAt(condition, "/reason") == "Unschedulable") {
        facts.unschedulable_since = StringAt(condition, "/lastTransitionTime");
      }
    } else if (type == "PodScheduled" && is_true) {
      facts.bound_since = StringAt(condition, "/lastTransitionTime");
    }
  }
}

void ReadDeath(const Json& terminated, PodFacts::Death& death) {
  if (!terminated.is_object()) return;
  const std::string reason(StringAt(terminated, "/reason"));
  const std::string code = At(terminated, "/exitCode").dump();
  death.reason = reason.empty() ? "Error" : reason;
  death.time = StringAt(terminated, "/finishedAt");
  death.message =
      reason == kReasonOOMKilled
          ? "it used more memory than it may (OOMKilled); raise spec.resources.limits.memory of "
            "the PodPolicy, or its spec.maxMemory"
          : "it ended with exit code " + code + " (" + death.reason +
                "); see `kubectl logs --previous`";
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
    const std::string& death = facts.death.message;
    facts.trouble_message = said + "; " + (death.empty() ? "see `kubectl logs --previous`" : death);
  }
}

void ReadContainers(const Json& pod, PodFacts& facts) {
  const Json& statuses = At(pod, "/status/containerStatuses");
  if (!statuses.is_array() || statuses.empty()) return;
  const Json& status = statuses[0];
  facts.running = status.contains("state") && status["state"].contains("running");
  facts.started = StringAt(status, "/state/running/startedAt");
  facts.restarts = status.value("restartCount", 0);
  ReadDeath(At(status, "/lastState/terminated"), facts.death);
  ReadDeath(At(status, "/state/terminated"), facts.death);
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
  facts.policy = kube::LabelOf(*pod, kLabelPolicyHash);
  facts.memory_limit = StringAt(*pod, "/spec/resources/limits/memory");  // as PrunePod leaves it
  facts.deletion_time = StringAt(*pod, "/metadata/deletionTimestamp");
  facts.deleting = !facts.deletion_time.empty();
  ReadConditions(*pod, facts);
  ReadContainers(*pod, facts);
  const std::string_view phase = StringAt(*pod, "/status/phase");
  facts.ended = phase == "Failed" || phase == "Succeeded";
  if (phase == "Succeeded" && facts.deleting && facts.end_reason.empty()) {
    facts.end_reason = "PodDeleted";
    facts.end_message = "it finished its work first";
  }
  if (facts.ended && facts.end_reason.empty()) {
    const std::string_view reason = StringAt(*pod, "/status/reason");
    facts.end_reason = reason.empty() ? "PodFailed" : reason;
    facts.end_message = StringAt(*pod, "/status/message");
    if (facts.end_message.empty() && !facts.death.reason.empty()) {
      facts.end_message = "of its container: " + facts.death.message;
    }
  }
  return facts;
}

bool MadeFor(const api::Json& pod, const std::string& row_uid) {
  const Json& owners = At(pod, "/metadata/ownerReferences");
  return owners.is_array() && std::any_of(owners.begin(), owners.end(), [&](const Json& owner) {
           return StringAt(owner, "/uid") == row_uid;
         });
}

std::string EndingOf(const PodFacts& facts) {
  if (facts.end_reason.empty()) return "PodDeleted";
  return facts.end_reason + (facts.end_message.empty() ? "" : ": " + facts.end_message);
}

messages::OperationResult WithEnding(messages::OperationResult result, const PodFacts& facts) {
  const bool ends = facts.deleting || !facts.alive() || !facts.end_reason.empty();
  if (!ends || result.succeeded() || result.error_class() != "Interrupted") return result;
  result.set_error_message(result.error_message() + ": " + EndingOf(facts));
  return result;
}

bool DiedSince(const PodFacts& facts, const std::string& began) {
  if (facts.death.reason.empty()) return false;
  const auto ended = ParseTime(facts.death.time), start = ParseTime(began);
  return !ended || !start || *ended + std::chrono::seconds(1) > *start;  // it is in whole seconds
}

}  // namespace longshore::controller
