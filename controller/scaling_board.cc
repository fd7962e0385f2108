// SPDX-License-Identifier: Apache-2.0
#include "controller/scaling_board.h"

namespace longshore::controller {
namespace {

constexpr size_t kDecisionsKept = 10;

}  // namespace

void ScalingBoard::Put(const std::string& request_uid, scaling::Explanation explanation) {
  MutexLock lock(mutex_);
  notes_[request_uid].now = std::move(explanation);
}

void ScalingBoard::AddDecision(const std::string& request_uid,
                               const api::ScalingDecision& decision) {
  MutexLock lock(mutex_);
  auto& decisions = notes_[request_uid].decisions;
  decisions.push_front(decision);
  if (decisions.size() > kDecisionsKept) decisions.pop_back();
}

void ScalingBoard::Forget(const std::string& request_uid) {
  MutexLock lock(mutex_);
  notes_.erase(request_uid);
}

std::optional<ScalingNotes> ScalingBoard::Get(const std::string& request_uid) const {
  MutexLock lock(mutex_);
  const auto found = notes_.find(request_uid);
  if (found == notes_.end()) return std::nullopt;
  return found->second;
}

}  // namespace longshore::controller
