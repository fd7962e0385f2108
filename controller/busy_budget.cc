// SPDX-License-Identifier: Apache-2.0
#include "controller/busy_budget.h"

#include <algorithm>

#include "common/api/meta.h"
#include "controller/pod_template.h"

namespace longshore::controller {
namespace {

constexpr std::chrono::seconds kLowerAfter{30};
// A busy pod is visited every ten seconds: a budget that was taken away is back within 30.
constexpr std::chrono::seconds kRepeatAfter{20};
constexpr char kAsked[] = "longshore.dev/asked";  // when

bool IsLabelled(const api::Json& pod) { return !kube::LabelOf(pod, kLabelBusy).empty(); }

api::Json Budget(const std::string& ns, int pods) {
  return {
      {"apiVersion", "policy/v1"},
      {"kind", "PodDisruptionBudget"},
      {"metadata",
       {{"name", kBusyBudget},
        {"namespace", ns},
        {"labels", {{"app.kubernetes.io/managed-by", "longshore"}}}}},
      {"spec", {{"minAvailable", pods}, {"selector", {{"matchLabels", {{kLabelBusy, "true"}}}}}}}};
}

}  // namespace

// A new leader finds the labels that the one before it has set.
BusyBudget::Namespace& BusyBudget::Of(const std::string& ns) {
  const auto [found, is_new] = namespaces_.try_emplace(ns);
  if (is_new) {
    for (const kube::ObjectPtr& pod : env_.cluster.List(kube::kPods)) {
      if (kube::NamespaceOf(*pod) == ns && IsLabelled(*pod)) {
        found->second.busy.emplace(kube::NameOf(*pod));
      }
    }
  }
  return found->second;
}

// Under the version that was read, and never without a change: what a leader of before still has on
// its way is refused once this one has asked.
Status BusyBudget::Ask(const std::string& ns, Namespace& of, int pods) {
  of.asked = -1;  // should nobody answer
  const auto read = env_.cluster.Fetch(kube::kPodDisruptionBudgets, ns, kBusyBudget);
  if (!read && read.error().code != Code::kNotFound) return read.error();
  if (read && env_.Listening()) {
    const api::Json::json_pointer asked("/spec/minAvailable");
    if (read->contains(asked) && read->at(asked).is_number_integer()) {
      pods = std::max(pods, read->at(asked).get<int>());
    }
  }
  api::Json object = Budget(ns, pods);
  object["metadata"]["annotations"] = {{kAsked, env_.NowText()}};
  if (read) {
    const api::Json patch = {
        {"metadata",
         {{"resourceVersion", kube::StringAt(*read, "/metadata/resourceVersion")},
          {"annotations", object["metadata"]["annotations"]}}},
        {"spec", {{"minAvailable", pods}}}};
    LS_RETURN_IF_ERROR(env_.cluster.Patch(kube::kPodDisruptionBudgets, ns, kBusyBudget,
                                          kube::PatchType::kMerge, patch, ""));
  } else {
    LS_RETURN_IF_ERROR(env_.cluster.Create(kube::kPodDisruptionBudgets, ns, object));
  }
  of.asked = pods;
  of.written = env_.clock.Monotonic();
  return {};
}

Status BusyBudget::Settle(const std::string& ns, const std::string& pod, Namespace& of) {
  const int pods = static_cast<int>(of.busy.size());
  const bool same = of.asked == pods;
  // A leader of before may have raised it for a label that it had on its way.
  if (of.asked > pods && env_.Listening()) {
    env_.Wake(kPodKey, ns, pod, env_.ListensFor());
    return {};
  }
  const bool old = env_.clock.Monotonic() - of.written >= (same ? kRepeatAfter : kLowerAfter);
  const bool due = of.asked < 0 || (pods == 0 ? !same : old);
  return due ? Ask(ns, of, pods) : Status();
}

Status BusyBudget::Sync(const api::Json& pod, bool busy) {
  const std::string ns(kube::NamespaceOf(pod)), name(kube::NameOf(pod));
  Namespace& of = Of(ns);
  if (busy) {
    of.busy.insert(name);
    const int pods = static_cast<int>(of.busy.size());
    if (of.asked < pods) LS_RETURN_IF_ERROR(Ask(ns, of, pods));
  }
  // One that we have labelled, or may have: what is cached may be older than that.
  if (IsLabelled(pod) != busy || (!busy && of.busy.contains(name))) {
    const api::Json yes_or_none = busy ? api::Json("true") : api::Json(nullptr);
    const api::Json patch = {{"metadata",
                              {{"uid", kube::UidOf(pod)},
                               {"labels", {{kLabelBusy, yes_or_none}}},
                               {"annotations",
                                {{kAnnotationSafeToEvict, busy ? "false" : "true"},
                                 {kAnnotationDoNotDisrupt, yes_or_none}}}}}};
    LS_RETURN_IF_ERROR(
        env_.cluster.Patch(kube::kPods, ns, name, kube::PatchType::kMerge, patch, ""));
  }
  if (!busy) of.busy.erase(name);
  return Settle(ns, name, of);
}

Status BusyBudget::Forget(const std::string& ns, const std::string& pod) {
  Namespace& of = Of(ns);
  of.busy.erase(pod);
  return Settle(ns, pod, of);
}

}  // namespace longshore::controller
