// SPDX-License-Identifier: Apache-2.0
//
// PodReconciler: a pod with a lease. The order of writes is always: row Assigned with epoch e ->
// operation Preparing with e -> Assign(e) sent -> ... -> operation's end written -> Released(e)
// sent
// -> row free. A crash between any two is continued from what the objects and the worker say.
#include "common/api/source_ref.h"
#include "common/base/log.h"
#include "controller/announcements.h"
#include "controller/assignment.h"
#include "controller/known_copy.h"
#include "controller/operation_moves.h"
#include "controller/pod_reconciler.h"
#include "controller/pod_template.h"
#include "controller/sure_write.h"
#include "controller/waited.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kStuckGrace{10};  // a worker that still can ends its tools
constexpr seconds kDeathGrace{5};   // until the kubelet has told how a container ended

// Whether it was given the work and has not said anything to that.
bool Asked(const WorkerFacts& worker, uint64_t epoch) {
  const bool refused = worker.reply && worker.reply->epoch() == epoch;
  return worker.assign_sent == epoch && worker.last_epoch < epoch && !refused;
}

bool EndedOutOfMemory(const api::Operation& operation) {
  const auto& error = operation.status.error;
  return error && error->error_class == api::kOutOfMemoryClass;
}

// The API could not say; anything else is the operation's own fault and ends it.
bool Passing(const Error& error) {
  return error.code == Code::kUnavailable || error.code == Code::kDeadlineExceeded ||
         error.code == Code::kResourceExhausted || error.code == Code::kConflict;
}

}  // namespace

Result<Again> PodReconciler::OnAssigned(Seen& seen) {
  if (!seen.row.status.lease) return Free(seen, "NoLease");
  const api::PodLease& lease = *seen.row.status.lease;
  if (lease.operation.empty()) return OnAcquired(seen);
  auto operation = Find<api::Operation>(env_.cluster, seen.row.metadata.ns, lease.operation);
  if (!operation) {
    // Deleted under it. A worker that works on it, or may not have heard of it yet, is told to
    // stop; its result, or its refusal, frees the pod.
    const auto epoch = static_cast<uint64_t>(lease.epoch);
    if (seen.connected() && (seen.worker->running_epoch == epoch || Asked(*seen.worker, epoch))) {
      if (seen.worker->cancel_sent != epoch) SendCancel(seen.row.status.pod_uid, epoch);
      return Again(kLookAgain);
    }
    return Free(seen, "OperationDeleted");
  }
  if (!Holds(seen.row, *operation)) {
    if (!Waiting(*operation) || operation->spec.cancel) return Free(seen, "NotNeeded");
    MoveToPreparing(*operation, seen.row.metadata.name, seen.row.status.node_name, lease.epoch,
                    env_.NowText());
    LS_RETURN_IF_ERROR(WriteOperation(*operation));
    AnnounceStarted(env_.events, *operation);
  }
  if (!Active(*operation)) return FreeAfter(seen, *operation);
  return OnRunning(seen, *operation);
}

// Held by the storage manager, without an operation yet.
Result<Again> PodReconciler::OnAcquired(Seen& seen) {
  if (!seen.pod.alive()) return EndByLoss(seen);
  const auto expires = ParseTime(seen.row.status.lease->expires);
  if (!expires) return Free(seen, "LeaseUnreadable");
  const WallTime now = env_.clock.Now();
  if (*expires <= now) return Free(seen, "LeaseExpired");
  if (!seen.ending.empty()) return Free(seen, seen.EndingReason());
  return Again(std::chrono::ceil<milliseconds>(*expires - now));
}

