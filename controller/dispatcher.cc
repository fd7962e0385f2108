// SPDX-License-Identifier: Apache-2.0
#include "controller/dispatcher.h"

#include <algorithm>
#include <map>
#include <set>

#include "controller/acceptance.h"
#include "controller/announcements.h"
#include "controller/operation_moves.h"
#include "controller/pod_reconciler.h"
#include "controller/shared_caps.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;

// What operations wait for is written for so many of them in one round, those that are next first:
// a long queue must not hold up decisions.
constexpr int kMostSaid = 16;
constexpr milliseconds kSayMoreIn{1000};

// Checks first: they tell whether the rest can work at all. Then by age.
bool Before(const api::Operation& a, const api::Operation& b) {
  const auto key = [](const api::Operation& o) {
    return std::tuple(o.spec.type != api::kCheck, o.metadata.creation_timestamp,
                      o.status.queued_time, o.metadata.name);
  };
  return key(a) < key(b);
}

// Those of all requests that a pod has now. Few of many, so that only they are parsed.
std::vector<api::Operation> ActiveOperations(const Cluster& cluster) {
  std::vector<api::Operation> active;
  for (const kube::ObjectPtr& object : cluster.List(kube::kOperations)) {
    const std::string_view state = kube::StringAt(*object, "/status/state");
    if (state != api::kPreparing && state != api::kRunning && state != api::kCommitting) continue;
    if (auto operation = ReadObject<api::Operation>(object)) {
      active.push_back(*std::move(operation));
    }
  }
  return active;
}

}  // namespace

// What one round of dispatching sees and has given out so far.
struct Dispatcher::Round {
  std::optional<api::ComputeRequest> request;
  std::vector<api::BackupPodPtr> rows;
  std::vector<api::Operation> waiting;        // due or not, in order
  std::map<std::string, int> busy_by_source;  // operations that pods have now
  std::string repository;                     // the request's
  int writers = 0;                            // backups into it
  int max_writers = 0;                        // 0: there is no such repository
  Wait anothers_turn;                         // what AnothersTurn has said of a backup
};

bool WorkWaits(const std::vector<api::Operation>& operations) {
  return std::any_of(operations.begin(), operations.end(), WantsPod);
}

bool CheckRuns(const std::vector<api::Operation>& operations) {
  return std::any_of(operations.begin(), operations.end(), [](const api::Operation& o) {
    return o.spec.type == api::kCheck && !o.status.pod.empty() && !api::Terminal(o.status.state);
  });
}

Dispatcher::Round Dispatcher::Look(const std::string& ns, const std::string& request) const {
  Round round;
  round.request = Find<api::ComputeRequest>(env_.cluster, ns, request);
  if (!round.request) return round;
  round.rows = env_.cluster.RowsOf(ns, request);
  std::set<std::string> leased;
  for (const api::BackupPodPtr& row : round.rows) {
    if (row->status.lease) leased.insert(row->status.lease->operation);
  }
  for (auto& operation : ReadAll<api::Operation>(env_.cluster.OperationsOf(ns, request))) {
    if (Waiting(operation) && !operation.spec.cancel && !leased.contains(operation.metadata.name)) {
      round.waiting.push_back(std::move(operation));
    }
  }
  std::sort(round.waiting.begin(), round.waiting.end(), Before);
  if (round.waiting.empty()) return round;

  const auto policy = Find<api::PodPolicy>(env_.cluster, ns, round.request->spec.policy_ref.name);
  round.repository = policy ? policy->spec.repository_ref.name : "";
  if (const auto repository = Find<api::BackupRepository>(env_.cluster, ns, round.repository)) {
    round.max_writers = repository->spec.max_writers;
  }
  WritesInto writes(env_.cluster, ns, round.repository);  // which is of the same namespace
  for (const api::Operation& operation : ActiveOperations(env_.cluster)) {
    ++round.busy_by_source[SourceKey(operation)];
    const bool near = operation.spec.type == api::kBackup && operation.metadata.ns == ns;
    if (near && writes(operation.spec.request_ref.name)) ++round.writers;
  }
  return round;
}

