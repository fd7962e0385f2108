// SPDX-License-Identifier: Apache-2.0
//
// Where pods of ours were probably just placed. kube-scheduler does not tell its extenders which
// node it chose, and the watch shows a binding some milliseconds later; in between, the next pod of
// a burst must not be sent to the same node as if it were still empty. Thread-safe.
#pragma once

#include <chrono>
#include <string>
#include <unordered_map>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/placement/location.h"

namespace longshore::extender {

class Reservations {
 public:
  // How long a guess counts when the pod is never seen bound (it was placed elsewhere, or failed).
  static constexpr std::chrono::seconds kLifetime{3};

  using Counts = std::unordered_map<std::string, int>;  // by node

  // The pod (by its UID) now holds room on this node only, unless there are too many already.
  void Reserve(const std::string& ns, const std::string& name, const std::string& uid,
               const std::string& node, MonotonicTime now,
               std::chrono::seconds lifetime = kLifetime);
  // Another pod cannot reserve.
  bool Full();
  void Release(const std::string& uid);
  // Those of other pods that are neither expired nor bound in the view (where they count already).
  Counts Others(const std::string& uid, const placement::View& view, MonotonicTime now);

 private:
  struct Entry {
    std::string ns, name, node;
    MonotonicTime expires;
  };
  Mutex mutex_;
  std::unordered_map<std::string, Entry> by_uid_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::extender