Result<Again> PodReconciler::OnRunning(Seen& seen, api::Operation& operation) {
  const auto epoch = static_cast<uint64_t>(seen.row.status.lease->epoch);
  if (!seen.pod.alive()) return OnPodLostUnder(seen, operation);
  if (SettleStaleResult(seen)) return Again(milliseconds(0));
  const bool ended = seen.worker && seen.worker->result && seen.worker->result->epoch() == epoch;
  if (!ended) {
    if (const auto standstill = Standstill(seen, operation)) return OnStandstill(seen, *standstill);
  }
  if (!seen.connected()) {
    // The operation may go on behind a broken connection. Only a container that is known not to
    // run has certainly lost it.
    const MonotonicTime now = env_.clock.Monotonic();
    const MonotonicTime heard = seen.worker ? seen.worker->changed : env_.started;
    const bool dead = !seen.pod.running && now - heard > env_.settings.trouble_grace;
    if (dead) return Interrupt(seen, operation, "the worker's container stopped and stays down");
    return Again(kLookAgain);
  }
  const WorkerFacts& worker = *seen.worker;
  if (ended) return OnResult(seen, operation);
  if (worker.reply && worker.reply->epoch() == epoch && !worker.reply->accepted()) {
    return OnRefused(seen, operation);
  }
  const bool seen_by_worker = worker.last_epoch >= epoch;
  if (!seen_by_worker && worker.assign_sent != epoch) return OnNeverSeen(seen, operation);
  if (operation.spec.cancel && worker.cancel_sent != epoch) {
    SendCancel(seen.row.status.pod_uid, epoch);
  }
  if (worker.progress && worker.progress->epoch() == epoch) {
    LS_RETURN_IF_ERROR(OnProgress(seen, operation));
  }
  return Again(kLookAgain);
}

// The worker ends by itself what stands still for as long as its policy allows. One that does not
// is stuck, too, or cannot be reached: what it does ends with its Pod. Only what this leader has
// seen by its own clock counts.
std::optional<std::string> PodReconciler::Standstill(const Seen& seen,
                                                     const api::Operation& operation) const {
  const auto policy = PolicyOf(seen);
  const seconds limit(policy ? policy->spec.operation_limits.no_progress_seconds : 0);
  if (limit.count() <= 0) return std::nullopt;
  const MonotonicTime since =
      seen.worker ? std::max(env_.started, seen.worker->moved) : env_.started;
  const auto still = std::min<std::chrono::nanoseconds>(
      env_.clock.Monotonic() - since, Since(operation.status.start_time, env_.clock.Now()));
  if (still < limit + env_.settings.stall_grace) return std::nullopt;
  return "no progress for " + std::to_string(std::chrono::duration_cast<seconds>(still).count()) +
         " s, and the worker has not ended it (spec.operationLimits.noProgressSeconds of "
         "PodPolicy " +
         policy->metadata.name + " is " + std::to_string(limit.count()) +
         "); its Pod is deleted, and its database session ends with it";
}

Result<Again> PodReconciler::OnStandstill(Seen& seen, const std::string& message) {
  if (seen.row.status.reason != kReasonStalled) {
    LS_RETURN_IF_ERROR(Move(seen, api::kAssigned, kReasonStalled, message));
    env_.cluster.Event(ToJson(seen.row), true, kReasonStalled, "Assigned", message);
  }
  if (!seen.pod.deleting) {
    kube::DeleteOptions options;
    options.uid = seen.pod.uid;
    options.grace_period_seconds = kStuckGrace.count();
    const Status deleted =
        env_.cluster.Delete(kube::kPods, seen.row.metadata.ns, seen.row.metadata.name, options);
    if (!deleted && deleted.error().code != Code::kNotFound) return deleted.error();
  }
  return Again(kSoon);
}

