// SPDX-License-Identifier: Apache-2.0
//
// PodReconciler: the end of a pod, and what all states share. A pod goes in four steps: withdrawn
// and said so, asked to retire, deleted once it has agreed that nothing runs, and deconstructed
// when its Pod is gone. A worker that is busy refuses, and then nothing is deleted.
#include "common/base/log.h"
#include "controller/announcements.h"
#include "controller/clip.h"
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

constexpr seconds kAskAgain{5};

bool Ours(const std::string& reason) {
  return reason == kReasonIdle || reason == kReasonRequestEnded || reason == kReasonResized ||
         reason == kReasonRowDeleted || reason == kReasonImageChanged ||
         reason == kReasonPolicyChanged || reason == kReasonMemoryRaised;
}

}  // namespace

Status PodReconciler::BeginDraining(api::BackupPod& row, const std::string& reason,
                                    const std::string& message,
                                    std::vector<api::DecisionInput> inputs) {
  LS_CHECK(!row.status.lease);
  const bool offered = row.status.state == api::kAvailable;
  row.status.decision_inputs = std::move(inputs);
  LS_RETURN_IF_ERROR(MoveRow(row, api::kDraining, reason, message));
  if (offered) AnnounceWithdrawn(env_.events, row);
  env_.Wake(kPodKey, row.metadata.ns, row.metadata.name);
  return {};
}

Result<Again> PodReconciler::OnDraining(Seen& seen) {
  if (!seen.pod.exists) {
    LS_ASSIGN_OR_RETURN(const bool gone, Gone(seen));
    if (!gone) return Again(kSoon);
    if (!Ours(seen.row.status.reason)) return EndByLoss(seen);
    LS_RETURN_IF_ERROR(
        Move(seen, api::kDeconstructed, seen.row.status.reason, seen.row.status.message));
    AnnounceDeconstructed(env_.events, seen.row);
    return Again(milliseconds(0));
  }
  // Its worker does not exit, and the Pod not go, before it has got rid of what it holds.
  if (SettleStaleResult(seen)) return Again(milliseconds(0));
  if (seen.pod.deleting) return Again(kLookAgain);
  const MonotonicTime now = env_.clock.Monotonic();
  const MonotonicTime changed = seen.worker ? seen.worker->changed : env_.started;
  const auto waited = std::min<std::chrono::nanoseconds>(
      now - changed, Waited(seen.row.status.last_transition_time, env_.clock.Now()));
  // What never was offered has nothing in flight; nor has what has ended or said so.
  const bool never_offered = seen.row.status.node_name.empty() && seen.row.status.epoch == 0;
  const bool silent = !seen.Heard(now, env_.settings.drain_silence) && !env_.Listening() &&
                      waited > env_.settings.drain_silence;
  const bool agreed = seen.worker && seen.worker->gate_closed;
  if (seen.pod.ended || never_offered || silent || agreed) {
    kube::DeleteOptions options;
    options.uid = seen.pod.uid;
    const Status deleted =
        env_.cluster.Delete(kube::kPods, seen.row.metadata.ns, seen.row.metadata.name, options);
    if (!deleted && deleted.error().code != Code::kNotFound) return deleted.error();
    return Again(kSoon);
  }
  if (!seen.connected()) return Again(kAskAgain);
  if (!seen.worker->retire_sent || now - *seen.worker->retire_sent >= kAskAgain) {
    messages::ControllerMessage message;
    message.mutable_retire();
    env_.workers.Send(seen.row.status.pod_uid, message);
  }
  return Again(kAskAgain);
}

// ---- a node that does not answer ---------------------------------------------------------------

bool PodReconciler::NodeIsLost(const Seen& seen) const {
  if (seen.pod.node.empty()) return false;
  const auto view = env_.cluster.View();
  const placement::NodeInfo* node = view->Node(seen.pod.node);
  return node == nullptr || !node->ready;
}

// Its Pod should be gone for long, and nobody is there to remove it: the cluster itself waits until
// the Node is deleted or marked as out of service.
bool PodReconciler::Unremovable(const Seen& seen) const {
  const bool ended = api::Ended(seen.row.status.state);
  if (ended || !seen.pod.alive() || !seen.pod.deleting || env_.Listening()) return false;
  if (Since(seen.pod.deletion_time, env_.clock.Now()) < env_.settings.stall_grace) return false;
  return !seen.Heard(env_.clock.Monotonic(), env_.settings.drain_silence) && NodeIsLost(seen);
}

