// SPDX-License-Identifier: Apache-2.0
//
// What the extenders said about our pods, by Pod UID: for `explain`, and to tell a pod that was
// placed with the extender from one placed without it. Bounded; in memory only.
#pragma once

#include <deque>
#include <map>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/messages/placement.pb.h"
#include "controller/live_view.h"

namespace longshore::controller {

// Thread-safe.
class VerdictStore {
 public:
  void Add(const messages::PlacementVerdict& verdict);
  // Oldest first.
  std::vector<Verdict> Get(const std::string& pod_uid) const;
  bool Has(const std::string& pod_uid) const;

 private:
  static constexpr size_t kVerdictsPerPod = 8;
  static constexpr size_t kPods = 20000;  // then the pod heard of first is forgotten
  mutable Mutex mutex_;
  std::map<std::string, std::deque<Verdict>> by_uid_ LS_GUARDED_BY(mutex_);
  std::deque<std::string> order_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::controller
