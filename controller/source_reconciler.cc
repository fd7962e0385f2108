// SPDX-License-Identifier: Apache-2.0
#include "controller/source_reconciler.h"

#include "controller/acceptance.h"
#include "controller/clip.h"
#include "controller/image_choice.h"
#include "controller/memory_need.h"

namespace longshore::controller {
namespace {

// Error classes of a check that tell about the repository rather than the source.
bool AboutRepository(const api::OperationError& error) { return error.error_class == "Repository"; }

constexpr char kSourceReady[] = "SourceReady";
constexpr char kNoImage[] = "NoImage", kNotChecked[] = "NotChecked";

// The generation that was checked: recorded by whoever queued it. Of another check it is the
// current one when its result is new, and later what was written then: the source may have changed.
int64_t CheckedGeneration(const api::BackupSource& source, const api::Operation& check,
                          const api::Condition& ready) {
  const auto said = check.metadata.annotations.find("longshore.dev/source-generation");
  if (said != check.metadata.annotations.end()) return std::atoll(said->second.c_str());
  const api::Condition* written = api::FindCondition(source.status.conditions, kSourceReady);
  const bool known = written != nullptr && written->status == ready.status &&
                     written->reason == ready.reason && written->message == ready.message;
  return known ? written->observed_generation : source.metadata.generation;
}

}  // namespace

std::optional<api::Operation> SourceReconciler::NewestCheck(const api::BackupSource& source) const {
  std::optional<api::Operation> newest;
  for (const kube::ObjectPtr& object : env_.cluster.List(kube::kOperations)) {
    if (kube::StringAt(*object, "/spec/type") != api::kCheck ||
        kube::StringAt(*object, "/spec/sourceRef/name") != source.metadata.name) {
      continue;
    }
    auto check = ReadObject<api::Operation>(object);
    if (!check || !api::Terminal(check->status.state) || check->status.state == api::kCancelled ||
        api::NamespaceOfSource(check->spec.source_ref, check->metadata.ns) != source.metadata.ns) {
      continue;
    }
    if (!newest || newest->status.completion_time < check->status.completion_time) {
      newest = std::move(check);
    }
  }
  return newest;
}

// Requests come and go: what one has learnt is kept for the next.
Status SourceReconciler::KeepKills(api::BackupSource& source) {
  bool news = false;
  for (const kube::ObjectPtr& object : env_.cluster.List(kube::kComputeRequests)) {
    if (kube::StringAt(*object, "/status/outOfMemory/memoryLimit").empty()) continue;
    const auto request = ReadObject<api::ComputeRequest>(object);
    const bool ours = request && api::SourceKey(request->spec.source_ref, request->metadata.ns) ==
                                     source.metadata.Key();
    if (ours && KeepKill(source.status, *request)) news = true;
  }
  return news ? WriteStatus(env_.cluster, source) : Status();
}

Result<Again> SourceReconciler::Reconcile(const std::string& ns, const std::string& name) {
  auto source = Find<api::BackupSource>(env_.cluster, ns, name);
  if (!source) return Again();
  LS_RETURN_IF_ERROR(KeepKills(*source));
  const api::BackupSourceStatus before = source->status;
  const int64_t generation = source->metadata.generation;
  const std::string none = NoImageOfKind(
      source->spec.kind, ReadAll<api::SourceImage>(env_.cluster.List(kube::kSourceImages)));
  if (!none.empty()) {
    LS_RETURN_IF_ERROR(
        WriteSource(*source, before, {kSourceReady, "False", kNoImage, none, "", generation}));
    return Again();
  }
  const auto check = NewestCheck(*source);
  const api::Condition* said = api::FindCondition(before.conditions, kSourceReady);
  const bool unchecked =
      said != nullptr && (said->reason == kNoImage || said->reason == kNotChecked);
  if (check && !(unchecked && check->status.completion_time < said->last_transition_time)) {
    // Repositories first: what is wrong with one says nothing about the source.
    LS_RETURN_IF_ERROR(WriteRepository(*check));
    LS_RETURN_IF_ERROR(TakeCheck(*source, *check));
  } else if (unchecked) {
    // What was checked before its kind had no image is another source's login, for all we know.
    LS_RETURN_IF_ERROR(WriteSource(
        *source, before,
        {kSourceReady, "Unknown", kNotChecked,
         "there is an image; the first pod of a request checks the login", "", generation}));
  }
  return Again();
}

Status SourceReconciler::TakeCheck(api::BackupSource& source, const api::Operation& check) {
  const api::BackupSourceStatus before = source.status;
  api::Condition ready = {
      kSourceReady, "True", "LoggedIn", "check " + check.metadata.name + " logged in", "", 0};
  if (check.status.state != api::kSucceeded) {
    const api::OperationError error = check.status.error.value_or(api::OperationError{});
    const bool other = AboutRepository(error);
    ready.status = other ? "Unknown" : "False";
    ready.reason = error.error_class.empty() ? "CheckFailed" : error.error_class;
    ready.message = error.message;
  }
  ready.observed_generation = CheckedGeneration(source, check, ready);
  if (!check.status.server_version.empty()) {
    source.status.server_version = check.status.server_version;
  }
  return WriteSource(source, before, ready);
}

Status SourceReconciler::WriteSource(api::BackupSource& source,
                                     const api::BackupSourceStatus& before,
                                     const api::Condition& ready) {
  api::Condition clipped = ready;
  clipped.message = Clip(ready.message);
  api::SetCondition(source.status.conditions, clipped, env_.NowText());
  source.status.observed_generation = source.metadata.generation;
  if (source.status == before) return {};
  LS_RETURN_IF_ERROR(WriteStatus(env_.cluster, source));
  const api::Condition* was = api::FindCondition(before.conditions, kSourceReady);
  if (was != nullptr && was->status == ready.status && was->message == clipped.message) return {};
  env_.cluster.Event(ToJson(source), ready.status == "False", ready.reason, "Check",
                     clipped.message);
  return {};
}

Status SourceReconciler::WriteRepository(const api::Operation& check) {
  const std::string& ns = check.metadata.ns;
  const auto request = Find<api::ComputeRequest>(env_.cluster, ns, check.spec.request_ref.name);
  if (!request) return {};
  const auto policy = Find<api::PodPolicy>(env_.cluster, ns, request->spec.policy_ref.name);
  if (!policy) return {};
  auto repository = Find<api::BackupRepository>(env_.cluster, ns, policy->spec.repository_ref.name);
  if (!repository) return {};
  const bool failed = check.status.error && AboutRepository(*check.status.error);
  if (!failed && check.status.state != api::kSucceeded) return {};
  const api::BackupRepositoryStatus before = repository->status;
  const int64_t generation = repository->metadata.generation;
  api::SetCondition(
      repository->status.conditions,
      {"RepositoryReady", failed ? "False" : "True",
       failed ? check.status.error->error_class : "Opened",
       failed ? check.status.error->message : "opened by check " + check.metadata.name, "",
       generation},
      env_.NowText());
  repository->status.observed_generation = generation;
  if (repository->status == before) return {};
  return WriteStatus(env_.cluster, *repository);
}

}  // namespace longshore::controller