// The row ends, so that the crew is not held up. Its Pod may still run, as far as anybody knows: it
// counts toward the most that may, and its operation begins anew only when it is gone.
Result<Again> PodReconciler::OnNodeLost(Seen& seen) {
  seen.pod.end_reason = kReasonNodeLost;
  seen.pod.end_message =
      "node " + seen.pod.node +
      " does not answer, and its Pod cannot be removed. If the machine is off, delete the Node or "
      "taint it with node.kubernetes.io/out-of-service=nodeshutdown:NoExecute: until then the Pod "
      "counts as running";
  const auto& lease = seen.row.status.lease;
  auto operation = lease && !lease->operation.empty()
                       ? Find<api::Operation>(env_.cluster, seen.row.metadata.ns, lease->operation)
                       : std::nullopt;
  if (operation && Active(*operation) && Holds(seen.row, *operation)) {
    return InterruptByLoss(seen, *operation, EndingOf(seen.pod));
  }
  return EndByLoss(seen);
}

// Removed by force, without its finalizer: the cluster deletes its Pod. A result that still comes
// is written.
Result<Again> PodReconciler::OnMissingRow(const std::string& ns, const std::string& name) {
  const auto pod = env_.cluster.Get(kube::kPods, ns, name);
  if (!pod) {
    env_.workers.ForgetPod(ns, name);
    return Again();
  }
  LS_RETURN_IF_ERROR(TakeOrphanedResult(ns, name, FactsOf(pod)));
  return Again();
}

// Of a Pod that has no row any more.
Status PodReconciler::TakeOrphanedResult(const std::string& ns, const std::string& name,
                                         const PodFacts& pod) {
  const auto worker = env_.workers.Facts(pod.uid);
  if (!worker || !worker->result) {
    env_.workers.Forget(pod.uid);
    return {};
  }
  const messages::OperationResult& result = *worker->result;
  auto operation = Find<api::Operation>(env_.cluster, ns, result.operation());
  const bool waits = operation && Active(*operation) && operation->status.pod == name &&
                     operation->status.epoch == static_cast<int64_t>(result.epoch());
  if (waits) {
    TakeResult(*operation, WithEnding(HeldToRecord(env_.cluster, *operation, result), pod),
               env_.NowText());
    LS_RETURN_IF_ERROR(WriteOperation(*operation));
    if (api::Terminal(operation->status.state)) AnnounceFinished(env_.events, *operation);
  }
  SendReleased(pod.uid, result.epoch());
  return {};
}

// ---- what all states share ---------------------------------------------------------------------

bool PodReconciler::SettleStaleResult(const Seen& seen) {
  if (!seen.connected() || !seen.worker->result) return false;
  const auto epoch = static_cast<int64_t>(seen.worker->result->epoch());
  if (seen.row.status.lease && seen.row.status.lease->epoch == epoch) return false;
  // Its operation was settled before (a row is freed only after that) or has another attempt.
  SendReleased(seen.row.status.pod_uid, seen.worker->result->epoch());
  return true;
}

void PodReconciler::SendReleased(const std::string& pod_uid, uint64_t epoch) {
  messages::ControllerMessage message;
  message.mutable_released()->set_epoch(epoch);
  env_.workers.Send(pod_uid, message);
}

void PodReconciler::SendCancel(const std::string& pod_uid, uint64_t epoch) {
  messages::ControllerMessage message;
  message.mutable_cancel()->set_epoch(epoch);
  env_.workers.Send(pod_uid, message);
}

// A worker that holds nothing leaves at once on SIGTERM. It may have missed it: it is the first
// process of its container, for which the kernel drops a signal that comes before it is handled,
// as when its Pod is deleted while the container starts. Then it would stay for its whole grace.
void PodReconciler::TellOfDeletion(const Seen& seen) {
  const bool offered = seen.row.status.state == api::kAvailable;
  if (!seen.pod.deleting || !seen.connected() || seen.row.status.lease || offered) return;
  if (seen.worker->stop_sent || seen.worker->running_epoch != 0) return;
  messages::ControllerMessage message;
  message.mutable_stop();
  env_.workers.Send(seen.worker->identity.uid, message);
}

