// SPDX-License-Identifier: Apache-2.0
//
// RequestReconciler: what the cap of the namespace lets a request make now, and who is next when a
// pod has gone.
#include <algorithm>
#include <limits>
#include <utility>

#include "controller/request_reconciler.h"
#include "controller/shared_caps.h"

namespace longshore::controller {
namespace {

constexpr std::chrono::milliseconds kSeenAllAgain{250};

}  // namespace

// Whether the caches hold all that earlier leaders have made in the namespace. Once what those have
// on its way is refused, one look past the caches is enough for as long as this one leads.
bool RequestReconciler::SeenAll(const std::string& ns) {
  if (seen_all_.contains(ns)) return true;
  if (env_.clock.Monotonic() - env_.started < env_.settings.term_settles) return false;
  const Cluster& cluster = env_.cluster;
  const auto rows = env_.cluster.FetchNames(kube::kBackupPods, ns);
  const auto pods = env_.cluster.FetchNames(kube::kPods, ns);
  const bool seen =
      rows && pods &&
      std::ranges::all_of(*rows, [&](const auto& n) { return cluster.Row(ns, n) != nullptr; }) &&
      std::ranges::all_of(
          *pods, [&](const auto& n) { return cluster.Get(kube::kPods, ns, n) != nullptr; });
  if (seen) seen_all_.insert(ns);
  return seen;
}

// Whether there is a row that may exist though no cache has it: the reply to its creation was lost.
bool RequestReconciler::AwaitsRow(Memory& memory) {
  const auto& [ns, row] = memory.unanswered;
  if (row.empty()) return false;
  if (env_.cluster.Row(ns, row) == nullptr) {
    const auto made = env_.cluster.Fetch(kube::kBackupPods, ns, row);
    if (made || made.error().code != Code::kNotFound) return true;
  }
  memory.unanswered = {};
  return false;
}

// Such rows of other requests of the namespace.
int RequestReconciler::Unanswered(const Visit& visit) {
  int count = 0;
  for (auto& [uid, memory] : memory_) {
    const bool counts =
        uid != visit.request.metadata.uid && memory.unanswered.first == visit.request.metadata.ns;
    if (counts && AwaitsRow(memory)) ++count;
  }
  return count;
}

void RequestReconciler::FindRoom(Visit& visit) {
  visit.room = std::numeric_limits<int>::max();
  visit.memory->held = false;
  const api::ObjectMeta& meta = visit.request.metadata;
  const int counting = visit.crew.Counting(), desired = visit.request.status.desired_pods;
  if (counting >= desired) return;
  auto pods = PodsOfNamespace(env_.cluster, meta.ns, env_.clock.Now());
  if (!pods) return;
  pods->free -= Unanswered(visit);
  const auto next = pods->Next(visit.request, desired);
  const auto own = next.find(meta.name);
  visit.room = own == next.end() ? 0 : own->second;
  if (counting + visit.room < desired) {
    visit.memory->held = true;
    visit.held = NamespaceLimit(*pods, meta, counting + visit.room);
    api::ScalingDecision& decision = visit.request.status.last_decision;
    if (visit.decided && !decision.limit) decision.limit = visit.held;
  }
  if (SeenAll(meta.ns)) return;
  visit.room = 0;
  env_.Wake(kRequestKey, meta.ns, meta.name, kSeenAllAgain);
}

// Whoever waits for the place looks by itself every few seconds only.
void RequestReconciler::WakeNext(Visit& visit) {
  const int before = std::exchange(visit.memory->may_run, visit.crew.MayRun());
  if (visit.memory->may_run >= before) return;
  const api::ObjectMeta& meta = visit.request.metadata;
  const auto pods = PodsOfNamespace(env_.cluster, meta.ns, env_.clock.Now());
  if (!pods) return;
  for (const auto& [request, places] : scaling::DivideFairly(pods->claims, pods->free)) {
    if (request != meta.name) env_.Wake(kRequestKey, meta.ns, request);
  }
}

}  // namespace longshore::controller
