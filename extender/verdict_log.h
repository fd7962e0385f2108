// SPDX-License-Identifier: Apache-2.0
//
// The last verdicts about each pod: for /explain, and to be told again to a leader that was not
// connected when they were made; and the last few calls whole, for who asks about any node.
// Bounded: the pods heard of longest ago are forgotten. Thread-safe.
#pragma once

#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/messages/placement.pb.h"
#include "extender/verdict.h"

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

  // With all that it was judged by, which takes hundreds of kB: of each verb of a pod the last, of
  // kMostCalls in all and so many nodes.
  static constexpr size_t kMostCalls = 64, kMostNodes = 100'000;
  void Keep(std::shared_ptr<const VerdictDraft> call);
  // Newest first.
  std::vector<std::shared_ptr<const VerdictDraft>> CallsOf(const std::string& ns,
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
  std::deque<std::shared_ptr<const VerdictDraft>> calls_ LS_GUARDED_BY(mutex_);  // oldest first
  size_t nodes_ LS_GUARDED_BY(mutex_) = 0;                                       // of calls_
};

}  // namespace longshore::extender
