// SPDX-License-Identifier: Apache-2.0
#include "controller/request_reconciler.h"

#include <algorithm>

#include "common/base/log.h"
#include "controller/announcements.h"
#include "controller/clip.h"
#include "controller/copies_apart.h"
#include "controller/finalizer.h"
#include "controller/operation_moves.h"
#include "controller/pod_template.h"
#include "controller/request_conditions.h"
#include "controller/steering.h"
#include "controller/sure_write.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kSecretsAgain{15};
constexpr seconds kPruneAgain{60};
// Between two writes of which pods' usage is not fresh, and from the last such pod to its end.
constexpr seconds kSilentToldAgain{60}, kSilentOver{10};
// Least between two writes of nothing but counts.
constexpr seconds kCountsAgain{1};

Again Sooner(Again a, Again b) {
  if (!a) return b;
  if (!b) return a;
  return std::min(*a, *b);
}

bool HasDeadline(const api::ComputeRequestSpec& spec) {
  return !spec.deadline.empty() || !spec.daily_deadline.empty();
}

// Whether nothing has changed but how many pods are in which state, and what is said with it.
bool OnlyCounts(api::ComputeRequestStatus before, const api::ComputeRequestStatus& now) {
  before.pods = now.pods;
  for (api::Condition& condition : before.conditions) {
    const api::Condition* is = api::FindCondition(now.conditions, condition.type);
    if (is != nullptr) condition.message = is->message;
  }
  return before == now;
}

PodLife LifeOf(PodFacts pod) {
  PodLife life(pod.alive());
  life.started = std::move(pod.started);
  life.policy = std::move(pod.policy);
  life.memory_limit = std::move(pod.memory_limit);
  life.killed_for_memory = pod.death.reason == kReasonOOMKilled;
  return life;
}

// What others than people go by: whether it is accepted, and since when a node is looked for.
bool IsHeeded(const api::Condition& condition) {
  return condition.type == "Accepted" || condition.type == "Placeable" ||
         condition.type == "PodsProvisioned";
}

// Whether that can wait while others are written: what was wanted, is heeded or is ready stays.
bool CanWait(api::ComputeRequestStatus before, const api::ComputeRequestStatus& now) {
  before.pods = now.pods;
  before.location = now.location;
  before.predicted_finish_time = now.predicted_finish_time;
  for (api::Condition& condition : before.conditions) {
    const api::Condition* is = api::FindCondition(now.conditions, condition.type);
    if (is == nullptr) continue;
    const bool other = is->status != condition.status || is->reason != condition.reason;
    if (!other || !IsHeeded(*is)) condition = *is;
  }
  return before == now;
}

// "2 → 3 pods (Usage): why; limited by MaxPods: what to raise".
std::string NoteOf(const api::ScalingDecision& decision) {
  std::string note = std::to_string(decision.from) + " → " + std::to_string(decision.to) +
                     (decision.to == 1 ? " pod" : " pods");
  for (const api::ScalingCandidate& candidate : decision.candidates) {
    if (candidate.chosen) note += " (" + candidate.name + ")";
  }
  note += ": " + decision.message;
  if (decision.limit) {
    note += "; limited by " + decision.limit->reason + ": " + decision.limit->message;
  }
  return note;
}

}  // namespace