// The worker does not know this epoch: assign it, unless it has known it before its restart.
Result<Again> PodReconciler::OnNeverSeen(Seen& seen, api::Operation& operation) {
  if (operation.status.state != api::kPreparing) {
    return OnRestarted(seen, operation);
  }
  if (operation.spec.cancel) {
    MoveToCancelled(operation, "Cancelled", "cancelled before the worker began", env_.NowText());
    LS_RETURN_IF_ERROR(WriteOperation(operation));
    AnnounceFinished(env_.events, operation);
    return Free(seen, "Released");
  }
  const std::string ns = operation.metadata.ns;
  const std::string source_ns = api::NamespaceOfSource(operation.spec.source_ref, ns);
  const auto source =
      Find<api::BackupSource>(env_.cluster, source_ns, operation.spec.source_ref.name);
  const auto policy = PolicyOf(seen);
  std::optional<api::BackupRepository> repository;
  if (policy) {
    repository = Find<api::BackupRepository>(env_.cluster, ns, policy->spec.repository_ref.name);
  }
  Result<messages::Assign> assign = NotFound("the source, policy or repository is gone");
  const std::string other = seen.request ? OtherSource(operation, *seen.request) : "";
  if (!other.empty()) {
    assign = InvalidArgument(other);
  } else if (source && repository) {
    assign = MakeAssign(env_.cluster, operation, *source, *repository,
                        policy->spec.operation_limits, seen.row.status.lease->epoch);
  }
  if (!assign) {
    if (Passing(assign.error())) return assign.error();
    MoveToFailed(operation, "Configuration", assign.error().message, env_.NowText());
    LS_RETURN_IF_ERROR(WriteOperation(operation));
    AnnounceFinished(env_.events, operation);
    return Free(seen, "Released");
  }
  messages::ControllerMessage message;
  *message.mutable_assign() = *std::move(assign);
  env_.workers.Send(seen.row.status.pod_uid, message);
  LogInfo("operation assigned", {{"operation", operation.metadata.Key()},
                                 {"pod", seen.row.metadata.name},
                                 {"epoch", seen.row.status.lease->epoch},
                                 {"attempt", operation.status.attempt}});
  return Again(kLookAgain);
}

// The new worker may be here before the kubelet has told how the old one ended, which is what says
// what to do about it.
Result<Again> PodReconciler::OnRestarted(Seen& seen, api::Operation& operation) {
  const bool told = DiedSince(seen.pod, operation.status.start_time);
  if (!told && env_.clock.Monotonic() - seen.worker->changed < kDeathGrace) return Again(kSoon);
  return Interrupt(seen, operation, "the worker's container restarted");
}

Result<Again> PodReconciler::OnRefused(Seen& seen, api::Operation& operation) {
  const std::string reason = seen.worker->reply->reason();
  // It has seen a higher epoch than we knew of: never give out a lower one again.
  seen.row.status.epoch =
      std::max(seen.row.status.epoch, static_cast<int64_t>(seen.worker->last_epoch));
  MoveToQueued(operation, "Refused", "the worker refused it: " + reason, env_.NowText());
  LS_RETURN_IF_ERROR(WriteOperation(operation));
  return Free(seen, "Refused");
}

Result<Again> PodReconciler::OnResult(Seen& seen, api::Operation& operation) {
  const messages::OperationResult result =
      WithEnding(HeldToRecord(env_.cluster, operation, *seen.worker->result), seen.pod);
  TakeResult(operation, result, env_.NowText());
  if (EndedOutOfMemory(operation)) NoteKill(seen);
  LS_RETURN_IF_ERROR(WriteOperation(operation));
  if (api::Terminal(operation.status.state)) AnnounceFinished(env_.events, operation);
  // Durable now: the worker may forget it.
  SendReleased(seen.row.status.pod_uid, result.epoch());
  return FreeAfter(seen, operation);
}

// Its attempt is over, and that is written.
Result<Again> PodReconciler::FreeAfter(Seen& seen, const api::Operation& operation) {
  if (!EndedOutOfMemory(operation)) return Free(seen, "Released");
  NoteKill(seen);
  return Free(seen, kReasonOOMKilled, operation.status.error->message);
}

// In the row, with what is written of it next. The request is visited before the operation, which
// gives work to whoever is free.
void PodReconciler::NoteKill(Seen& seen) {
  seen.row.status.out_of_memory = true;
  env_.Wake(kRequestKey, seen.row.metadata.ns, seen.row.spec.request_ref.name);
}

