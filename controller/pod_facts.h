// SPDX-License-Identifier: Apache-2.0
//
// What a Pod object says about one of our pods, in the words that the pod reconciler decides by.
// Pure.
#pragma once

#include <string>

#include "common/api/archive.h"
#include "common/kube/informer.h"
#include "common/messages/worker.pb.h"

namespace longshore::controller {

// How the kubelet says that the kernel ended a container for memory; so does our row.
inline constexpr char kReasonOOMKilled[] = "OOMKilled";

struct PodFacts {
  bool exists = false;
  std::string uid, resource_version, node, ip;
  std::string policy;        // kLabelPolicyHash
  std::string memory_limit;  // of its container, a quantity; empty: none
  bool deleting = false;
  std::string deletion_time;  // when it should be gone; RFC 3339
  bool ended = false;         // phase Failed or Succeeded: no container of it will run again
  std::string end_reason;     // "Evicted", "PreemptionByScheduler", …; "PodFailed" when nobody says
  std::string end_message;
  bool running = false;  // its container runs now
  std::string started;   // when it began to; RFC 3339
  int restarts = 0;
  // How its container ended last; empty reason: it did not yet.
  struct Death {
    std::string reason;   // the kubelet's: kReasonOOMKilled, "Error", …
    std::string message;  // in words, with what helps
    std::string time;     // RFC 3339, by the node's clock
  };
  Death death;
  // Why it doesn't run yet: "Unschedulable", "ImagePullFailed", "ContainerConfigError",
  // "CrashLoop", "" when nothing is wrong so far; with what the cluster says and what helps.
  std::string trouble, trouble_message;
  // Since when the scheduler says that no node will do; RFC 3339, empty: it has not said so.
  std::string unschedulable_since;
  std::string bound_since;          // since when it has its node, by the scheduler; RFC 3339
  std::string available_condition;  // status of longshore.dev/Available, or ""
  int available_index = -1;         // its index in status.conditions

  bool alive() const { return exists && !ended; }
};

PodFacts FactsOf(const kube::ObjectPtr& pod);

// Whether the Pod was made for this row: by its owner, who may have had the same name before.
bool MadeFor(const api::Json& pod, const std::string& row_uid);
// Who ends the pod, or has: "REASON: what the cluster says". "PodDeleted" when nobody says.
std::string EndingOf(const PodFacts& facts);
// A worker whose time to finish was over says only that it was told to stop: with who ended its
// pod.
messages::OperationResult WithEnding(messages::OperationResult result, const PodFacts& facts);
// Whether the container ended after `began` (RFC 3339), as far as clocks can tell.
bool DiedSince(const PodFacts& facts, const std::string& began);

}  // namespace longshore::controller
