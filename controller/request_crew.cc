// SPDX-License-Identifier: Apache-2.0
//
// RequestReconciler: how many pods, and making it so. desiredPods and the decision that led to it
// are written before a row is made or drained; after a crash in between, the same functions go on.
#include <algorithm>

#include "common/base/log.h"
#include "controller/announcements.h"
#include "controller/operation_moves.h"
#include "controller/pod_names.h"
#include "controller/pod_template.h"
#include "controller/request_reconciler.h"
#include "controller/sure_write.h"
#include "controller/waited.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kSoon{500};
constexpr seconds kKeepEndedRows{900};
constexpr seconds kCheckAgain{60};
constexpr char kSourceGeneration[] = "longshore.dev/source-generation";

// The pod that the last decision wanted gone, or "".
std::string Victim(const api::ScalingDecision& decision) {
  const bool names_it = decision.cause == api::kCauseIdle || decision.cause == api::kCauseFutile;
  if (!names_it || decision.inputs.empty()) return "";
  return decision.inputs.front().pod;
}

int WithinLimits(int number, const api::PodCounts& pods) {
  return std::clamp(number, pods.min, std::max(pods.min, pods.max));
}

}  // namespace

void RequestReconciler::DecideSize(Visit& visit, int to, const char* cause,
                                   const std::string& message) {
  api::ComputeRequestStatus& status = visit.request.status;
  status.last_decision = {env_.NowText(), status.desired_pods, to, cause, message, "", {}};
  status.desired_pods = to;
  visit.decided = true;
}

// What was too little is durable before more is given. A request that begins has it from the ones
// before. Returns whether there is news, by which another visit goes.
Result<bool> RequestReconciler::TakeKill(Visit& visit, bool ending) {
  TellSource(visit);
  Memory& memory = *visit.memory;
  if (memory.forgets_kills) return false;
  api::ComputeRequest& request = visit.request;
  const References& refs = *visit.acceptance.references;
  const bool begins =
      !ending && request.status.last_decision.time.empty() && !request.status.out_of_memory;
  auto kill = begins
                  ? LearnKill(refs.source, request.spec.purpose, refs.policy.spec, refs.image.spec)
                  : FindKill(visit.crew, request.status.out_of_memory, env_.NowText());
  if (!kill) return false;
  request.status.out_of_memory = std::move(kill);
  LS_RETURN_IF_ERROR(WriteStatusSurely(env_.cluster, request));
  const auto written =
      Find<api::ComputeRequest>(env_.cluster, request.metadata.ns, request.metadata.name);
  // Whether the cache has what was written is told by the version.
  const bool seen =
      written && written->metadata.resource_version == request.metadata.resource_version;
  if (seen && !written->status.out_of_memory) {
    memory.forgets_kills = true;
    request.status.out_of_memory.reset();
    LogError(
        "status.outOfMemory of ComputeRequests is not kept: apply the CRDs of this version, "
        "then restart the controller",
        {{"request", request.metadata.Key()}});
    return false;
  }
  if (begins) return true;
  env_.tally.out_of_memory();
  LogWarn("a pod was killed for memory", {{"request", request.metadata.Key()},
                                          {"pod", request.status.out_of_memory->pod},
                                          {"limit", request.status.out_of_memory->memory_limit}});
  return true;
}

// Once for what is news to it, as far as this leader knows.
void RequestReconciler::TellSource(const Visit& visit) {
  const auto& found = visit.request.status.out_of_memory;
  if (!found || visit.memory->told_source == found) return;
  visit.memory->told_source = found;
  const api::BackupSource& source = visit.acceptance.references->source;
  api::BackupSourceStatus known = source.status;
  if (!KeepKill(known, visit.request)) return;
  env_.Wake(kSourceKey, source.metadata.ns, source.metadata.name);
}

void RequestReconciler::Decide(Visit& visit) {
  EstimateFinish(visit);
  const api::PodCounts& pods = visit.request.spec.pods;
  api::ComputeRequestStatus& status = visit.request.status;
  if (status.last_decision.time.empty()) {
    status.initial_pods = pods.initial;
    return DecideSize(visit, WithinLimits(pods.initial, pods), api::kCauseRequested,
                      "spec.pods.initial of the request");
  }
  // A changed spec.pods.initial is a wish for so many now; what an older controller has followed
  // is not known, and taken for granted.
  const bool resized = status.initial_pods.value_or(pods.initial) != pods.initial;
  status.initial_pods = pods.initial;
  const int to = WithinLimits(resized ? pods.initial : status.desired_pods, pods);
  if (to != status.desired_pods) {
    return DecideSize(visit, to, api::kCauseResized,
                      resized                    ? "spec.pods.initial was changed"
                      : to > status.desired_pods ? "spec.pods.min was raised"
                                                 : "spec.pods.max was lowered");
  }
  // Work has come for a crew of none: usage could never ask for the first pod.
  if (status.desired_pods == 0 && WorkWaits(visit.operations)) {
    return DecideSize(visit, 1, api::kCauseRequested, "operations wait and there is no pod");
  }
  // The pod that was to go has been given work meanwhile: it stays, busy pods are never retired.
  const CrewMember* victim = visit.crew.Find(Victim(status.last_decision));
  const int counting = visit.crew.Counting();
  if (victim != nullptr && victim->state() == api::kAssigned && counting > status.desired_pods) {
    return DecideSize(visit, std::min(counting, pods.max), api::kCausePodBusy,
                      victim->row->metadata.name + " was given work before it could go");
  }
  EvaluateUsage(visit);
}

