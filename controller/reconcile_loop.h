// SPDX-License-Identifier: Apache-2.0
//
// The one thread on which everything is decided: takes keys from the work queue and calls the
// reconciler of their kind. Constructed by main.cc and by tests, which step it themselves.
#pragma once

#include <atomic>
#include <string>
#include <thread>

#include "common/kube/work_queue.h"
#include "controller/dispatcher.h"
#include "controller/environment.h"
#include "controller/operation_reconciler.h"
#include "controller/pod_reconciler.h"
#include "controller/request_reconciler.h"
#include "controller/source_reconciler.h"

namespace longshore::controller {

class ReconcileLoop {
 public:
  // `env.enqueue` must put keys into `queue`. Both outlive the loop.
  ReconcileLoop(Environment& env, kube::WorkQueue& queue);
  ~ReconcileLoop();  // stops

  void Start();
  void Stop();  // idempotent; joins

  // Handles one key if one is due within the time. For tests, and for the thread.
  bool Step(std::chrono::milliseconds wait);

  // Since the thread last took or waited for a key: health is progress, not being alive.
  std::chrono::milliseconds SinceProgress() const;
  // Keys that were repeated: somebody else wrote first, or it failed. Thread-safe.
  struct Counts {
    uint64_t conflicts = 0, errors = 0;
  };
  Counts counts() const { return {conflicts_, errors_}; }

 private:
  Result<Again> Handle(const std::string& key);

  Environment& env_;
  kube::WorkQueue& queue_;
  Pace pace_;
  PodReconciler pods_;
  Dispatcher dispatcher_;
  OperationReconciler operations_;
  RequestReconciler requests_;
  SourceReconciler sources_;
  std::atomic<uint64_t> conflicts_{0}, errors_{0};
  std::atomic<int64_t> progress_ns_{0};
  std::jthread thread_;
};

}  // namespace longshore::controller
