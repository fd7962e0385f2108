// SPDX-License-Identifier: Apache-2.0
//
// PodReconciler: Planned. The row is durable, the Pod may or may not have been created.
#include <algorithm>

#include "controller/acceptance.h"
#include "controller/crew.h"
#include "controller/pod_reconciler.h"
#include "controller/pod_template.h"
#include "controller/waited.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// What was refused is tried again after as long as it has been refused, within these.
constexpr seconds kRefusedAgain{5}, kRefusedAgainAtMost{60};

// Why the API does not make a Pod, and what helps.
struct Refusal {
  const char* reason;
  const char* remedy;
};

Refusal RefusalOf(const Error& error) {
  const auto says = [&](std::string_view text) {
    return error.message.find(text) != std::string::npos;
  };
  // Of admission, which forbids what it doesn't find.
  if (says("error looking up service account")) {
    return {"NotPermitted",
            "; create that ServiceAccount, or correct spec.serviceAccountName of the PodPolicy"};
  }
  if (says("no PriorityClass with name")) {
    return {"NotPermitted",
            "; create that PriorityClass, or correct spec.priorityClassName of the PodPolicy"};
  }
  switch (error.code) {
    case Code::kResourceExhausted:
      return {"QuotaExceeded",
              "; raise the namespace's ResourceQuota, or lower spec.pods.max of the request or "
              "spec.resources of the PodPolicy"};
    case Code::kPermissionDenied:
      return {
          "NotPermitted",
          "; bind ClusterRole longshore-backup-namespace to the controller in this namespace, "
          "or see the namespace's admission policies and its pod-security.kubernetes.io labels"};
    case Code::kInvalidArgument:
      return {"PodRejected", "; correct the PodPolicy or the SourceImage"};
    default:
      return {"APIUnavailable", "; it is tried again"};
  }
}

}  // namespace

Result<Again> PodReconciler::OnPlanned(Seen& seen) {
  if (!seen.ending.empty()) return OnEnding(seen);
  const auto refs = Accept(env_.cluster, *seen.request).references;
  if (!refs) return Again(kLookAgain);  // the request's condition says what is missing
  if (!pace_.MayTry(seen.row)) return OnHeldBack(seen);
  return CreatePod(seen, refs->policy, refs->image, refs->source);
}

// Another pod of its request has trouble: they are tried one at a time.
Result<Again> PodReconciler::OnHeldBack(Seen& seen) {
  const auto waited = Since(seen.row.metadata.creation_timestamp, env_.clock.Now());
  if (seen.row.status.reason.empty() && waited >= env_.settings.trouble_grace) {
    LS_RETURN_IF_ERROR(Move(seen, api::kPlanned, "HeldBack",
                            "another pod of the request cannot start; it is tried after that one"));
  }
  return Again(kLookAgain);
}

Result<Again> PodReconciler::CreatePod(Seen& seen, const api::PodPolicy& policy,
                                       const api::SourceImage& image,
                                       const api::BackupSource& source) {
  const api::ObjectMeta& meta = seen.row.metadata;
  const api::Json wanted = RenderPod({seen.row, *seen.request, policy.spec, image.spec, source,
                                      env_.settings.controller_endpoint});
  auto pod = env_.cluster.Create(kube::kPods, meta.ns, wanted);
  if (!pod && pod.error().code == Code::kAlreadyExists) {
    // Created by us before a crash, or by somebody else, or for a row that was removed by force.
    pod = env_.cluster.Fetch(kube::kPods, meta.ns, meta.name);
    if (pod && !kube::StringAt(*pod, "/metadata/deletionTimestamp").empty()) {
      const auto leaving = FactsOf(std::make_shared<const api::Json>(*pod));
      LS_RETURN_IF_ERROR(TakeOrphanedResult(meta.ns, meta.name, leaving));
      return Again(kSoon);
    }
    if (pod && !MadeFor(*pod, meta.uid)) {
      LS_RETURN_IF_ERROR(Move(seen, api::kFailed, "NameTaken",
                              "a Pod of this name exists that is not ours; remove it"));
      return Again();
    }
  }
  if (!pod) return OnNotCreated(seen, pod.error());
  LS_RETURN_IF_ERROR(Adopt(seen, *pod));
  return Again(kSoon);
}

Status PodReconciler::Adopt(Seen& seen, const api::Json& pod) {
  seen.row.status.pod_uid = kube::UidOf(pod);
  const bool relaxed = !seen.row.spec.placement_mode.empty();
  LS_RETURN_IF_ERROR(
      Move(seen, api::kProvisioning, kReasonPodCreated,
           relaxed ? "the Pod was created; nearness, which its source requires, has timed out "
                     "and is only preferred"
                   : "the Pod was created"));
  // It wakes the rows that wait for this one: not before the next visit sees it as created.
  pace_.Reached(seen.row, Pace::Step::kCreated);
  return {};
}

// Stays Planned and says why; tries again with back-off. A maybe-created Pod is found next time.
// What quota, admission or validation refuse is no error of ours: a change is waited for.
Result<Again> PodReconciler::OnNotCreated(Seen& seen, const Error& error) {
  pace_.Failed(seen.row, Pace::Step::kCreated);
  const Refusal refusal = RefusalOf(error);
  if (seen.row.status.reason != refusal.reason) {
    LS_RETURN_IF_ERROR(Move(seen, api::kPlanned, refusal.reason, error.message + refusal.remedy));
  }
  const bool refused = error.code == Code::kResourceExhausted ||
                       error.code == Code::kPermissionDenied ||
                       error.code == Code::kInvalidArgument;
  if (!refused) return error;
  const auto since = Waited(seen.row.status.last_transition_time, env_.clock.Now());
  return Again(std::chrono::ceil<milliseconds>(
      std::clamp<std::chrono::nanoseconds>(since, kRefusedAgain, kRefusedAgainAtMost)));
}

}  // namespace longshore::controller