Result<Again> RequestReconciler::Reconcile(const std::string& ns, const std::string& name) {
  auto found = Find<api::ComputeRequest>(env_.cluster, ns, name);
  if (!found) return Again();
  const std::string ending = EndOfRequest(found, env_.clock.Now());
  if (!found->metadata.deleting()) {
    LS_ASSIGN_OR_RETURN(const bool added, EnsureFinalizer(*found));
    if (added) return Again(milliseconds(0));
  }
  Visit visit = Look(*std::move(found));
  WakeNext(visit);
  if (visit.acceptance.references) {
    LS_ASSIGN_OR_RETURN(const bool killed, TakeKill(visit, !ending.empty()));
    if (killed) return Reconcile(ns, name);
  }
  const api::ComputeRequestStatus before = visit.request.status;
  if (!ending.empty()) return OnEnding(visit, ending);

  AcceptSecrets(visit);
  const bool accepted = visit.acceptance.condition.status == "True";
  // Pods from before it was refused go on, and connect again.
  if (accepted || !visit.crew.members.empty()) LS_RETURN_IF_ERROR(EnsureCaConfigMap(ns));
  if (accepted) {
    Decide(visit);
    visit.no_node = NoNode(visit);
    FindRoom(visit);
  }
  // The decision is durable before anything is done about it.
  LS_ASSIGN_OR_RETURN(const Again unwritten, WriteStatusIfChanged(visit, before));
  if (!unwritten) AnnounceChanges(visit, before);
  if (!accepted) {
    // Pods from before may go on; what waits for new ones is told.
    LS_ASSIGN_OR_RETURN(const Again dispatched, dispatcher_.Dispatch(ns, name));
    return Sooner(Sooner(dispatched, unwritten), Again(kSecretsAgain));
  }
  LS_RETURN_IF_ERROR(DrainSurplus(visit));
  LS_ASSIGN_OR_RETURN(const Again provisioned, Provision(visit));
  LS_RETURN_IF_ERROR(ReplaceWhatHasTooLittle(visit));
  LS_RETURN_IF_ERROR(ReplaceOutdated(visit));
  Prune(visit, false);
  LS_RETURN_IF_ERROR(EnsureCheck(visit));
  LS_ASSIGN_OR_RETURN(const Again dispatched, dispatcher_.Dispatch(ns, name));
  return Sooner(Sooner(provisioned, dispatched), Sooner(unwritten, Again(kLookAgain)));
}

Result<bool> RequestReconciler::EnsureFinalizer(api::ComputeRequest& request) {
  auto finalizers = request.metadata.finalizers;
  if (std::find(finalizers.begin(), finalizers.end(), api::kFinalizer) != finalizers.end()) {
    return false;
  }
  finalizers.push_back(api::kFinalizer);
  const api::Json patch = {
      {"metadata",
       {{"resourceVersion", request.metadata.resource_version}, {"finalizers", finalizers}}}};
  LS_ASSIGN_OR_RETURN(
      const api::Json written,
      env_.cluster.Patch(kube::kComputeRequests, request.metadata.ns, request.metadata.name,
                         kube::PatchType::kMerge, patch, ""));
  return !written.is_null();
}

Status RequestReconciler::Release(const api::ComputeRequest& request) {
  LS_RETURN_IF_ERROR(DropFinalizer(env_.cluster, kube::kComputeRequests, request.metadata));
  memory_.erase(request.metadata.uid);
  pace_.Forget(request.metadata);
  env_.scaling.Forget(request.metadata.uid);
  env_.gate.Forget(request.metadata.uid);
  LogInfo("request released", {{"request", request.metadata.Key()}});
  return {};
}

RequestReconciler::Visit RequestReconciler::Look(api::ComputeRequest request) {
  Visit visit;
  const std::string ns = request.metadata.ns, name = request.metadata.name;
  visit.acceptance = Accept(env_.cluster, request);
  visit.acceptance.condition.observed_generation = request.metadata.generation;
  visit.crew = MakeCrew(env_.cluster.RowsOf(ns, name), [&](const api::BackupPod& row) {
    return LifeOf(FactsOf(env_.cluster.Get(kube::kPods, ns, row.metadata.name)));
  });
  visit.operations = ReadAll<api::Operation>(env_.cluster.OperationsOf(ns, name));
  const auto [memory, fresh] = memory_.try_emplace(request.metadata.uid);
  visit.memory = &memory->second;
  // A check is part of accepting a source, not load that more pods could share.
  if (fresh || visit.crew.Moving() > 0 || CheckRuns(visit.operations)) {
    visit.memory->settled = env_.clock.Monotonic();
  }
  const auto& references = visit.acceptance.references;
  env_.gate.SetRules(request.metadata.uid,
                     references ? references->scaling.rules : std::vector<scaling::SignalRule>());
  // Its lifetime may have been made longer; OnEnding knows when it was not.
  if (api::FindCondition(request.status.conditions, kDrainStalled) != nullptr) {
    visit.drain = api::Condition{kDrainStalled, "False", "NotEnding", "", "", 0};
  }
  visit.request = std::move(request);
  return visit;
}

