// SPDX-License-Identifier: Apache-2.0
#include "extender/reservations.h"

namespace longshore::extender {
namespace {

// A scheduler places a few hundred pods a second; more than this at once is not a burst but an
// error.
constexpr size_t kMaxReservations = 2000;

}  // namespace

void Reservations::Reserve(const std::string& ns, const std::string& name, const std::string& uid,
                           const std::string& node, MonotonicTime now,
                           std::chrono::seconds lifetime) {
  MutexLock lock(mutex_);
  if (by_uid_.size() >= kMaxReservations && !by_uid_.contains(uid)) return;
  by_uid_[uid] = {ns, name, node, now + lifetime};
}

bool Reservations::Full() {
  MutexLock lock(mutex_);
  return by_uid_.size() >= kMaxReservations;
}

void Reservations::Release(const std::string& uid) {
  MutexLock lock(mutex_);
  by_uid_.erase(uid);
}

Reservations::Counts Reservations::Others(const std::string& uid, const placement::View& view,
                                          MonotonicTime now) {
  Counts counts;
  MutexLock lock(mutex_);
  for (auto entry = by_uid_.begin(); entry != by_uid_.end();) {
    const Entry& held = entry->second;
    if (held.expires <= now || !view.NodeOfPod(held.ns, held.name, entry->first).empty()) {
      entry = by_uid_.erase(entry);
      continue;
    }
    if (entry->first != uid) ++counts[held.node];
    ++entry;
  }
  return counts;
}

}  // namespace longshore::extender
