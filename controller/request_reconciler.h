// SPDX-License-Identifier: Apache-2.0
//
// A ComputeRequest from acceptance to its end: decides how many pods there should be, writes that
// down, and then makes rows or drains pods until it is so. Level-based; runs on the reconcile
// thread. What it keeps in memory only delays decisions after a restart, never changes them.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "common/scaling/deadline.h"
#include "common/scaling/scaling.h"
#include "controller/acceptance.h"
#include "controller/crew.h"
#include "controller/dispatcher.h"
#include "controller/environment.h"
#include "controller/pace.h"
#include "controller/pod_reconciler.h"
#include "controller/steering.h"

namespace longshore::controller {

class RequestReconciler {
 public:
  RequestReconciler(Environment& env, PodReconciler& pods, Dispatcher& dispatcher, Pace& pace)
      : env_(env), pods_(pods), dispatcher_(dispatcher), pace_(pace) {}

  Result<Again> Reconcile(const std::string& ns, const std::string& name);

 private:
  static constexpr std::chrono::seconds kLookAgain{5};  // for what no event tells us

  // By request UID.
  struct Memory {
    MonotonicTime settled;  // since when no pod has been on its way
    MonotonicTime status_written;
    std::optional<MonotonicTime> news_at;  // when what can wait may be written
    MonotonicTime secrets_read;            // the last look at the secrets, and for which generation
    int64_t secrets_generation = -1;
    std::string secret_missing;  // what was wrong with them
    scaling::GrowthMemory growth;
    scaling::DeadlineEstimate deadline;  // made at that time, of this:
    MonotonicTime deadline_made;
    std::string deadline_of;
    int deadline_left = 0;  // operations
    // When some pods' usage was not fresh, and when status last said anew of which.
    MonotonicTime silent_seen, silent_told;
    int may_run = 0;    // pods, when it was visited last
    bool held = false;  // it wanted more than its namespace's cap let it make
    // Namespace and name of a row that may have been made: nobody answered.
    std::pair<std::string, std::string> unanswered;
    bool forgets_kills = false;  // the API server does not keep what pods were killed for
    std::optional<api::OutOfMemory> told_source;
    // PolicyHash of its policy as of that version, and without what was raised.
    std::string policy_version, policy_hash, unraised_hash;
  };
  struct Visit {
    api::ComputeRequest request;
    Acceptance acceptance;
    Crew crew;
    std::vector<api::Operation> operations;
    scaling::ScalingVerdict scaling;
    bool decided = false;  // last_decision is new
    // What pods are steered by: one picture, since who is bound in a newer one is expected here.
    std::shared_ptr<const placement::View> view;
    Expected expected;
    std::string no_node;                    // nearness is required, and no node will do: why
    int room = 0;                           // pods that may be made now
    std::optional<api::ScalingLimit> held;  // what keeps it from making all that are wanted
    std::optional<api::Condition> drain;    // DrainStalled, of one that is ending or was
    Memory* memory = nullptr;
  };

  Result<bool> EnsureFinalizer(api::ComputeRequest& request);
  Result<Again> OnEnding(Visit& visit, const std::string& why);
  Status Release(const api::ComputeRequest& request);
  Visit Look(api::ComputeRequest request);
  void AcceptSecrets(Visit& visit);
  Status EnsureCaConfigMap(const std::string& ns);

  Result<bool> TakeKill(Visit& visit, bool ending);
  void TellSource(const Visit& visit);
  void Decide(Visit& visit);
  void DecideSize(Visit& visit, int to, const char* cause, const std::string& message);
  scaling::PodUsage UsageOf(const CrewMember& member, const scaling::Policy& policy) const;
  scaling::ScalingInput InputOf(const Visit& visit);
  void EstimateFinish(Visit& visit);
  void EvaluateUsage(Visit& visit);
  void HoldSignalsMissing(const Visit& visit, api::Condition& condition) const;
  // When the changed status may be written: now or later.
  MonotonicTime MayWriteAt(Memory& memory, const api::ComputeRequestStatus& before,
                           const api::ComputeRequestStatus& status, MonotonicTime now);
  // When to come back for what is not written yet, which then nobody was told of.
  Result<Again> WriteStatusIfChanged(Visit& visit, const api::ComputeRequestStatus& before);
  void AnnounceChanges(const Visit& visit, const api::ComputeRequestStatus& before);

  // request_caps.cc
  bool SeenAll(const std::string& ns);
  bool AwaitsRow(Memory& memory);
  int Unanswered(const Visit& visit);
  void FindRoom(Visit& visit);
  void WakeNext(Visit& visit);

  void LookAround(Visit& visit) const;
  std::string NoNode(Visit& visit) const;
  bool Relaxed(const Visit& visit, const Search& search) const;
  Result<Again> Provision(Visit& visit);
  // The member is as it was written.
  Status Drain(CrewMember& member, const std::string& reason, const std::string& message);
  Status DrainSurplus(Visit& visit);
  Status ReplaceWhatHasTooLittle(Visit& visit);
  static const std::string& PolicyHashOf(const Visit& visit);
  Result<bool> ReplaceIfOutdated(Visit& visit, CrewMember& member);
  Status ReplaceOutdated(Visit& visit);
  void Prune(const Visit& visit, bool over);
  Status EnsureCheck(const Visit& visit);

  Environment& env_;
  PodReconciler& pods_;
  Dispatcher& dispatcher_;
  Pace& pace_;
  std::map<std::string, Memory> memory_;
  // For what can wait: a fifth of the thread's time, where a write takes 6 ms.
  TokenBucket news_{std::chrono::milliseconds(33), 30};
  struct CaWritten {
    std::string pem;
    MonotonicTime time;
  };
  std::map<std::string, CaWritten> ca_written_;  // by namespace
  std::set<std::string> seen_all_;               // namespaces
};

}  // namespace longshore::controller