// Deleted or past its lifetime: what waits is cancelled, what is idle goes, what works may finish.
Result<Again> RequestReconciler::OnEnding(Visit& visit, const std::string& why) {
  const api::ObjectMeta& meta = visit.request.metadata;
  bool working = false;
  for (const api::Operation& operation : visit.operations) {
    if (api::Terminal(operation.status.state)) continue;
    working = true;
    env_.Wake(kOperationKey, operation.metadata.ns, operation.metadata.name);
  }
  for (const CrewMember& member : visit.crew.members) {
    if (!member.may_run()) continue;
    working = true;
    env_.Wake(kPodKey, member.row->metadata.ns, member.row->metadata.name);
  }
  const api::ComputeRequestStatus before = visit.request.status;
  const WallTime now = env_.clock.Now();
  visit.drain = DrainStalled(visit.operations, visit.crew,
                             EndingSince(visit.request, now).value_or(now), now);
  const std::string& waits = visit.drain->message;
  visit.acceptance.condition = {"Accepted",
                                "False",
                                meta.deleting() ? "Deleting" : "Expired",
                                waits.empty() ? why : why + "; " + waits,
                                "",
                                meta.generation};
  visit.request.status.desired_pods = 0;
  if (working || !meta.deleting()) {
    LS_ASSIGN_OR_RETURN(const Again unwritten, WriteStatusIfChanged(visit, before));
    if (working) return Sooner(unwritten, Again(seconds(2)));
    Prune(visit, true);
    return Sooner(unwritten, visit.crew.members.empty() ? Again() : Again(kPruneAgain));
  }
  LS_RETURN_IF_ERROR(Release(visit.request));
  return Again();
}

// Secrets are read by name, when a generation is accepted first and while something is missing.
void RequestReconciler::AcceptSecrets(Visit& visit) {
  if (!visit.acceptance.references) return;
  Memory& memory = *visit.memory;
  const MonotonicTime now = env_.clock.Monotonic();
  const bool stale = memory.secrets_generation != visit.request.metadata.generation ||
                     (!memory.secret_missing.empty() && now - memory.secrets_read >= kSecretsAgain);
  if (stale) {
    const Status checked =
        CheckSecrets(env_.cluster, *visit.acceptance.references, visit.request.spec.purpose);
    memory.secrets_read = now;
    memory.secrets_generation = visit.request.metadata.generation;
    memory.secret_missing = checked ? "" : checked.error().message;
  }
  if (!memory.secret_missing.empty()) {
    visit.acceptance.condition.status = "False";
    visit.acceptance.condition.reason = "SecretMissing";
    visit.acceptance.condition.message = memory.secret_missing;
  }
}

Status RequestReconciler::EnsureCaConfigMap(const std::string& ns) {
  const MonotonicTime now = env_.clock.Monotonic();
  std::string pem = env_.settings.ca_pem();
  const auto written = ca_written_.find(ns);
  // An authority is replaced soon after its successor was added: workers must have that by then.
  if (written != ca_written_.end() && written->second.pem == pem &&
      now - written->second.time < std::chrono::minutes(10)) {
    return {};
  }
  const api::Json data = {{"data", {{kCaKey, pem}}}};
  api::Json object = data;
  object["apiVersion"] = "v1";
  object["kind"] = "ConfigMap";
  object["metadata"] = {
      {"name", kCaConfigMap}, {"namespace", ns}, {"labels", {{api::kLabelManagedBy, "longshore"}}}};
  auto made = env_.cluster.Create(kube::kConfigMaps, ns, object);
  if (!made && made.error().code == Code::kAlreadyExists) {
    made =
        env_.cluster.Patch(kube::kConfigMaps, ns, kCaConfigMap, kube::PatchType::kMerge, data, "");
  }
  if (!made) return Annotate(made.error(), "ConfigMap longshore-ca in namespace " + ns);
  ca_written_[ns] = {std::move(pem), now};
  return {};
}