Dispatcher::Wait Dispatcher::OverCaps(const api::Operation& operation, const Round& round) const {
  const auto source = Find<api::BackupSource>(
      env_.cluster, api::NamespaceOfSource(operation.spec.source_ref, operation.metadata.ns),
      operation.spec.source_ref.name);
  if (!source) return {};
  const auto busy = round.busy_by_source.find(SourceKey(operation));
  const int at_once = source->spec.max_concurrent;
  if (busy != round.busy_by_source.end() && busy->second >= at_once) {
    return {"SourceBusy", "source " + source->metadata.name + ": its maxConcurrent of " +
                              std::to_string(at_once) + " is reached"};
  }
  if (operation.spec.type == api::kBackup && round.max_writers == 0) {
    return {"NoRepository", "the repository of request " + round.request->metadata.name +
                                " is not known; its Accepted says more"};
  }
  if (operation.spec.type == api::kBackup && round.writers >= round.max_writers) {
    return {"RepositoryBusy", "repository " + round.repository + ": its maxWriters of " +
                                  std::to_string(round.max_writers) + " is reached"};
  }
  return {};
}

// The next writers are those of requests that have fewer. They are told that one is free.
Dispatcher::Wait Dispatcher::AnothersTurn(const api::Operation& operation, Round& round) const {
  if (operation.spec.type != api::kBackup) return {};
  if (!round.anothers_turn.first.empty()) return round.anothers_turn;
  const std::string& ns = round.request->metadata.ns;
  const std::string& own = round.request->metadata.name;
  const SharedCap writers = WritersOf(
      env_.cluster, ns, round.repository, round.max_writers,
      [this](const std::string& uid) { return Usable(uid); }, env_.clock.Now());
  const auto claim = writers.claims.find(own);
  const int has = claim == writers.claims.end() ? 0 : claim->second.has;
  const auto next = writers.Next(*round.request, has + 1);
  if (next.contains(own)) return {};
  for (const auto& [name, places] : next) env_.Wake(kRequestKey, ns, name);
  return round.anothers_turn = {"RepositoryBusy",
                                "repository " + round.repository + ": its maxWriters of " +
                                    std::to_string(round.max_writers) +
                                    (next.empty() ? " is reached"
                                                  : " is shared, and requests that "
                                                    "have fewer writers are next")};
}

Dispatcher::Wait Dispatcher::NoPodFor(const api::Operation& operation, const Round& round) const {
  const std::string& wanted = operation.spec.pod_ref.name;
  if (!wanted.empty()) {
    const auto row = std::find_if(round.rows.begin(), round.rows.end(),
                                  [&](const auto& r) { return r->metadata.name == wanted; });
    if (row == round.rows.end()) return {};
    return {"PodBusy", "pod " + wanted + " is " + (*row)->status.state};
  }
  const auto in_state = [&](const char* state) {
    return std::count_if(round.rows.begin(), round.rows.end(),
                         [&](const auto& row) { return row->status.state == state; });
  };
  const auto busy = in_state(api::kAssigned), working = busy + in_state(api::kAvailable);
  const std::string of_request = " of request " + round.request->metadata.name;
  if (working == 0) {
    std::string message = "no pod" + of_request + " works yet";
    for (const char* type : {"Accepted", "PodsProvisioned"}) {
      const auto* said = api::FindCondition(round.request->status.conditions, type);
      if (said == nullptr || said->status != "False") continue;
      message += std::string("; its ") + type + " says " + said->reason;
      break;
    }
    return {"NoPods", message};
  }
  if (busy < working) return {"PodsSilent", "the free pods" + of_request + " are not heard of"};
  return {"PodsBusy", std::to_string(busy) + " of " + std::to_string(working) + " pods" +
                          of_request + " are busy"};
}

Result<bool> Dispatcher::Say(api::Operation& operation, const Wait& wait) {
  // Before it is Queued its own reconciler has the word.
  if (wait.first.empty() || operation.status.state != api::kQueued) return false;
  if (!SayWaiting(operation, wait.first, wait.second, env_.NowText())) return false;
  LS_RETURN_IF_ERROR(WriteStatus(env_.cluster, operation));
  return true;
}

