// SPDX-License-Identifier: Apache-2.0
#include "controller/source_reconciler.h"

#include "controller/acceptance.h"

namespace longshore::controller {
namespace {

// Error classes of a check that tell about the repository rather than the source.
bool AboutRepository(const api::OperationError& error) { return error.error_class == "Repository"; }

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
        NamespaceOfSource(check->spec.source_ref, check->metadata.ns) != source.metadata.ns) {
      continue;
    }
    if (!newest || newest->status.completion_time < check->status.completion_time) {
      newest = std::move(check);
    }
  }
  return newest;
}

Result<Again> SourceReconciler::Reconcile(const std::string& ns, const std::string& name) {
  auto source = Find<api::BackupSource>(env_.cluster, ns, name);
  if (!source) return Again();
  const auto check = NewestCheck(*source);
  if (!check) return Again();
  // Repositories first: what is wrong with one says nothing about the source.
  LS_RETURN_IF_ERROR(WriteRepository(*check));
  LS_RETURN_IF_ERROR(WriteSource(*source, *check));
  return Again();
}

Status SourceReconciler::WriteSource(api::BackupSource& source, const api::Operation& check) {
  const api::BackupSourceStatus before = source.status;
  // The generation that was checked: recorded by whoever queued it, else the current one.
  int64_t generation = source.metadata.generation;
  const auto said = check.metadata.annotations.find("longshore.dev/source-generation");
  if (said != check.metadata.annotations.end()) {
    generation = std::atoll(said->second.c_str());
  }
  api::Condition ready = {
      "SourceReady", "True", "LoggedIn", "check " + check.metadata.name + " logged in", "",
      generation};
  if (check.status.state != api::kSucceeded) {
    const api::OperationError error = check.status.error.value_or(api::OperationError{});
    const bool other = AboutRepository(error);
    ready.status = other ? "Unknown" : "False";
    ready.reason = error.error_class.empty() ? "CheckFailed" : error.error_class;
    ready.message = error.message;
  }
  api::SetCondition(source.status.conditions, ready, env_.NowText());
  source.status.observed_generation = source.metadata.generation;
  if (!check.status.server_version.empty()) {
    source.status.server_version = check.status.server_version;
  }
  if (api::WriteJson(source.status) == api::WriteJson(before)) return {};
  LS_RETURN_IF_ERROR(WriteStatus(env_.cluster, source));
  env_.cluster.Event(ToJson(source), ready.status == "False", ready.reason, "Check", ready.message);
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
  if (api::WriteJson(repository->status) == api::WriteJson(before)) return {};
  return WriteStatus(env_.cluster, *repository);
}

}  // namespace longshore::controller
