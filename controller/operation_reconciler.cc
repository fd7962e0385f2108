// SPDX-License-Identifier: Apache-2.0
#include "controller/operation_reconciler.h"

#include <algorithm>

#include "controller/acceptance.h"
#include "controller/announcements.h"
#include "controller/operation_moves.h"
#include "controller/pod_facts.h"
#include "controller/pod_reconciler.h"
#include "controller/sure_write.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Reasons of an operation that cannot be in line for a pod at all.
bool Broken(const std::string& reason) {
  return reason == "RequestNotFound" || reason == "UnknownSource" || reason == "PodNotFound";
}

}  // namespace

Result<Again> OperationReconciler::Reconcile(const std::string& ns, const std::string& name) {
  auto operation = Find<api::Operation>(env_.cluster, ns, name);
  if (!operation) return Again();
  if (api::Terminal(operation->status.state)) {
    if (operation->spec.type == api::kCheck) {
      env_.Wake(kSourceKey, api::NamespaceOfSource(operation->spec.source_ref, ns),
                operation->spec.source_ref.name);
    }
    return Again();
  }
  if (Active(*operation)) return OnActive(*operation);
  if (operation->status.state == api::kInterrupted) return OnInterrupted(*operation);
  return OnWaiting(*operation);
}

Result<Again> OperationReconciler::OnWaiting(api::Operation& operation) {
  // A row has it, but was not told yet (or cancel came in between): the pod reconciler goes on.
  const auto leased = LeasedRows(operation);
  for (const api::BackupPodPtr& row : leased) {
    env_.Wake(kPodKey, row->metadata.ns, row->metadata.name);
  }
  if (!leased.empty()) return Again(kLookAgain);
  if (operation.spec.cancel) return Cancel(operation, "Cancelled", "cancelled while it waited");
  const auto request = Find<api::ComputeRequest>(env_.cluster, operation.metadata.ns,
                                                 operation.spec.request_ref.name);
  if (request) {
    const std::string ending = EndOfRequest(request, env_.clock.Now());
    if (!ending.empty()) return Cancel(operation, kReasonRequestEnded, ending);
    if (const std::string other = OtherSource(operation, *request); !other.empty()) {
      return Fail(operation, "Configuration", other);
    }
  }
  const auto [reason, message] = WhyWaiting(operation);
  // What it waits for in line is the dispatcher's to say; so is why it is tried again.
  const api::Condition* said = api::FindCondition(operation.status.conditions, "Succeeded");
  const bool keeps =
      said != nullptr && (said->reason == reason || (!Broken(reason) && !Broken(said->reason)));
  if (operation.status.state.empty() || !keeps) {
    const std::string since = operation.status.queued_time;
    MoveToQueued(operation, reason, message, env_.NowText());
    if (!since.empty()) operation.status.queued_time = since;
    LS_RETURN_IF_ERROR(Write(operation));
  }
  LS_ASSIGN_OR_RETURN(const Again again,
                      dispatcher_.Dispatch(operation.metadata.ns, operation.spec.request_ref.name));
  return again ? again : Again(seconds(30));
}

std::pair<std::string, std::string> OperationReconciler::WhyWaiting(
    const api::Operation& operation) const {
  const std::string& ns = operation.metadata.ns;
  const auto request = Find<api::ComputeRequest>(env_.cluster, ns, operation.spec.request_ref.name);
  if (!request) {
    return {"RequestNotFound", "spec.requestRef: there is no ComputeRequest " +
                                   operation.spec.request_ref.name + " in namespace " + ns +
                                   "; make it, or cancel this operation"};
  }
  const std::string source_ns = api::NamespaceOfSource(operation.spec.source_ref, ns);
  const auto source =
      Find<api::BackupSource>(env_.cluster, source_ns, operation.spec.source_ref.name);
  if (!source || !Admits(*source, ns)) {
    return {"UnknownSource", "spec.sourceRef: there is no BackupSource " +
                                 operation.spec.source_ref.name + " in namespace " + source_ns +
                                 " that admits namespace " + ns +
                                 "; make it, or add the namespace to its allowedNamespaces"};
  }
  const auto rows = env_.cluster.RowsOf(ns, operation.spec.request_ref.name);
  const std::string& wanted = operation.spec.pod_ref.name;
  const bool found = wanted.empty() || std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
                       return row->metadata.name == wanted;
                     });
  if (!found)
    return {"PodNotFound", "spec.podRef: the request has no BackupPod " + wanted +
                               "; cancel this operation and make one without podRef"};
  return {"Queued", "waits for a pod of request " + request->metadata.name};
}