Status PodReconciler::OnProgress(Seen& seen, api::Operation& operation) {
  const std::string time = FormatTime(seen.worker->progress_time);
  if (operation.status.progress.time == time) return {};
  const auto progress = FromMessage(*seen.worker->progress, time);
  AnnounceProgress(env_.events, operation, progress);
  const auto written = Waited(operation.status.progress.time, env_.clock.Now());
  const bool due =
      operation.status.progress.time.empty() || written >= env_.settings.progress_write_interval;
  const bool changed = TakeProgress(operation, progress);
  if (!changed && !due) return {};
  return WriteOperation(operation);
}

Result<Again> PodReconciler::OnPodLostUnder(Seen& seen, api::Operation& operation) {
  LS_ASSIGN_OR_RETURN(const bool gone, Gone(seen));
  if (!gone && !seen.pod.ended) return Again(kSoon);
  // A result that arrived before the end counts.
  const auto epoch = static_cast<uint64_t>(seen.row.status.lease->epoch);
  if (seen.worker && seen.worker->result && seen.worker->result->epoch() == epoch) {
    return OnResult(seen, operation);
  }
  const bool stalled = seen.row.status.reason == kReasonStalled;
  const std::string why =
      stalled ? std::string(kReasonStalled) + ": " + seen.row.status.message : EndingOf(seen.pod);
  return InterruptByLoss(seen, operation, why);
}

Result<Again> PodReconciler::InterruptByLoss(Seen& seen, api::Operation& operation,
                                             const std::string& why) {
  MoveToInterrupted(operation, "the pod was lost: " + why, env_.NowText());
  LS_RETURN_IF_ERROR(WriteOperation(operation));
  return EndByLoss(seen);
}

Result<Again> PodReconciler::Interrupt(Seen& seen, api::Operation& operation, std::string message) {
  const bool told = DiedSince(seen.pod, operation.status.start_time);
  if (told) message += ": " + seen.pod.death.message;
  const bool of_memory = told && seen.pod.death.reason == kReasonOOMKilled;
  if (of_memory) NoteKill(seen);
  MoveToInterrupted(operation, message, env_.NowText());
  LS_RETURN_IF_ERROR(WriteOperation(operation));
  return Free(seen, of_memory ? kReasonOOMKilled : "Interrupted", message);
}

Status PodReconciler::WriteOperation(api::Operation& operation) {
  LS_RETURN_IF_ERROR(WriteStatusSurely(env_.cluster, operation));
  env_.tally.operation_moved(operation.status.state);
  env_.Wake(kOperationKey, operation.metadata.ns, operation.metadata.name);
  return {};
}

// Takes the lease from the row. The pod is offered again, or drains, or waits for its worker.
Result<Again> PodReconciler::Free(Seen& seen, const std::string& reason, const std::string& why) {
  const auto epoch =
      static_cast<uint64_t>(seen.row.status.lease ? seen.row.status.lease->epoch : 0);
  if (!seen.pod.alive()) {
    LS_ASSIGN_OR_RETURN(const bool gone, Gone(seen));
    if (!gone && !seen.pod.ended) return Again(kSoon);
    return EndByLoss(seen);
  }
  if (epoch != 0 && seen.connected() && seen.worker->released_sent != epoch) {
    SendReleased(seen.row.status.pod_uid, epoch);
  }
  seen.row.status.lease.reset();
  const bool offered = seen.ending.empty() && !seen.pod.deleting &&
                       seen.Heard(env_.clock.Monotonic(), env_.settings.offer_silence) &&
                       seen.worker->running_epoch == 0 && !seen.worker->gate_closed;
  if (!offered) {
    // Provisioning decides what becomes of it: drained, deleted, or offered when it is back.
    LS_RETURN_IF_ERROR(Move(seen, api::kProvisioning, kReasonWorkerSilent,
                            "free, but not offered: " + reason + (why.empty() ? "" : ": " + why)));
    return Again(milliseconds(0));
  }
  LS_RETURN_IF_ERROR(
      Move(seen, api::kAvailable, reason, "free again" + (why.empty() ? "" : ": " + why)));
  AnnounceAvailable(env_.events, seen.row, api::kCauseReleased);
  return Again(env_.settings.offer_silence);
}

}  // namespace longshore::controller