// Reports that are late come and go with each second: were each change a write, a machine that is
// too busy to take them in time would get the API server's work on top.
void RequestReconciler::HoldSignalsMissing(const Visit& visit, api::Condition& condition) const {
  const MonotonicTime now = env_.clock.Monotonic();
  const api::Condition* before =
      api::FindCondition(visit.request.status.conditions, condition.type);
  const bool was_missing = before != nullptr && before->reason == kReasonSignalsMissing;
  const bool missing = condition.reason == kReasonSignalsMissing;
  if (missing) visit.memory->silent_seen = now;
  const bool holds = missing ? now - visit.memory->silent_told < kSilentToldAgain
                             : now - visit.memory->silent_seen < kSilentOver;
  if (was_missing && holds) {
    condition = *before;
  } else if (missing && (!was_missing || before->message != condition.message)) {
    visit.memory->silent_told = now;
  }
}

// A pod that comes passes several states within a second: none of them is worth a write by itself.
// And what becomes true of a thousand requests at once, as when a leader has seen a whole idle
// time, is written of one after the other: decisions come between.
MonotonicTime RequestReconciler::MayWriteAt(Memory& memory, const api::ComputeRequestStatus& before,
                                            const api::ComputeRequestStatus& status,
                                            MonotonicTime now) {
  const MonotonicTime due = memory.status_written + kCountsAgain;
  if (now < due && OnlyCounts(before, status)) return due;
  if (!CanWait(before, status)) return now;
  if (!memory.news_at) memory.news_at = news_.Reserve(now);
  return *memory.news_at;
}

Result<Again> RequestReconciler::WriteStatusIfChanged(Visit& visit,
                                                      const api::ComputeRequestStatus& before) {
  api::ComputeRequestStatus& status = visit.request.status;
  const int64_t generation = visit.request.metadata.generation;
  status.observed_generation = generation;
  status.pods = visit.crew.Counts();
  if (status.ready_time.empty() && status.initial_pods &&
      status.pods.available + status.pods.assigned >=
          std::min(*status.initial_pods, visit.request.spec.pods.max)) {
    status.ready_time = env_.NowText();
  }
  if (!visit.acceptance.choice.reason.empty()) status.image = visit.acceptance.choice;
  std::optional<api::Condition> copies_apart;
  if (const auto& refs = visit.acceptance.references) {
    const auto view = env_.cluster.View();
    const placement::Location data = placement::Locate(refs->source, *view);
    status.location = Clip(data.reason, 1000);
    copies_apart = CopiesApart(data, refs->repository, *view);
  }
  std::vector<api::Condition> conditions = {visit.acceptance.condition};
  const bool restarted =
      env_.clock.Monotonic() - env_.started < seconds(visit.request.spec.scaling.idle_seconds) &&
      Since(visit.request.metadata.creation_timestamp, env_.clock.Now()) >
          env_.clock.Monotonic() - env_.started;
  const bool accepted = visit.acceptance.references.has_value();
  const bool has_rules = accepted && !visit.acceptance.references->scaling.rules.empty();
  const auto require_timeout =
      accepted ? visit.acceptance.references->source.spec.placement.require_timeout_seconds
               : std::nullopt;
  for (api::Condition& condition : MakeConditions(
           {visit.crew, visit.scaling, accepted, has_rules, restarted, status.desired_pods,
            HasDeadline(visit.request.spec), visit.memory->deadline, std::move(copies_apart),
            visit.no_node, require_timeout, visit.held, env_.clock.Now()})) {
    conditions.push_back(std::move(condition));
  }
  if (visit.drain) conditions.push_back(*visit.drain);
  if (accepted && status.out_of_memory) {
    const References& refs = *visit.acceptance.references;
    conditions.push_back(OutOfMemoryCondition(*status.out_of_memory, refs.memory,
                                              refs.policy.metadata.name, visit.crew));
  }
  for (api::Condition& condition : conditions) {
    condition.message = Clip(condition.message);
    if (condition.type == kScalingActive) HoldSignalsMissing(visit, condition);
    condition.observed_generation = generation;
    api::SetCondition(status.conditions, condition, env_.NowText());
  }
  if (status == before) {
    visit.memory->news_at.reset();
    return Again();
  }
  const MonotonicTime now = env_.clock.Monotonic();
  const MonotonicTime due = MayWriteAt(*visit.memory, before, status, now);
  if (now < due) return Again(std::chrono::ceil<milliseconds>(due - now));
  LS_RETURN_IF_ERROR(WriteStatusSurely(env_.cluster, visit.request));
  visit.memory->status_written = now;
  visit.memory->news_at.reset();
  return Again();
}