Status RequestReconciler::Drain(CrewMember& member, const std::string& reason,
                                const std::string& message) {
  api::BackupPod row = *member.row;
  LS_RETURN_IF_ERROR(pods_.BeginDraining(row, reason, message));
  member.row = std::make_shared<const api::BackupPod>(std::move(row));
  return {};
}

// More pods than wanted: who cannot start, else the one that was decided about, else who has not
// started, else who is free.
Status RequestReconciler::DrainSurplus(Visit& visit) {
  const api::ComputeRequestStatus& status = visit.request.status;
  int surplus = visit.crew.Counting() - status.desired_pods;
  if (surplus <= 0) return {};
  const CrewMember* victim = visit.crew.Find(Victim(status.last_decision));
  if (victim != nullptr && victim->state() == api::kAssigned) return {};  // Decide takes it back
  if (victim != nullptr && victim->state() == api::kAvailable && visit.crew.InTrouble() == 0) {
    api::BackupPod row = *victim->row;
    return pods_.BeginDraining(row, kReasonIdle, status.last_decision.message,
                               status.last_decision.inputs);
  }
  for (const auto first_to_go :
       {&CrewMember::in_trouble, &CrewMember::on_its_way, &CrewMember::working}) {
    for (auto member = visit.crew.members.rbegin(); member != visit.crew.members.rend(); ++member) {
      const bool busy = member->state() == api::kAssigned || member->row->status.lease;
      if (!member->counts() || busy || !((*member).*first_to_go)()) continue;
      if (surplus-- <= 0) return {};
      LS_RETURN_IF_ERROR(
          Drain(*member, kReasonResized, "more pods than wanted: " + status.last_decision.message));
    }
  }
  return {};
}

// Also while work waits: it would be killed there again. What takes their place is made by the next
// visit, which knows what room there is for it.
Status RequestReconciler::ReplaceWhatHasTooLittle(Visit& visit) {
  const References& refs = *visit.acceptance.references;
  const auto& known = visit.request.status.out_of_memory;
  if (!known || !GivesMore(refs.memory, *known)) return {};
  const auto named = [&](const std::string& pod) {
    return std::ranges::any_of(visit.operations, [&](const api::Operation& operation) {
      return !api::Terminal(operation.status.state) && operation.spec.pod_ref.name == pod;
    });
  };
  for (CrewMember* member : HavingTooLittle(visit.crew, *known, PolicyHashOf(visit), named)) {
    LS_RETURN_IF_ERROR(Drain(*member, kReasonMemoryRaised,
                             "a pod with more memory than " + member->pod.memory_limit +
                                 ", which was too little, takes its place"));
  }
  return {};
}

// Made anew only when the policy has changed: a visit is often, and that takes 9 µs.
const std::string& RequestReconciler::PolicyHashOf(const Visit& visit) {
  const api::PodPolicy& policy = visit.acceptance.references->policy;
  std::string version = policy.metadata.uid + "/" + policy.metadata.resource_version;
  if (visit.acceptance.references->memory.raised()) {
    for (const auto* resources : {&policy.spec.resources.limits, &policy.spec.resources.requests}) {
      const auto memory = resources->find("memory");
      version += "/" + (memory == resources->end() ? "" : memory->second);
    }
  }
  Memory& memory = *visit.memory;
  if (memory.policy_version != version) {
    memory.policy_version = version;
    memory.policy_hash = memory.unraised_hash = PolicyHash(policy.spec);
    if (const auto& said = visit.acceptance.references->memory.said) {
      api::PodPolicySpec unraised = policy.spec;
      unraised.resources = *said;
      memory.unraised_hash = PolicyHash(unraised);
    }
  }
  return memory.policy_hash;
}