// Whether work may be sent to it at this moment.
bool Dispatcher::Usable(const std::string& pod_uid) const {
  const auto worker = env_.workers.Facts(pod_uid);
  return worker && !worker->gate_closed &&
         worker->Present(env_.clock.Monotonic(), env_.settings.offer_silence);
}

// An acquired pod is for the operations that name it and were made by its holder, who may have
// rights that the maker of another operation lacks.
bool Dispatcher::AcquiredFor(const api::BackupPod& row, const api::Operation& operation) {
  if (row.status.state != api::kAssigned || !row.status.lease) return false;
  const auto& annotations = operation.metadata.annotations;
  const auto made_by = annotations.find(api::kAnnotationCreatedBy);
  return row.status.lease->operation.empty() && made_by != annotations.end() &&
         made_by->second == row.status.lease->holder;
}

api::BackupPodPtr* Dispatcher::PodFor(const api::Operation& operation, Round& round) const {
  const std::string& wanted = operation.spec.pod_ref.name;
  for (api::BackupPodPtr& row : round.rows) {
    const bool free = row->status.state == api::kAvailable && !row->metadata.deleting();
    const bool fits = wanted.empty()
                          ? free
                          : row->metadata.name == wanted && (free || AcquiredFor(*row, operation));
    if (fits && Usable(row->status.pod_uid)) return &row;
  }
  return nullptr;
}

Status Dispatcher::Assign(api::Operation& operation, api::BackupPodPtr& chosen, Round& round) {
  api::BackupPod row = *chosen;
  api::PodLease lease = row.status.lease.value_or(api::PodLease{});
  if (lease.holder.empty()) lease.holder = "longshore";
  lease.operation = operation.metadata.name;
  lease.epoch = row.status.epoch + 1;
  lease.expires.clear();
  row.status.epoch = lease.epoch;
  row.status.lease = lease;
  row.status.state = api::kAssigned;
  row.status.reason = "Assigned";
  row.status.message = operation.spec.type + " " + operation.metadata.name;
  row.status.last_transition_time = env_.NowText();
  LS_RETURN_IF_ERROR(WriteStatus(env_.cluster, row));
  env_.tally.pod_moved(api::kAssigned);
  // The pod reconciler goes on from here, as it would after a crash at this point.
  env_.Wake(kPodKey, row.metadata.ns, row.metadata.name);
  env_.Wake(kRequestKey, row.metadata.ns, row.spec.request_ref.name);
  ++round.busy_by_source[SourceKey(operation)];
  if (operation.spec.type == api::kBackup) ++round.writers;
  chosen = std::make_shared<const api::BackupPod>(std::move(row));
  return {};
}

Result<Again> Dispatcher::Dispatch(const std::string& ns, const std::string& request) {
  Round round = Look(ns, request);
  const WallTime now = env_.clock.Now();
  if (!EndOfRequest(round.request, now).empty()) return Again();
  Again again;
  int said = 0;
  for (api::Operation& operation : round.waiting) {
    if (const auto delay = RetryIn(operation, now); delay.count() > 0) {
      const auto due = std::chrono::ceil<milliseconds>(delay);
      again = again ? std::min(*again, due) : due;
      continue;
    }
    Wait wait = OverCaps(operation, round);
    api::BackupPodPtr* row = wait.first.empty() ? PodFor(operation, round) : nullptr;
    if (row != nullptr) wait = AnothersTurn(operation, round);
    if (row != nullptr && wait.first.empty()) {
      LS_RETURN_IF_ERROR(Assign(operation, *row, round));
      continue;
    }
    if (said >= kMostSaid) {
      again = again ? std::min(*again, kSayMoreIn) : kSayMoreIn;
      continue;
    }
    if (wait.first.empty()) wait = NoPodFor(operation, round);
    LS_ASSIGN_OR_RETURN(const bool news, Say(operation, wait));
    if (news) ++said;
  }
  return again;
}

}  // namespace longshore::controller
