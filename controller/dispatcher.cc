// SPDX-License-Identifier: Apache-2.0
#include "controller/dispatcher.h"

#include <algorithm>
#include <map>
#include <set>

#include "controller/acceptance.h"
#include "controller/announcements.h"
#include "controller/operation_moves.h"
#include "controller/pod_reconciler.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;

// How long until the operation may be tried (again).
std::chrono::nanoseconds Delay(const api::Operation& operation, WallTime now) {
  if (operation.status.attempt == 0) return std::chrono::nanoseconds(0);
  const auto waited = Since(operation.status.queued_time, now);
  return std::max<std::chrono::nanoseconds>(RetryDelay(operation.status.attempt) - waited,
                                            std::chrono::nanoseconds(0));
}

// Checks first: they tell whether the rest can work at all. Then by age.
bool Before(const api::Operation& a, const api::Operation& b) {
  const auto key = [](const api::Operation& o) {
    return std::tuple(o.spec.type != api::kCheck, o.metadata.creation_timestamp,
                      o.status.queued_time, o.metadata.name);
  };
  return key(a) < key(b);
}

std::string SourceKey(const api::Operation& operation) {
  return NamespaceOfSource(operation.spec.source_ref, operation.metadata.ns) + "/" +
         operation.spec.source_ref.name;
}

}  // namespace

// What one round of dispatching sees and has given out so far.
struct Dispatcher::Round {
  std::optional<api::ComputeRequest> request;
  std::vector<api::BackupPod> rows;
  std::vector<api::Operation> waiting;        // due or not, in order
  std::map<std::string, int> busy_by_source;  // operations that pods have now
  int writers = 0;                            // backups into the request's repository
  int max_writers = 0;
};

bool WorkWaits(const std::vector<api::Operation>& operations) {
  return std::any_of(operations.begin(), operations.end(), [](const api::Operation& o) {
    return (Waiting(o) || o.status.state == api::kInterrupted) && !o.spec.cancel;
  });
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
  round.rows = OfRequest<api::BackupPod>(env_.cluster, ns, request);
  std::set<std::string> leased;
  for (const api::BackupPod& row : round.rows) {
    if (row.status.lease) leased.insert(row.status.lease->operation);
  }
  for (api::Operation& operation : OfRequest<api::Operation>(env_.cluster, ns, request)) {
    if (Waiting(operation) && !operation.spec.cancel && !leased.contains(operation.metadata.name)) {
      round.waiting.push_back(std::move(operation));
    }
  }
  std::sort(round.waiting.begin(), round.waiting.end(), Before);
  if (round.waiting.empty()) return round;

  const auto policy = Find<api::PodPolicy>(env_.cluster, ns, round.request->spec.policy_ref.name);
  const std::string repository_name = policy ? policy->spec.repository_ref.name : "";
  if (const auto repository = Find<api::BackupRepository>(env_.cluster, ns, repository_name)) {
    round.max_writers = repository->spec.max_writers;
  }
  for (const kube::ObjectPtr& object : env_.cluster.List(kube::kOperations)) {
    const std::string_view state = kube::StringAt(*object, "/status/state");
    if (state != api::kPreparing && state != api::kRunning && state != api::kCommitting) continue;
    const auto operation = ReadObject<api::Operation>(object);
    if (!operation) continue;
    ++round.busy_by_source[SourceKey(*operation)];
    // Repositories are of one namespace; that all its writers count is on the safe side.
    if (operation->spec.type == api::kBackup && operation->metadata.ns == ns) ++round.writers;
  }
  return round;
}

bool Dispatcher::WithinCaps(const api::Operation& operation, const Round& round) const {
  const auto source = Find<api::BackupSource>(
      env_.cluster, NamespaceOfSource(operation.spec.source_ref, operation.metadata.ns),
      operation.spec.source_ref.name);
  if (!source) return false;  // its own reconciler says so
  const auto busy = round.busy_by_source.find(SourceKey(operation));
  if (busy != round.busy_by_source.end() && busy->second >= source->spec.max_concurrent) {
    return false;
  }
  return operation.spec.type != api::kBackup || round.writers < round.max_writers;
}

// Whether work may be sent to it at this moment.
bool Dispatcher::Usable(const api::BackupPod& row) const {
  const auto worker = env_.workers.Facts(row.status.pod_uid);
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

api::BackupPod* Dispatcher::PodFor(const api::Operation& operation, Round& round) const {
  const std::string& wanted = operation.spec.pod_ref.name;
  for (api::BackupPod& row : round.rows) {
    const bool free = row.status.state == api::kAvailable;
    const bool fits = wanted.empty()
                          ? free
                          : row.metadata.name == wanted && (free || AcquiredFor(row, operation));
    if (fits && Usable(row)) return &row;
  }
  return nullptr;
}

Status Dispatcher::Assign(api::Operation& operation, api::BackupPod& row, Round& round) {
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
  return {};
}

Result<Again> Dispatcher::Dispatch(const std::string& ns, const std::string& request) {
  Round round = Look(ns, request);
  const WallTime now = env_.clock.Now();
  if (!EndOfRequest(round.request, now).empty()) return Again();
  Again again;
  for (api::Operation& operation : round.waiting) {
    if (const auto delay = Delay(operation, now); delay.count() > 0) {
      const auto due = std::chrono::ceil<milliseconds>(delay);
      again = again ? std::min(*again, due) : due;
      continue;
    }
    if (!WithinCaps(operation, round)) continue;
    if (api::BackupPod* row = PodFor(operation, round)) {
      LS_RETURN_IF_ERROR(Assign(operation, *row, round));
    }
  }
  return again;
}

}  // namespace longshore::controller
