// SPDX-License-Identifier: Apache-2.0
//
// PodReconciler: Provisioning, and no node has taken the Pod yet. When to try more nodes, and for
// how long nearness is still required.
#include <algorithm>

#include "controller/acceptance.h"
#include "controller/pod_reconciler.h"
#include "controller/steering.h"
#include "controller/waited.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;

// Attempts of a search that are given up as soon as the scheduler has refused them: the ones after
// them are offered all there is, and to make the same Pod again and again helps nobody.
constexpr int kQuickAttempts = 2;

bool AllGone(const std::vector<std::string>& nodes, const placement::View& view) {
  return std::none_of(nodes.begin(), nodes.end(),
                      [&](const std::string& node) { return view.Node(node) != nullptr; });
}

}  // namespace

// Another attempt is offered more nodes; where none would be, it waits.
Result<Again> PodReconciler::OnUnbound(Seen& seen) {
  LS_RETURN_IF_ERROR(ReportTrouble(seen));
  const auto left = RequirementLeft(seen);
  if (left && left->count() == 0) return OnRequireTimedOut(seen);
  if (const nanoseconds rest = TimeToBind(seen); rest.count() > 0) {
    return Again(std::chrono::ceil<milliseconds>(left ? std::min(rest, *left) : rest));
  }
  const auto refs = Accept(env_.cluster, *seen.request).references;
  const auto view = env_.cluster.View();
  if (!refs || !WiderExists({*refs, *seen.request, *view, env_.pressure.Get()}, seen.row)) {
    return Again(left ? std::min<milliseconds>(kLookAgain, std::chrono::ceil<milliseconds>(*left))
                      : milliseconds(kLookAgain));
  }
  const std::string why = AllGone(seen.row.spec.candidate_nodes, *view)
                              ? "the candidate nodes have left the cluster"
                              : "none of the candidate nodes took the pod";
  // The row first: should the Pod be bound and start in this moment, it is never offered.
  LS_RETURN_IF_ERROR(Move(seen, api::kFailed, kReasonUnplaced,
                          why + "; trying more: " + seen.pod.trouble_message));
  return Again(milliseconds(0));
}

// How long the Pod may still be bound before another attempt is thought of; none: no longer.
nanoseconds PodReconciler::TimeToBind(const Seen& seen) const {
  const WallTime now = env_.clock.Now();
  const nanoseconds waited = Waited(seen.row.status.last_transition_time, now);
  const nanoseconds rest = env_.settings.unbound_grace - waited;
  const auto& candidates = seen.row.spec.candidate_nodes;
  const std::string& refused_since = seen.pod.unschedulable_since;
  const bool gone = AllGone(candidates, *env_.cluster.View());
  if (candidates.empty() || (!gone && refused_since.empty())) return rest;
  if (SearchOf(seen).widening >= kQuickAttempts) return rest;
  if (gone) return nanoseconds(0);
  // Since the row too: the scheduler's clock may be another.
  const nanoseconds refused = std::min(waited, Since(refused_since, now));
  return std::min<nanoseconds>(rest, env_.settings.unschedulable_grace - refused);
}

// The attempts of its slot before this one.
Search PodReconciler::SearchOf(const Seen& seen) const {
  const api::BackupPodSpec& spec = seen.row.spec;
  const Crew crew = MakeCrew(env_.cluster.RowsOf(seen.row.metadata.ns, spec.request_ref.name),
                             [](const api::BackupPod&) { return false; });
  return crew.SearchOf(spec.slot, spec.attempt);
}

// Counted from the first attempt of the search for a node, so that another attempt in between does
// not begin anew; by what the rows say, so that a restart does not either.
std::optional<nanoseconds> PodReconciler::RequirementLeft(const Seen& seen) const {
  const api::BackupPodSpec& spec = seen.row.spec;
  const auto source =
      Find<api::BackupSource>(env_.cluster, spec.source_ref.ns, spec.source_ref.name);
  if (!source || !spec.placement_mode.empty()) return std::nullopt;
  // Since when is not looked for where it does not matter.
  if (!controller::RequirementLeft(*source, nanoseconds(0))) return std::nullopt;
  const std::string since = SearchOf(seen).since;
  return controller::RequirementLeft(
      *source,
      Since(since.empty() ? seen.row.status.last_transition_time : since, env_.clock.Now()));
}

Result<Again> PodReconciler::OnRequireTimedOut(Seen& seen) {
  LS_RETURN_IF_ERROR(
      Move(seen, api::kFailed, kReasonRequireTimedOut,
           "no node that is near enough took the pod within requireTimeoutSeconds of its source; "
           "nearness is only preferred for the next one: " +
               seen.pod.trouble_message));
  return Again(milliseconds(0));
}

}  // namespace longshore::controller
