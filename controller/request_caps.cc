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

// Rows of other requests of the namespace that may exist though no cache has them: the reply to
// their creation was lost.
int RequestReconciler::Unanswered(const Visit& visit) {
  int count = 0;
  for (auto& [uid, memory] : memory_) {
    const auto& [ns, row] = memory.unanswered;
    // Its own is asked for again, under the same name.
    if (uid == visit.request.metadata.uid || ns != visit.request.metadata.ns ||
        env_.cluster.Row(ns, row) != nullptr) {
      continue;
    }
    const auto made = env_.cluster.Fetch(kube::kBackupPods, ns, row);
    if (!made && made.error().code == Code::kNotFound) {
      memory.unanswered = {};
    } else {
      ++count;
    }
  }
  return count;
}

void RequestReconciler::FindRoom(Visit& visit) {
  visit.room = std::numeric_limits<int>::max();
  visit.memory->held = false;
  const api::ObjectMeta& meta = visit.request.metadata;
  const int counting = visit.crew.Counting(), desired = visit.request.status.desired_pods;
  if (counting >= desired) return;
  auto pods = PodsOfNamespace(env_.cluster, meta.ns);
  if (!pods) return;
  pods->free -= Unanswered(visit);
  const auto next = pods->Next(visit.request, desired);
  const auto own = next.find(meta.name);
  visit.room = own == next.end() ? 0 : own->second;
  if (counting + visit.room >= desired) return;
  visit.memory->held = true;
  visit.held = NamespaceLimit(*pods, meta.ns, counting + visit.room);
  api::ScalingDecision& decision = visit.request.status.last_decision;
  if (visit.decided && !decision.limit) decision.limit = visit.held;
}

// Whoever waits for the place looks by itself every few seconds only.
void RequestReconciler::WakeNext(Visit& visit) {
  const int before = std::exchange(visit.memory->may_run, visit.crew.MayRun());
  if (visit.memory->may_run >= before) return;
  const api::ObjectMeta& meta = visit.request.metadata;
  const auto pods = PodsOfNamespace(env_.cluster, meta.ns);
  if (!pods) return;
  for (const auto& [request, places] : scaling::DivideFairly(pods->claims, pods->free)) {
    if (request != meta.name) env_.Wake(kRequestKey, meta.ns, request);
  }
}

}  // namespace longshore::controller
