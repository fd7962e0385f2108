// SPDX-License-Identifier: Apache-2.0
//
// Why each crew is as large as it is: the last evaluation and the last decisions of every request,
// by the request's UID. Written by the request reconciler, read by the storage manager API. A new
// leader begins with nothing; status.lastDecision is durable.
#pragma once

#include <deque>
#include <map>
#include <optional>
#include <string>

#include "common/base/mutex.h"
#include "common/scaling/explain.h"

namespace longshore::controller {

struct ScalingNotes {
  scaling::Explanation now;
  std::deque<api::ScalingDecision> decisions;  // newest first
};

// Thread-safe.
class ScalingBoard {
 public:
  void Put(const std::string& request_uid, scaling::Explanation explanation);
  void AddDecision(const std::string& request_uid, const api::ScalingDecision& decision);
  void Forget(const std::string& request_uid);
  std::optional<ScalingNotes> Get(const std::string& request_uid) const;

 private:
  mutable Mutex mutex_;
  std::map<std::string, ScalingNotes> notes_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::controller