// Draining, when it is not what it would be made as now: of another image, or of a policy that says
// something else of pods. Returns whether it was.
Result<bool> RequestReconciler::ReplaceIfOutdated(Visit& visit, CrewMember& member) {
  const References& refs = *visit.acceptance.references;
  const bool old_image = member.row->spec.image != refs.choice.image;
  // Pods from before the label was there are left alone, and so are those that have less memory
  // than was raised since: that is ReplaceWhatHasTooLittle's.
  const std::string& made_by = member.pod.policy;
  const bool old_policy =
      !made_by.empty() && made_by != PolicyHashOf(visit) && made_by != visit.memory->unraised_hash;
  if (!old_image && !old_policy) return false;
  LS_RETURN_IF_ERROR(Drain(
      member, old_image ? kReasonImageChanged : kReasonPolicyChanged,
      old_image ? "a pod of image " + refs.choice.image + " takes its place"
                : "a pod as PodPolicy " + refs.policy.metadata.name + " says now takes its place"));
  return true;
}

// A pod that cannot start is replaced by what may have been corrected. One that is idle goes one at
// a time, and one with work has its turn when it is free. The next visit, which this wakes, makes
// what takes their place.
Status RequestReconciler::ReplaceOutdated(Visit& visit) {
  const WallTime now = env_.clock.Now();
  const auto stuck = [&](const CrewMember& member) {
    const api::BackupPodStatus& status = member.row->status;
    return member.in_trouble() && !status.lease &&
           Waited(status.last_transition_time, now) >= env_.settings.trouble_grace;
  };
  for (CrewMember& member : visit.crew.members) {
    if (stuck(member)) LS_RETURN_IF_ERROR(ReplaceIfOutdated(visit, member));
  }
  const bool incomplete = visit.crew.Counting() < visit.request.status.desired_pods && !visit.held;
  if (incomplete || visit.crew.OnTheirWay() > 0 || WorkWaits(visit.operations)) return {};
  for (CrewMember& member : visit.crew.members) {
    if (member.state() != api::kAvailable) continue;
    LS_ASSIGN_OR_RETURN(const bool replaced, ReplaceIfOutdated(visit, member));
    if (replaced) return {};
  }
  return {};
}

// Once a visit, when a pod is to be placed.
void RequestReconciler::LookAround(Visit& visit) const {
  if (visit.view != nullptr) return;
  visit.view = env_.cluster.View();
  visit.expected = ExpectedOn(env_.cluster.RowsLooking(), *visit.view, env_.clock.Now());
}

// Whether a pod is wanted for which no node will do. That the requirement may have timed out does
// not count: since when it cannot be met is what the time-out is measured by.
std::string RequestReconciler::NoNode(Visit& visit) const {
  if (!placement::Requires(visit.acceptance.references->source) ||
      visit.crew.Counting() >= visit.request.status.desired_pods) {
    return "";
  }
  const int slot = visit.crew.FreeSlot();
  const Search search = visit.crew.SearchOf(slot, visit.crew.NextAttempt(slot));
  LookAround(visit);
  const Steer steer =
      SteerPod({*visit.acceptance.references, visit.request, *visit.view, env_.pressure.Get()},
               visit.expected, search.widening, false);
  return steer.possible ? "" : steer.location;
}

// Whether nearness, which the source requires, has been looked for long enough: by earlier attempts
// of the slot, or without any, while no node would do.
bool RequestReconciler::Relaxed(const Visit& visit, const Search& search) const {
  const WallTime now = env_.clock.Now();
  auto waited = Since(search.since, now);
  const api::Condition* placeable =
      api::FindCondition(visit.request.status.conditions, "Placeable");
  if (placeable != nullptr && placeable->status == "False") {
    waited = std::max(waited, Since(placeable->last_transition_time, now));
  }
  const auto left = RequirementLeft(visit.acceptance.references->source, waited);
  return left && (search.relaxed || left->count() == 0);
}

