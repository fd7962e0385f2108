// SPDX-License-Identifier: Apache-2.0
//
// Keeps evictions (kubectl drain, cluster autoscaler) away from pods that have an operation: such a
// Pod carries the label longshore.dev/busy, and the PodDisruptionBudget `longshore-busy` of its
// namespace asks for as many of them as there are. Idle pods may be evicted at any time. Used by
// the pod reconciler, on its thread.
#pragma once

#include <map>
#include <set>
#include <string>

#include "controller/environment.h"

namespace longshore::controller {

inline constexpr char kLabelBusy[] = "longshore.dev/busy";
inline constexpr char kBusyBudget[] = "longshore-busy";
// For Karpenter, beside kAnnotationSafeToEvict: neither should choose the node of a busy pod.
inline constexpr char kAnnotationDoNotDisrupt[] = "karpenter.sh/do-not-disrupt";

class BusyBudget {
 public:
  explicit BusyBudget(Environment& env) : env_(env) {}

  // Writes what differs from how it should be, in an order that never leaves a busy pod without a
  // budget: the budget is raised before the label is set, and lowered after it was taken away (and
  // not each time: a budget that asks for too many only keeps busy pods, too). While there are busy
  // pods it is written again and again, since nobody tells us that it was deleted or changed.
  // `pod` is the Pod as cached; `busy` whether it has an operation.
  Status Sync(const api::Json& pod, bool busy);
  // The Pod is gone.
  Status Forget(const std::string& ns, const std::string& pod);

 private:
  struct Namespace {
    std::set<std::string> busy;  // names of the Pods that carry the label
    int asked = -1;              // minAvailable as it was written; -1: not known
    MonotonicTime written;
  };
  Namespace& Of(const std::string& ns);
  Status Ask(const std::string& ns, Namespace& of, int pods);
  Status Settle(const std::string& ns, const std::string& pod, Namespace& of);

  Environment& env_;
  std::map<std::string, Namespace> namespaces_;
};

}  // namespace longshore::controller
