// SPDX-License-Identifier: Apache-2.0
//
// An operation while no pod has it: queued, cancelled, interrupted and tried again. While a pod has
// it the pod reconciler writes its status. Runs on the reconcile thread.
#pragma once

#include <string>

#include "controller/dispatcher.h"
#include "controller/environment.h"

namespace longshore::controller {

class OperationReconciler {
 public:
  OperationReconciler(Environment& env, Dispatcher& dispatcher)
      : env_(env), dispatcher_(dispatcher) {}

  Result<Again> Reconcile(const std::string& ns, const std::string& name);

 private:
  static constexpr std::chrono::seconds kLookAgain{5};  // for what no event tells us

  Result<Again> OnWaiting(api::Operation& operation);
  Result<Again> OnInterrupted(api::Operation& operation);
  Result<Again> OnActive(api::Operation& operation);
  // What has ended is written, and then told.
  Result<Again> Finish(api::Operation& operation);
  Result<Again> Fail(api::Operation& operation, const std::string& error_class,
                     const std::string& message);
  Result<Again> Cancel(api::Operation& operation, const std::string& reason,
                       const std::string& message);
  Status Write(api::Operation& operation);
  // The rows whose lease names it.
  std::vector<api::BackupPodPtr> LeasedRows(const api::Operation& operation) const;
  // Whether the pod that had it can certainly not go on with it.
  Result<bool> Fenced(const api::Operation& operation);
  // What keeps it waiting, for its condition: {reason, message}.
  std::pair<std::string, std::string> WhyWaiting(const api::Operation& operation) const;

  Environment& env_;
  Dispatcher& dispatcher_;
};

}  // namespace longshore::controller