// Fewer pods than wanted: plans rows, as fast as caps and pace allow. The row is durable before its
// Pod is created.
Result<Again> RequestReconciler::Provision(Visit& visit) {
  const api::ComputeRequest& request = visit.request;
  const References& refs = *visit.acceptance.references;
  Again again;
  if (visit.crew.Counting() >= request.status.desired_pods && visit.crew.OnTheirWay() == 0) {
    pace_.Recovered(request.metadata);
  }
  // The next one might get another name, since rows before it have gone meanwhile.
  if (visit.crew.Counting() < request.status.desired_pods && AwaitsRow(*visit.memory)) {
    return Again(kSoon);
  }
  for (; visit.crew.Counting() < request.status.desired_pods &&
         visit.crew.MayRun() < request.spec.pods.max && visit.room > 0 &&
         pace_.MayPlan(request.metadata);
       --visit.room) {
    const int slot = visit.crew.FreeSlot();
    const auto back_off = visit.crew.BackOff(slot, env_.clock.Now());
    if (back_off.count() > 0) return Again(back_off);
    const CrewMember* last = visit.crew.Newest(slot);
    const bool replaces = last != nullptr && last->state() != api::kDeconstructed;
    const int attempt = visit.crew.NextAttempt(slot);
    const Search search = visit.crew.SearchOf(slot, attempt);
    const bool relaxed = Relaxed(visit, search);
    LookAround(visit);
    const Steer steer = SteerPod({refs, request, *visit.view, env_.pressure.Get()}, visit.expected,
                                 search.widening, relaxed);
    if (!steer.possible) return Again(kLookAgain);
    api::BackupPod wanted =
        MakeRow(request, slot, attempt, refs.choice.image, steer.candidates,
                replaces ? api::kCauseReplaced : request.status.last_decision.cause);
    if (relaxed) wanted.spec.placement_mode = api::kPrefer;
    if (const auto wait = pace_.Take(request.metadata); wait.count() > 0) return Again(wait);
    visit.memory->unanswered = {wanted.metadata.ns, wanted.metadata.name};
    auto row = CreateObject(env_.cluster, wanted);
    if (!row) {
      // Ours from before, not in the cache yet.
      if (row.error().code == Code::kAlreadyExists) return Again(kSoon);
      return row.error();
    }
    visit.memory->unanswered = {};
    env_.tally.pod_moved(api::kPlanned);
    LogInfo("pod planned", {{"pod", row->metadata.Key()},
                            {"slot", slot},
                            {"attempt", wanted.spec.attempt},
                            {"cause", wanted.spec.cause},
                            {"relaxed", relaxed}});
    // No row was given up for it, which would have said so.
    if (relaxed && search.since.empty()) {
      env_.cluster.Event(ToJson(*row), true, kReasonRequireTimedOut, api::kPlanned,
                         "no node was near enough and had room for so long that nearness is only "
                         "preferred now: " +
                             visit.no_node);
    }
    if (!steer.candidates.empty()) ++visit.expected[steer.candidates.front()];
    env_.Wake(kPodKey, row->metadata.ns, row->metadata.name);
    visit.crew.Add(std::make_shared<const api::BackupPod>(*std::move(row)), false);
  }
  return again;
}

void RequestReconciler::Prune(const Visit& visit, bool over) {
  for (const CrewMember* member : visit.crew.Prunable(env_.clock.Now(), kKeepEndedRows, over)) {
    kube::DeleteOptions options;
    options.uid = member->row->metadata.uid;
    options.resource_version = member->row->metadata.resource_version;
    // Only tidying: what fails is tried again with the next visit.
    (void)env_.cluster.Delete(kube::kBackupPods, member->row->metadata.ns,
                              member->row->metadata.name, options);
  }
}

// A source whose login nobody has proved yet is checked by the first pod that can; a failed check
// is repeated, since nobody tells us when a password was corrected.
Status RequestReconciler::EnsureCheck(const Visit& visit) {
  const References& refs = *visit.acceptance.references;
  const auto& offers = refs.image.spec.operations;
  const bool reaches =
      !refs.source.spec.filesystem.has_value() || MountsClaim(refs.source, visit.request);
  const bool can = reaches &&
                   std::find(offers.begin(), offers.end(), api::kCheck) != offers.end() &&
                   std::any_of(visit.crew.members.begin(), visit.crew.members.end(),
                               [](const CrewMember& m) { return m.working(); });
  const int64_t generation = refs.source.metadata.generation;
  const api::Condition* ready = api::FindCondition(refs.source.status.conditions, "SourceReady");
  const bool proved =
      ready != nullptr && ready->status == "True" && ready->observed_generation == generation;
  if (!can || proved) return {};
  int done = 0;
  for (const api::Operation& operation : visit.operations) {
    const auto said = operation.metadata.annotations.find(kSourceGeneration);
    if (operation.spec.type != api::kCheck || said == operation.metadata.annotations.end() ||
        said->second != std::to_string(generation)) {
      continue;
    }
    const bool recent = Since(operation.status.completion_time, env_.clock.Now()) < kCheckAgain;
    if (!api::Terminal(operation.status.state) || recent) return {};
    ++done;
  }
  api::Operation check;
  check.metadata.name =
      CheckName(refs.source.metadata.uid, visit.request.metadata.uid, generation, done);
  check.metadata.ns = visit.request.metadata.ns;
  check.metadata.annotations[kSourceGeneration] = std::to_string(generation);
  check.metadata.labels[api::kLabelManagedBy] = "longshore";
  check.spec.type = api::kCheck;
  check.spec.source_ref = {refs.source.metadata.name, refs.source.metadata.ns};
  check.spec.request_ref.name = visit.request.metadata.name;
  const auto made = CreateObject(env_.cluster, check);
  if (!made && made.error().code != Code::kAlreadyExists) return made.error();
  env_.Wake(kOperationKey, check.metadata.ns, check.metadata.name);
  return {};
}

}  // namespace longshore::controller
