// SPDX-License-Identifier: Apache-2.0
#include "controller/known_copy.h"

#include "common/base/strings.h"

namespace longshore::controller {

std::optional<api::CopySummary> KnownCopy(const Cluster& cluster, const api::Operation& operation) {
  const std::string& type = operation.spec.type;
  const std::string& id = operation.spec.copy_id;
  if ((type != api::kRestore && type != api::kVerify) || id.empty()) return std::nullopt;
  for (const kube::ObjectPtr& object : cluster.List(kube::kOperations)) {
    // Restores and verifications have a copy in their status too: only the maker's word counts.
    const bool made_it = kube::StringAt(*object, "/status/copy/id") == id &&
                         kube::StringAt(*object, "/spec/type") == api::kBackup &&
                         kube::StringAt(*object, "/status/state") == api::kSucceeded;
    if (!made_it) continue;
    auto maker = ReadObject<api::Operation>(object);
    if (maker && maker->status.copy && IsSha256(maker->status.copy->record_snapshot)) {
      return std::move(maker->status.copy);
    }
  }
  return std::nullopt;
}

messages::CopyRecord ToMessage(const api::CopySummary& copy) {
  messages::CopyRecord message;
  message.set_id(copy.id);
  message.set_data_snapshot(copy.data_snapshot);
  message.set_record_snapshot(copy.record_snapshot);
  message.set_manifest_digest(copy.manifest_digest);
  message.set_record_digest(copy.record_digest);
  return message;
}

messages::OperationResult HeldToRecord(const Cluster& cluster, const api::Operation& operation,
                                       messages::OperationResult result) {
  if (!result.succeeded()) return result;
  const auto known = KnownCopy(cluster, operation);
  if (!known || result.copy().record_snapshot() == known->record_snapshot) return result;
  result.set_succeeded(false);
  result.set_retryable(false);
  result.set_error_class("Mismatch");
  result.set_error_message("the worker read another record of copy " + known->id + " (snapshot " +
                           result.copy().record_snapshot().substr(0, 12) +
                           ") than its backup wrote (snapshot " +
                           known->record_snapshot.substr(0, 12) +
                           "): do not use what it restored; have the repository looked into, and "
                           "repeat it on a pod with "
                           "an image of this version");
  result.clear_copy();
  return result;
}

}  // namespace longshore::controller
