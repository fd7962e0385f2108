// SPDX-License-Identifier: Apache-2.0
//
// SourceReady and RepositoryReady: whether there is an image for a source, and what its newest
// check proved; and what its requests have found to be too little memory. Level-based: reads the
// SourceImages, the finished Check operations and the ComputeRequests and writes the two statuses.
// Runs on the reconcile thread.
#pragma once

#include <string>

#include "controller/environment.h"

namespace longshore::controller {

class SourceReconciler {
 public:
  explicit SourceReconciler(Environment& env) : env_(env) {}

  Result<Again> Reconcile(const std::string& ns, const std::string& name);

 private:
  Status KeepKills(api::BackupSource& source);
  std::optional<api::Operation> NewestCheck(const api::BackupSource& source) const;
  Status TakeCheck(api::BackupSource& source, const api::Operation& check);
  // Writes the condition, and tells of it, if it is new.
  Status WriteSource(api::BackupSource& source, const api::BackupSourceStatus& before,
                     const api::Condition& ready);
  Status WriteRepository(const api::Operation& check);

  Environment& env_;
};

}  // namespace longshore::controller
