// SPDX-License-Identifier: Apache-2.0
#include "controller/pod_reconciler.h"

#include "common/base/log.h"
#include "controller/announcements.h"
#include "controller/clip.h"
#include "controller/finalizer.h"
#include "controller/waited.h"

namespace longshore::controller {
using std::chrono::milliseconds;
using std::chrono::seconds;

std::string EndOfRequest(const std::optional<api::ComputeRequest>& request, WallTime now) {
  if (!request) return "the request is gone";
  if (request->metadata.deleting()) return "the request is being deleted";
  if (EndingSince(*request, now)) {
    return "the request's lifetime of " + std::to_string(*request->spec.lifetime_seconds) +
           " s is over";
  }
  return "";
}

std::optional<WallTime> EndingSince(const api::ComputeRequest& request, WallTime now) {
  const api::ObjectMeta& meta = request.metadata;
  const bool deleting = meta.deleting();
  const auto& lifetime = request.spec.lifetime_seconds;
  const auto time = ParseTime(deleting ? meta.deletion_timestamp : meta.creation_timestamp);
  if (!time || (!deleting && !lifetime)) return std::nullopt;
  const seconds lasts(deleting ? 0 : *lifetime);
  if (!deleting && now - *time < lasts) return std::nullopt;
  return *time + lasts;
}

Result<Again> PodReconciler::Reconcile(const std::string& ns, const std::string& name) {
  auto row = Find<api::BackupPod>(env_.cluster, ns, name);
  if (!row) return OnMissingRow(ns, name);
  Seen seen;
  seen.row = *std::move(row);
  seen.request = Find<api::ComputeRequest>(env_.cluster, ns, seen.row.spec.request_ref.name);
  seen.ending = seen.row.metadata.deleting() ? "its BackupPod is being deleted"
                                             : EndOfRequest(seen.request, env_.clock.Now());
  seen.pod = FactsOf(env_.cluster.Get(kube::kPods, ns, name));
  const std::string& uid = seen.row.status.pod_uid;
  if (!uid.empty() && seen.pod.uid != uid) seen.pod = PodFacts{};  // another Pod of that name
  if (!uid.empty()) seen.worker = env_.workers.Facts(uid);

  const Result<Again> again = Visit(seen);
  if (again) TellOfDeletion(seen);  // what failed may not have withdrawn it
  SyncBudget(seen);
  return again;
}

Result<Again> PodReconciler::Visit(Seen& seen) {
  const std::string& state = seen.row.status.state;
  if (state.empty() || state == api::kPlanned) return OnPlanned(seen);
  if (Unremovable(seen)) return OnNodeLost(seen);
  if (state == api::kProvisioning) return OnProvisioning(seen);
  if (state == api::kAvailable) return OnAvailable(seen);
  if (state == api::kAssigned) return OnAssigned(seen);
  if (state == api::kDraining) return OnDraining(seen);
  return OnEnded(seen);
}

// It may not take work any more, and has none.
Result<Again> PodReconciler::OnEnding(Seen& seen) {
  LS_RETURN_IF_ERROR(BeginDraining(seen.row, seen.EndingReason(), seen.ending));
  return Again(milliseconds(0));
}

// Whether the Pod is safe from evictions follows from what the visit made of its row. Nothing waits
// for it: what fails is repeated with the next visit.
void PodReconciler::SyncBudget(const Seen& seen) {
  const bool busy = seen.row.status.state == api::kAssigned && seen.row.status.lease &&
                    !seen.row.status.lease->operation.empty();
  const auto pod = env_.cluster.Get(kube::kPods, seen.row.metadata.ns, seen.row.metadata.name);
  const bool ours = pod && kube::UidOf(*pod) == seen.row.status.pod_uid;
  const Status done = ours ? budget_.Sync(*pod, busy)
                           : budget_.Forget(seen.row.metadata.ns, seen.row.metadata.name);
  if (!done && done.error().code != Code::kNotFound && budget_log_.Admit("")) {
    LogWarn("a busy pod is not protected from evictions, or an idle one is",
            {{"pod", seen.row.metadata.Key()}, {"error", done.error().ToString()}});
  }
}

std::optional<api::PodPolicy> PodReconciler::PolicyOf(const Seen& seen) const {
  if (!seen.request) return std::nullopt;
  return Find<api::PodPolicy>(env_.cluster, seen.row.metadata.ns,
                              seen.request->spec.policy_ref.name);
}

// ---- Provisioning: the Pod exists; it is scheduled, started, and its worker dials in ----------

Result<Again> PodReconciler::OnProvisioning(Seen& seen) {
  if (!seen.pod.alive()) {
    LS_ASSIGN_OR_RETURN(const bool gone, Gone(seen));
    if (!gone && !seen.pod.ended) return Again(kSoon);
    return EndByLoss(seen);
  }
  if (!seen.ending.empty()) return OnEnding(seen);
  if (seen.pod.node.empty()) return OnUnbound(seen);
  if (SettleStaleResult(seen)) return Again(milliseconds(0));
  const bool present = seen.Heard(env_.clock.Monotonic(), env_.settings.offer_silence);
  if (present && !seen.pod.deleting && seen.worker->gate_closed) {
    LS_RETURN_IF_ERROR(BeginDraining(seen.row, "GateClosed", "the worker takes no more work"));
    return Again(milliseconds(0));
  }
  if (!present || seen.pod.deleting) {
    const auto silent = Waited(seen.row.status.last_transition_time, env_.clock.Now());
    if (!seen.pod.deleting && seen.row.status.reason == kReasonWorkerSilent &&
        silent > env_.settings.stall_grace && NodeIsLost(seen)) {
      LS_RETURN_IF_ERROR(BeginDraining(seen.row, kReasonNodeLost,
                                       "its node " + seen.pod.node + " does not answer"));
      return Again(milliseconds(0));
    }
    LS_RETURN_IF_ERROR(ReportTrouble(seen));
    return Again(kLookAgain);
  }
  // Freed while it could not be reached, and still at it.
  if (seen.worker->running_epoch != 0) {
    StopWork(*seen.worker);
    return Again(kLookAgain);
  }
  const auto source = Find<api::BackupSource>(env_.cluster, seen.row.spec.source_ref.ns,
                                              seen.row.spec.source_ref.name);
  if (source && !seen.worker->kind.empty() && seen.worker->kind != source->spec.kind) {
    LS_RETURN_IF_ERROR(
        Move(seen, api::kFailed, "WrongImage",
             "the image's worker is for kind " + seen.worker->kind + "; correct the SourceImage"));
    AnnounceLost(env_.events, seen.row);
    return Again(milliseconds(0));
  }
  const bool back = seen.row.status.reason == kReasonWorkerSilent;
  FillPlacement(seen);
  LS_RETURN_IF_ERROR(Move(seen, api::kAvailable, back ? "Reconnected" : "WorkerReady",
                          "the worker is connected and its tools answer"));
  AnnounceAvailable(env_.events, seen.row, back ? "Reconnected" : seen.row.spec.cause);
  if (!back) CountAvailable(seen);
  pace_.Reached(seen.row, Pace::Step::kWorks);
  return SyncCondition(seen, true);
}

// How long it took: since the row, and since the crossing that it is the answer to, as long as the
// decision about that is the request's last.
void PodReconciler::CountAvailable(const Seen& seen) {
  const WallTime now = env_.clock.Now();
  env_.tally.planned_to_available(Since(seen.row.metadata.creation_timestamp, now));
  const std::string& crossing = seen.request->status.last_decision.crossing_time;
  if (seen.row.spec.cause == api::kCauseThreshold && !crossing.empty()) {
    env_.tally.crossing_to_announced(Since(crossing, now));
  }
}

void PodReconciler::FillPlacement(Seen& seen) {
  api::BackupPodStatus& status = seen.row.status;
  status.pod_ip = seen.pod.ip;
  if (!status.node_name.empty()) return;
  status.node_name = seen.pod.node;
  // A new leader was not told what was said before it: that is unknown, not "without".
  if (env_.verdicts.Has(status.pod_uid)) {
    status.vetting = "Extender";
  } else if (!env_.Listening()) {
    status.vetting = "WithoutExtender";
  }
  status.tier = placement::TierName(placement::Tier::kUnknown);
  const auto source = Find<api::BackupSource>(env_.cluster, seen.row.spec.source_ref.ns,
                                              seen.row.spec.source_ref.name);
  const auto view = env_.cluster.View();
  const placement::NodeInfo* node = view->Node(seen.pod.node);
  if (source && node != nullptr) {
    status.tier =
        placement::TierName(placement::Nearness(placement::Locate(*source, *view), *node));
  }
}

// Puts the trouble of a pod that should have started by now into the row, once.
Status PodReconciler::ReportTrouble(Seen& seen) {
  const WallTime now = env_.clock.Now();
  const auto waited = Waited(seen.row.status.last_transition_time, now);
  if (waited < env_.settings.trouble_grace) return {};
  std::string reason = seen.pod.trouble, message = seen.pod.trouble_message;
  if (reason.empty() && seen.pod.running) {
    reason = "WorkerNotConnected";
    message =
        "the container runs, but its worker has not dialled the controller; see its logs, "
        "and that pods may reach " +
        env_.settings.controller_endpoint;
  } else if (reason.empty() && !seen.pod.node.empty()) {
    const std::string& bound = seen.pod.bound_since;
    const auto at_it = bound.empty() ? waited : std::min(waited, Waited(bound, now));
    const bool late = at_it >= env_.settings.start_deadline;
    reason = late ? kReasonStartDeadlineExceeded : kReasonContainerCreating;
    message = late ? "node " + seen.pod.node + " has made no container in " +
                         FormatDuration(env_.settings.start_deadline)
                   : "node " + seen.pod.node + " still makes its container";
    message +=
        " (pulls the image, mounts volumes), or its kubelet does not answer; see `kubectl "
        "describe pod`";
  }
  const bool known = reason.empty() || seen.row.status.reason == reason ||
                     seen.row.status.reason == kReasonWorkerSilent;
  if (known) return {};
  const std::string since = seen.row.status.last_transition_time;
  seen.row.status.reason = reason;
  seen.row.status.message = Clip(message);
  LS_RETURN_IF_ERROR(WriteStatus(env_.cluster, seen.row));
  // That no node has room, or a pull takes long, is no reason to try others one by one.
  const bool failed = reason != "Unschedulable" && reason != kReasonContainerCreating;
  if (failed) pace_.Failed(seen.row, Pace::Step::kWorks);
  LogWarn("pod has trouble starting",
          {{"pod", seen.row.metadata.Key()}, {"reason", reason}, {"message", message}});
  env_.cluster.Event(ToJson(seen.row), true, reason, "Provisioning", message);
  env_.Wake(kRequestKey, seen.row.metadata.ns, seen.row.spec.request_ref.name);
  return {};
}

// ---- Available: offered, without an operation -------------------------------------------------

Result<Again> PodReconciler::OnAvailable(Seen& seen) {
  if (!seen.pod.alive()) {
    LS_ASSIGN_OR_RETURN(const bool gone, Gone(seen));
    if (!gone && !seen.pod.ended) return Again(kSoon);
    return EndByLoss(seen);
  }
  if (seen.pod.deleting) {
    const std::string reason = seen.pod.end_reason.empty() ? "PodDeleted" : seen.pod.end_reason;
    LS_RETURN_IF_ERROR(BeginDraining(seen.row, reason, "the Pod is being deleted"));
    return Again(milliseconds(0));
  }
  if (!seen.ending.empty()) return OnEnding(seen);
  if (SettleStaleResult(seen)) return Again(milliseconds(0));
  const MonotonicTime now = env_.clock.Monotonic();
  const milliseconds silence = env_.settings.offer_silence;
  // A connection that has just been lost may be back within the silence that we allow.
  if (!seen.worker || now - seen.worker->heard > silence) {
    if (env_.Listening()) return Again(env_.ListensFor());
    LS_RETURN_IF_ERROR(Move(seen, api::kProvisioning, kReasonWorkerSilent,
                            "nothing was heard of the worker; offered again when it is back"));
    AnnounceWithdrawn(env_.events, seen.row);
    return SyncCondition(seen, false);
  }
  LS_ASSIGN_OR_RETURN(const Again again, SyncCondition(seen, true));
  if (again) return again;
  // A stream that ends, or falls silent, wakes us.
  return seen.worker->connected ? Again() : Again(silence);
}

// ---- Failed, Lost, Deconstructed --------------------------------------------------------------

Result<Again> PodReconciler::OnEnded(Seen& seen) {
  // A second Pod that was made for it, while it was not seen that it had one: nobody else's.
  const auto named = env_.cluster.Get(kube::kPods, seen.row.metadata.ns, seen.row.metadata.name);
  if (!seen.pod.exists && named && MadeFor(*named, seen.row.metadata.uid)) {
    seen.pod = FactsOf(named);
  }
  if (seen.pod.exists && !seen.pod.deleting) {
    kube::DeleteOptions options;
    options.uid = seen.pod.uid;
    const Status deleted =
        env_.cluster.Delete(kube::kPods, seen.row.metadata.ns, seen.row.metadata.name, options);
    if (!deleted && deleted.error().code != Code::kNotFound) return deleted.error();
    return Again(kSoon);
  }
  SettleStaleResult(seen);
  if (seen.pod.exists) return Again(kLookAgain);
  // Its Pod was removed by force, its process lives on: stop what it does before that begins anew.
  if (seen.connected()) StopWork(*seen.worker);
  env_.workers.Forget(seen.row.status.pod_uid);
  env_.usage.Sweep();  // of this one later, with one that ends then
  // Operations that were interrupted here may be tried elsewhere now.
  for (const auto& operation : ReadAll<api::Operation>(
           env_.cluster.OperationsOf(seen.row.metadata.ns, seen.row.spec.request_ref.name))) {
    if (operation.status.pod == seen.row.metadata.name && !api::Terminal(operation.status.state)) {
      env_.Wake(kOperationKey, operation.metadata.ns, operation.metadata.name);
    }
  }
  env_.Wake(kRequestKey, seen.row.metadata.ns, seen.row.spec.request_ref.name);
  if (seen.row.metadata.deleting()) {
    LS_RETURN_IF_ERROR(DropFinalizer(env_.cluster, kube::kBackupPods, seen.row.metadata));
  }
  return Again();
}

}  // namespace longshore::controller