void PodReconciler::StopWork(const WorkerFacts& worker) {
  if (worker.cancel_sent < worker.running_epoch) {
    SendCancel(worker.identity.uid, worker.running_epoch);
  }
}

Status PodReconciler::Move(Seen& seen, const char* state, const std::string& reason,
                           const std::string& message) {
  return MoveRow(seen.row, state, reason, message);
}

Status PodReconciler::MoveRow(api::BackupPod& row, const char* state, const std::string& reason,
                              const std::string& message) {
  const std::string before = api::StateOf(row), reason_before = row.status.reason;
  row.status.state = state;
  row.status.reason = reason;
  row.status.message = Clip(message);
  row.status.last_transition_time = env_.NowText();
  LS_RETURN_IF_ERROR(WriteStatusSurely(env_.cluster, row));
  LogInfo("pod moved", {{"pod", row.metadata.Key()},
                        {"from", before},
                        {"to", state},
                        {"reason", reason},
                        {"node", row.status.node_name}});
  const bool moved = before != state, other_reason = reason != reason_before;
  if (moved) env_.tally.pod_moved(state);
  const bool refused = !moved && before == api::kPlanned && other_reason;
  // Why it is deconstructed was said when it began to drain.
  const bool news = moved && (other_reason || state != std::string(api::kDeconstructed));
  const bool warning =
      refused || state == std::string(api::kFailed) || state == std::string(api::kLost);
  if (news || refused) {
    env_.cluster.Event(ToJson(row), warning, reason, state, row.status.message);
  }
  env_.Wake(kRequestKey, row.metadata.ns, row.spec.request_ref.name);
  return {};
}

Result<Again> PodReconciler::EndByLoss(Seen& seen) {
  // Gone before it was told so, or ended by itself: what others did, with their reason.
  const bool ended = seen.pod.ended;
  std::string reason = seen.pod.end_reason.empty() ? "PodDeleted" : seen.pod.end_reason;
  std::string message = seen.pod.end_message;
  if (seen.row.status.state == api::kDraining && !ended && !seen.pod.exists) {
    reason = seen.row.status.reason;
    message = seen.row.status.message;
  }
  if (message.empty()) message = ended ? "the Pod ended" : "the Pod is gone";
  const bool offered = seen.row.status.state == api::kAvailable;
  seen.row.status.lease.reset();
  LS_RETURN_IF_ERROR(Move(seen, ended ? api::kFailed : api::kLost, reason, message));
  if (offered) AnnounceWithdrawn(env_.events, seen.row);
  AnnounceLost(env_.events, seen.row);
  return Again(milliseconds(0));
}

Result<bool> PodReconciler::Gone(const Seen& seen) {
  if (seen.pod.exists) return false;
  const auto pod = env_.cluster.Fetch(kube::kPods, seen.row.metadata.ns, seen.row.metadata.name);
  if (pod) return kube::UidOf(*pod) != seen.row.status.pod_uid && !seen.row.status.pod_uid.empty();
  if (pod.error().code == Code::kNotFound) return true;
  return pod.error();
}

// The Pod's readiness gate. A JSON patch touches our condition only, and fails if the list moved.
Result<Again> PodReconciler::SyncCondition(const Seen& seen, bool available) {
  const std::string wanted = available ? "True" : "False";
  if (!seen.pod.exists || seen.pod.available_condition == wanted) return Again();
  const api::Json condition = {{"type", kAvailableCondition},
                               {"status", wanted},
                               {"reason", available ? "Idle" : "Withdrawn"},
                               {"lastTransitionTime", FormatTimeSeconds(env_.clock.Now())}};
  api::Json patch = api::Json::array();
  if (seen.pod.available_index < 0) {
    patch.push_back({{"op", "add"}, {"path", "/status/conditions/-"}, {"value", condition}});
  } else {
    const std::string path = "/status/conditions/" + std::to_string(seen.pod.available_index);
    patch.push_back({{"op", "test"}, {"path", path + "/type"}, {"value", kAvailableCondition}});
    patch.push_back({{"op", "replace"}, {"path", path}, {"value", condition}});
  }
  const auto patched = env_.cluster.Patch(kube::kPods, seen.row.metadata.ns, seen.row.metadata.name,
                                          kube::PatchType::kJson, patch, "status");
  if (!patched && patched.error().code != Code::kNotFound) return patched.error();
  return Again();
}

}  // namespace longshore::controller
