// SPDX-License-Identifier: Apache-2.0
//
// The state machine of one backup pod, driven by what is observed: its row, its Pod, its worker's
// stream, its request and operation. Level-based: Reconcile may be called at any time, any number
// of times, by a controller that has just started, and does what is missing. docs/pod-states.md is
// the table that this code reads like. Runs on the reconcile thread only.
#pragma once

#include <chrono>
#include <map>
#include <string>

#include "common/base/log_limit.h"
#include "controller/busy_budget.h"
#include "controller/crew.h"
#include "controller/environment.h"
#include "controller/pace.h"
#include "controller/pod_facts.h"

namespace longshore::controller {

// Reasons of a row that drains because we wanted it gone; any other was somebody else's doing.
inline constexpr char kReasonIdle[] = "Idle";
inline constexpr char kReasonRequestEnded[] = "RequestEnded";
inline constexpr char kReasonRowDeleted[] = "RowDeleted";
inline constexpr char kReasonImageChanged[] = "ImageChanged";
inline constexpr char kReasonPolicyChanged[] = "PolicyChanged";
inline constexpr char kReasonMemoryRaised[] = "MemoryRaised";
inline constexpr char kReasonResized[] = "Resized";
inline constexpr char kReasonWorkerSilent[] = "WorkerSilent";
// Of a row whose Pod cannot be removed, since its node does not answer.
inline constexpr char kReasonNodeLost[] = "NodeLost";
// Of a row whose operation neither moves nor is ended by its worker.
inline constexpr char kReasonStalled[] = "Stalled";

// Why no pod may start or take work for the request any more; empty: it goes on.
std::string EndOfRequest(const std::optional<api::ComputeRequest>& request, WallTime now);
// Since when that is so of a request that is there; empty: it goes on.
std::optional<WallTime> EndingSince(const api::ComputeRequest& request, WallTime now);

class PodReconciler {
 public:
  PodReconciler(Environment& env, Pace& pace) : env_(env), pace_(pace), budget_(env) {}

  Result<Again> Reconcile(const std::string& ns, const std::string& name);

  // Any state before Draining -> Draining, withdrawn and said so. Never of a pod with an operation.
  Status BeginDraining(api::BackupPod& row, const std::string& reason, const std::string& message,
                       std::vector<api::DecisionInput> inputs = {});

 private:
  static constexpr std::chrono::milliseconds kSoon{500};  // the cache has to catch up
  static constexpr std::chrono::seconds kLookAgain{10};   // for what no event tells us

  // Everything that one visit observes; the row changes as it is written.
  struct Seen {
    api::BackupPod row;
    std::optional<api::ComputeRequest> request;
    PodFacts pod;
    std::optional<WorkerFacts> worker;
    std::string ending;  // why it may take no more work, or ""

    bool connected() const { return worker && worker->connected && worker->hello; }
    // Connected, and not silent for so long.
    bool Heard(MonotonicTime now, std::chrono::nanoseconds silence) const {
      return worker && worker->Present(now, silence);
    }
    // Of `ending`.
    const char* EndingReason() const {
      return row.metadata.deleting() ? kReasonRowDeleted : kReasonRequestEnded;
    }
  };

  Result<Again> Visit(Seen& seen);
  void SyncBudget(const Seen& seen);
  std::optional<api::PodPolicy> PolicyOf(const Seen& seen) const;

  // One for each state (pod_planned.cc, pod_reconciler.cc, pod_assigned.cc, pod_draining.cc); of a
  // Pod that no node has taken yet pod_unbound.cc.
  Result<Again> OnPlanned(Seen& seen);
  Result<Again> OnProvisioning(Seen& seen);
  Result<Again> OnAvailable(Seen& seen);
  Result<Again> OnAssigned(Seen& seen);
  Result<Again> OnDraining(Seen& seen);
  Result<Again> OnEnded(Seen& seen);
  Result<Again> OnEnding(Seen& seen);
  Result<Again> OnMissingRow(const std::string& ns, const std::string& name);
  Status TakeOrphanedResult(const std::string& ns, const std::string& name, const PodFacts& pod);
  bool NodeIsLost(const Seen& seen) const;
  bool Unremovable(const Seen& seen) const;
  Result<Again> OnNodeLost(Seen& seen);

  // Planned and Provisioning.
  Result<Again> OnHeldBack(Seen& seen);
  Result<Again> CreatePod(Seen& seen, const api::PodPolicy& policy, const api::SourceImage& image,
                          const api::BackupSource& source);
  Status Adopt(Seen& seen, const api::Json& pod);
  Result<Again> OnNotCreated(Seen& seen, const Error& error);
  Result<Again> OnUnbound(Seen& seen);
  std::chrono::nanoseconds TimeToBind(const Seen& seen) const;
  Search SearchOf(const Seen& seen) const;
  std::optional<std::chrono::nanoseconds> RequirementLeft(const Seen& seen) const;
  Result<Again> OnRequireTimedOut(Seen& seen);
  void FillPlacement(Seen& seen);
  void CountAvailable(const Seen& seen);
  Status ReportTrouble(Seen& seen);

  // Assigned.
  Result<Again> OnAcquired(Seen& seen);
  Result<Again> OnRunning(Seen& seen, api::Operation& operation);
  std::optional<std::string> Standstill(const Seen& seen, const api::Operation& operation) const;
  Result<Again> OnStandstill(Seen& seen, const std::string& message);
  Result<Again> InterruptByLoss(Seen& seen, api::Operation& operation, const std::string& why);
  Result<Again> OnPodLostUnder(Seen& seen, api::Operation& operation);
  Result<Again> OnRefused(Seen& seen, api::Operation& operation);
  Result<Again> OnNeverSeen(Seen& seen, api::Operation& operation);
  Result<Again> OnRestarted(Seen& seen, api::Operation& operation);
  Result<Again> OnResult(Seen& seen, api::Operation& operation);
  Result<Again> FreeAfter(Seen& seen, const api::Operation& operation);
  void NoteKill(Seen& seen);
  Status OnProgress(Seen& seen, api::Operation& operation);
  Result<Again> Interrupt(Seen& seen, api::Operation& operation, std::string message);
  Status WriteOperation(api::Operation& operation);
  Result<Again> Free(Seen& seen, const std::string& reason, const std::string& why = "");

  // Answers results that nobody waits for any more. Returns whether there was one.
  bool SettleStaleResult(const Seen& seen);
  void SendReleased(const std::string& pod_uid, uint64_t epoch);
  void SendCancel(const std::string& pod_uid, uint64_t epoch);
  // What no lease is for is nobody's: its operation has ended, has another attempt or is deleted.
  void StopWork(const WorkerFacts& worker);
  void TellOfDeletion(const Seen& seen);

  // Writes the row's new state; logs, counts, wakes the request.
  Status Move(Seen& seen, const char* state, const std::string& reason, const std::string& message);
  Status MoveRow(api::BackupPod& row, const char* state, const std::string& reason,
                 const std::string& message);
  // -> Failed or Lost by what became of the Pod; announces the loss.
  Result<Again> EndByLoss(Seen& seen);
  // Whether the Pod of this row is certainly not there (asks the API, not the cache).
  Result<bool> Gone(const Seen& seen);
  Result<Again> SyncCondition(const Seen& seen, bool available);

  Environment& env_;
  Pace& pace_;
  BusyBudget budget_;
  LogLimit budget_log_;
};

}  // namespace longshore::controller
