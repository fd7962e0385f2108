// SPDX-License-Identifier: Apache-2.0
#include "controller/pace.h"

#include <algorithm>
#include <tuple>

#include "controller/crew.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;

bool IsPlanned(const api::BackupPod& row) {
  return row.status.state.empty() || row.status.state == api::kPlanned;
}

std::string RequestKey(const api::BackupPod& row) {
  return row.metadata.ns + "/" + row.spec.request_ref.name;
}

}  // namespace

MonotonicTime TokenBucket::Reserve(MonotonicTime now) {
  full_ = std::max(full_, now);
  const MonotonicTime at = std::max(now, full_ - ahead_);
  full_ += interval_;
  return at;
}

milliseconds Pace::Take(const api::ObjectMeta& request) {
  const MonotonicTime now = env_.clock.Monotonic();
  auto [kept, made] = reserved_.try_emplace(request.Key());
  if (made) kept->second = bucket_.Reserve(now);
  if (kept->second > now) return std::chrono::ceil<milliseconds>(kept->second - now);
  reserved_.erase(kept);
  return milliseconds(0);
}

void Pace::Failed(const api::BackupPod& row, Step step) { slow_[RequestKey(row)] = {step, 1}; }

void Pace::Reached(const api::BackupPod& row, Step step) {
  const auto slow = slow_.find(RequestKey(row));
  if (slow == slow_.end() || slow->second.step != step) return;
  ++slow->second.at_once;  // for each of the last that were tried: twice as many
  const std::string &ns = row.metadata.ns, &request = row.spec.request_ref.name;
  for (const api::BackupPodPtr& other : env_.cluster.RowsOf(ns, request)) {
    if (IsPlanned(*other)) env_.Wake(kPodKey, ns, other->metadata.name);
  }
  env_.Wake(kRequestKey, ns, request);
}

int Pace::UnderWay(const std::string& ns, const std::string& request, Step step,
                   const api::BackupPod* row) const {
  int count = 0;
  for (const api::BackupPodPtr& other : env_.cluster.RowsOf(ns, request)) {
    const bool before = row == nullptr || std::tie(other->spec.slot, other->spec.attempt) <
                                              std::tie(row->spec.slot, row->spec.attempt);
    // One that has trouble already is not waited for: another may fare better on another node.
    const bool starts = step == Step::kWorks && other->status.state == api::kProvisioning &&
                        other->status.reason == kReasonPodCreated;
    if (starts || (before && IsPlanned(*other))) ++count;
  }
  return count;
}

bool Pace::MayTry(const api::BackupPod& row) const {
  const auto slow = slow_.find(RequestKey(row));
  return slow == slow_.end() || UnderWay(row.metadata.ns, row.spec.request_ref.name,
                                         slow->second.step, &row) < slow->second.at_once;
}

bool Pace::MayPlan(const api::ObjectMeta& request) const {
  const auto slow = slow_.find(request.Key());
  return slow == slow_.end() ||
         UnderWay(request.ns, request.name, slow->second.step, nullptr) < slow->second.at_once;
}

void Pace::Forget(const api::ObjectMeta& request) {
  reserved_.erase(request.Key());
  slow_.erase(request.Key());
}

}  // namespace longshore::controller