Result<Again> OperationReconciler::OnInterrupted(api::Operation& operation) {
  LS_ASSIGN_OR_RETURN(const bool fenced, Fenced(operation));
  if (!fenced) return Again(kLookAgain);
  const std::string why = operation.status.error ? operation.status.error->message : "";
  if (operation.spec.cancel) return Cancel(operation, "Cancelled", "cancelled after " + why);
  if (operation.status.attempt >= operation.spec.max_attempts) {
    return Fail(operation, "Interrupted",
                "interrupted in each of " + std::to_string(operation.status.attempt) +
                    " attempts; the last time: " + why);
  }
  MoveToQueued(operation, "Interrupted", "tried again: " + why, env_.NowText());
  LS_RETURN_IF_ERROR(Write(operation));
  return Again(milliseconds(0));
}

// A pod has it. Its row must still say so; a row that was deleted cannot.
Result<Again> OperationReconciler::OnActive(api::Operation& operation) {
  const std::string& ns = operation.metadata.ns;
  const auto row = Find<api::BackupPod>(env_.cluster, ns, operation.status.pod);
  if (row) {
    const bool holds = Holds(*row, operation);
    // One that has ended wakes its operation each time it is looked at.
    if ((!holds || operation.spec.cancel) && !api::Ended(row->status.state)) {
      env_.Wake(kPodKey, ns, row->metadata.name);
    }
    if (holds) return Again();  // the pod reconciler looks after it
  }
  LS_ASSIGN_OR_RETURN(const bool fenced, Fenced(operation));
  if (!fenced) return Again(kLookAgain);
  MoveToInterrupted(operation, row ? "its pod no longer holds it" : "the BackupPod was deleted",
                    env_.NowText());
  LS_RETURN_IF_ERROR(Write(operation));
  return Again(milliseconds(0));
}

Result<bool> OperationReconciler::Fenced(const api::Operation& operation) {
  const std::string& ns = operation.metadata.ns;
  const auto row = Find<api::BackupPod>(env_.cluster, ns, operation.status.pod);
  // A row that lives and doesn't hold it: the container that had it has restarted or stopped, and
  // a result of the old epoch is refused from now on.
  const bool lives =
      row && (row->status.state == api::kAvailable || row->status.state == api::kAssigned ||
              row->status.state == api::kProvisioning);
  if (lives) return LeasedRows(operation).empty();
  // A Pod that was removed by force may live on for a moment: its stream says so.
  const auto worker = row ? env_.workers.Facts(row->status.pod_uid) : std::nullopt;
  if (worker && worker->connected &&
      env_.clock.Monotonic() - worker->heard < env_.settings.leader_grace) {
    return false;
  }
  const PodFacts cached = FactsOf(env_.cluster.Get(kube::kPods, ns, operation.status.pod));
  if (cached.alive()) return false;
  const auto pod = env_.cluster.Fetch(kube::kPods, ns, operation.status.pod);
  if (!pod) {
    if (pod.error().code == Code::kNotFound) return true;
    return pod.error();
  }
  return FactsOf(std::make_shared<const api::Json>(*pod)).ended;
}

std::vector<api::BackupPodPtr> OperationReconciler::LeasedRows(
    const api::Operation& operation) const {
  auto rows = env_.cluster.RowsOf(operation.metadata.ns, operation.spec.request_ref.name);
  std::erase_if(rows, [&](const api::BackupPodPtr& row) {
    return !row->status.lease || row->status.lease->operation != operation.metadata.name;
  });
  return rows;
}

Result<Again> OperationReconciler::Cancel(api::Operation& operation, const std::string& reason,
                                          const std::string& message) {
  MoveToCancelled(operation, reason, message, env_.NowText());
  return Finish(operation);
}

Result<Again> OperationReconciler::Fail(api::Operation& operation, const std::string& error_class,
                                        const std::string& message) {
  MoveToFailed(operation, error_class, message, env_.NowText());
  return Finish(operation);
}

Result<Again> OperationReconciler::Finish(api::Operation& operation) {
  LS_RETURN_IF_ERROR(Write(operation));
  AnnounceFinished(env_.events, operation);
  return Again();
}

Status OperationReconciler::Write(api::Operation& operation) {
  LS_RETURN_IF_ERROR(WriteStatusSurely(env_.cluster, operation));
  env_.tally.operation_moved(operation.status.state);
  env_.Wake(kRequestKey, operation.metadata.ns, operation.spec.request_ref.name);
  return {};
}

}  // namespace longshore::controller
