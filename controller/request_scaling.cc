// SPDX-License-Identifier: Apache-2.0
//
// RequestReconciler: what the scaling decision is made of, and what is done with its verdict.
#include <algorithm>

#include "controller/forecast.h"
#include "controller/operation_moves.h"
#include "controller/request_reconciler.h"
#include "controller/shared_caps.h"
#include "controller/waited.h"

namespace longshore::controller {
namespace {

using std::chrono::seconds;

// Where as many operations are left as before, and where there are more or fewer.
constexpr seconds kEstimateAgain{10}, kWorkEstimatedAgain{1};
constexpr WallTime::duration kNews = seconds(30);

// Operations that wait for any pod of the crew. A check is part of accepting a source, and one that
// names its pod waits for that one.
int Queued(const std::vector<api::Operation>& operations, const Crew& crew) {
  const auto leased = [&](const api::Operation& operation) {
    return std::any_of(crew.members.begin(), crew.members.end(), [&](const CrewMember& member) {
      return member.row->status.lease &&
             member.row->status.lease->operation == operation.metadata.name;
    });
  };
  return static_cast<int>(
      std::count_if(operations.begin(), operations.end(), [&](const api::Operation& operation) {
        return WantsPod(operation) && operation.spec.type != api::kCheck &&
               operation.spec.pod_ref.name.empty() && !leased(operation);
      }));
}

// How long a decision took that a signal led to: since it crossed its threshold, and since the
// sample arrived that made its window full, which is the newest one of the witness.
void CountReaction(const Tally& tally, const scaling::ScalingInput& in,
                   const api::ScalingDecision& decision) {
  if (decision.crossing_time.empty() || decision.inputs.empty()) return;
  tally.crossing_to_decision(Since(decision.crossing_time, in.wall));
  for (const scaling::PodUsage& pod : in.pods) {
    if (pod.name != decision.inputs.front().pod || pod.samples.empty()) continue;
    tally.sample_to_decision(in.now - pod.samples.back().received);
  }
}

}  // namespace

scaling::PodUsage RequestReconciler::UsageOf(const CrewMember& member,
                                             const scaling::Policy& policy) const {
  const api::BackupPodStatus& status = member.row->status;
  const api::ObjectMeta& meta = member.row->metadata;
  const WallTime now = env_.clock.Now();
  scaling::PodUsage usage;
  usage.name = meta.name;
  usage.slot = member.row->spec.slot;
  usage.idle = member.state() == api::kAvailable;
  usage.age = Waited(status.last_transition_time, now);
  usage.uptime =
      Since(member.pod.started.empty() ? meta.creation_timestamp : member.pod.started, now);
  const seconds span = scaling::SpanNeeded(policy, usage.idle);
  usage.samples = env_.usage.Last(status.pod_uid, span);
  env_.usage.Keep(status.pod_uid, span);
  return usage;
}

scaling::ScalingInput RequestReconciler::InputOf(const Visit& visit) {
  const References& refs = *visit.acceptance.references;
  scaling::ScalingInput in;
  in.now = env_.clock.Monotonic();
  in.wall = env_.clock.Now();
  in.settled_since = visit.memory->settled;
  in.desired = visit.request.status.desired_pods;
  in.min = visit.request.spec.pods.min;
  in.max = visit.request.spec.pods.max;
  in.troubled = visit.crew.InTrouble();
  in.pending = visit.crew.Moving();
  in.work_waiting = WorkWaits(visit.operations);
  in.queued = Queued(visit.operations, visit.crew);
  in.demand = visit.request.spec.demand.value_or(0);
  in.policy = refs.scaling;
  in.growth = visit.memory->growth;
  in.deadline_pods = visit.memory->deadline.wanted;
  in.deadline_message = visit.memory->deadline.message;
  for (const CrewMember& member : visit.crew.members) {
    if (member.working()) in.pods.push_back(UsageOf(member, in.policy));
  }
  return in;
}

// Not at each visit: it lists operations, and what it says is written.
void RequestReconciler::EstimateFinish(Visit& visit) {
  Memory& memory = *visit.memory;
  api::ComputeRequestStatus& status = visit.request.status;
  const api::ComputeRequestSpec& spec = visit.request.spec;
  const std::string& deadline = spec.deadline.empty() ? spec.daily_deadline : spec.deadline;
  if (deadline.empty()) {
    memory.deadline = {};
    memory.deadline_of.clear();
    status.predicted_finish_time.clear();
    return;
  }
  const MonotonicTime now = env_.clock.Monotonic();
  const int left = OperationsLeft(visit.operations);
  const auto again = left == memory.deadline_left ? kEstimateAgain : kWorkEstimatedAgain;
  if (memory.deadline_of == deadline && now - memory.deadline_made < again) return;
  const auto caps =
      CapsOf(env_.cluster, visit.request, *visit.acceptance.references, true, env_.clock.Now());
  api::ScalingLimit cap = scaling::TightestCap(visit.request.spec.pods.max, caps);
  if (memory.growth.futile_until && status.desired_pods < cap.pods) {
    cap = {api::kLimitFutile, status.desired_pods, memory.growth.message};
  }
  const std::string before = memory.deadline.reason;
  memory.deadline = scaling::EstimateDeadline(
      RemainingWork(env_, visit.request, visit.operations, visit.crew, cap));
  memory.deadline_made = now;
  memory.deadline_of = deadline;
  memory.deadline_left = left;
  if (!memory.deadline.finish) {
    status.predicted_finish_time.clear();
    return;
  }
  // What differs by little is no news.
  const auto said = ParseTime(status.predicted_finish_time);
  const WallTime finish = *memory.deadline.finish;
  const auto off = said ? (*said > finish ? *said - finish : finish - *said) : kNews;
  if (off >= kNews || before != memory.deadline.reason) {
    status.predicted_finish_time = FormatTimeSeconds(finish);
  }
}

void RequestReconciler::EvaluateUsage(Visit& visit) {
  scaling::ScalingInput in = InputOf(visit);
  // What the namespace's cap, or a pod in trouble, does not let it have yet is waited for, and
  // nothing to decide about; but a pod that idles meanwhile may go, and then no more are wanted.
  const bool waits = visit.memory->held || in.troubled > 0;
  const bool held = waits && visit.crew.Counting() < in.desired;
  if (held) in.desired = visit.crew.Counting();
  in.limits = CapsOf(env_.cluster, visit.request, *visit.acceptance.references, false, in.wall);
  visit.scaling = scaling::EvaluateScaling(in);
  if (visit.scaling.change && visit.scaling.decision.to > in.desired) {
    // What other requests have running is looked for only when it matters: it takes a list.
    in.limits =
        CapsOf(env_.cluster, visit.request, *visit.acceptance.references, true, env_.clock.Now());
    visit.scaling = scaling::EvaluateScaling(in);
  }
  env_.scaling.Put(visit.request.metadata.uid, scaling::Explain(in, visit.scaling));
  // An earlier decision is still being carried out.
  const bool grows = visit.scaling.change && visit.scaling.decision.to > in.desired;
  if (visit.crew.Counting() != in.desired || (held && grows)) {
    visit.scaling.change = false;
    return;
  }
  visit.memory->growth = visit.scaling.growth;
  if (!visit.scaling.change) return;
  visit.request.status.last_decision = visit.scaling.decision;
  visit.request.status.desired_pods = visit.scaling.decision.to;
  visit.decided = true;
  CountReaction(env_.tally, in, visit.scaling.decision);
}

}  // namespace longshore::controller
