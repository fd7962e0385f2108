// SPDX-License-Identifier: Apache-2.0
//
// The last verdicts about each pod: for /explain, and to be told again to a leader that was not
// connected when they were made. Bounded: the pods heard of longest ago are forgotten. Thread-safe.
#pragma once

#include <list>
#include <map>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/messages/placement.pb.h"

namespace longshore::extender {

class VerdictLog {
 public:
  explicit VerdictLog(size_t max_pods) : max_pods_(max_pods) {}

  // Replaces the pod's verdict of the same verb.
  void Add(messages::PlacementVerdict verdict);
  // By pod, oldest first.
  std::vector<messages::PlacementVerdict> All() const;
  std::vector<messages::PlacementVerdict> OfPod(const std::string& ns,
                                                const std::string& name) const;

 private:
  struct Pod {
    std::map<std::string, messages::PlacementVerdict> by_verb;
    std::list<std::string>::iterator place;  // in order_
  };
  const size_t max_pods_;
  mutable Mutex mutex_;
  std::map<std::string, Pod> pods_ LS_GUARDED_BY(mutex_);  // by "NS/NAME"
  std::list<std::string> order_ LS_GUARDED_BY(mutex_);     // least recent first
};

}  // namespace longshore::extender