void RequestReconciler::AnnounceChanges(const Visit& visit,
                                        const api::ComputeRequestStatus& before) {
  const api::ComputeRequest& request = visit.request;
  const auto flipped = [&](const char* type) {
    const api::Condition* was = api::FindCondition(before.conditions, type);
    const api::Condition* is = api::FindCondition(request.status.conditions, type);
    return is != nullptr && (was == nullptr || was->status != is->status) ? is : nullptr;
  };
  if (visit.decided) {
    const api::ScalingDecision& decision = request.status.last_decision;
    LogInfo("crew resized", {{"request", request.metadata.Key()},
                             {"from", decision.from},
                             {"to", decision.to},
                             {"cause", decision.cause},
                             {"message", decision.message}});
    AnnounceDecision(env_.events, request);
    env_.scaling.AddDecision(request.metadata.uid, decision);
    env_.tally.scaled(decision.cause);
    env_.cluster.Event(ToJson(request), false, decision.cause, "Scale", NoteOf(decision));
  }
  // The condition, when it has become true or is true for another reason.
  const auto turned = [&](const char* type) {
    const api::Condition* was = api::FindCondition(before.conditions, type);
    const api::Condition* is = api::FindCondition(request.status.conditions, type);
    const bool news = is != nullptr && (was == nullptr || was->reason != is->reason);
    return news && is->status == "True" ? is : nullptr;
  };
  const auto reworded = [&](const char* type) {
    const api::Condition* was = api::FindCondition(before.conditions, type);
    const api::Condition* is = api::FindCondition(request.status.conditions, type);
    return is != nullptr && (was == nullptr || was->message != is->message) ? is : nullptr;
  };
  if (const api::Condition* limited = turned("ScalingLimited")) {
    env_.tally.limited(limited->reason);
    const auto& told = request.status.last_decision.limit;
    const bool in_note = visit.decided && told && told->reason == limited->reason;
    if (!in_note)
      env_.cluster.Event(ToJson(request), false, limited->reason, "Scale", limited->message);
  }
  const api::Condition* apart = flipped(kCopiesApart);
  if (apart != nullptr && apart->status == "False") {
    env_.cluster.Event(ToJson(request), true, apart->reason, "Compare", apart->message);
  }
  const api::Condition* memory = reworded(kOutOfMemory);
  if (memory != nullptr && memory->reason != kReasonPodGone) {
    // What earlier requests have found is no news.
    const bool learnt = before.last_decision.time.empty();
    env_.cluster.Event(ToJson(request), !learnt, memory->reason, "Resize", memory->message);
  }
  if (const api::Condition* late = turned("DeadlineAtRisk")) {
    env_.cluster.Event(ToJson(request), true, late->reason, "Predict", late->message);
  }
  if (const api::Condition* accepted = flipped("Accepted")) {
    env_.cluster.Event(ToJson(request), accepted->status != "True", accepted->reason, "Accept",
                       accepted->message);
  }
  if (before.ready_time.empty() && !request.status.ready_time.empty()) {
    AnnounceReady(env_.events, request);
  }
}

}  // namespace longshore::controller
