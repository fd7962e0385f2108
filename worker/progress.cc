// SPDX-License-Identifier: Apache-2.0
#include "worker/progress.h"

#include <algorithm>

namespace longshore::worker {
namespace {
constexpr std::chrono::seconds kRateWindow{10};
}

void ProgressBoard::Enter(std::string phase, uint64_t bytes_total) {
  MutexLock lock(mutex_);
  progress_.Clear();
  progress_.set_phase(std::move(phase));
  progress_.set_bytes_total(bytes_total);
  samples_.clear();
  changed_ = clock_.Monotonic();
  samples_.emplace_back(changed_, 0);
}

void ProgressBoard::SetBytes(uint64_t done) {
  MutexLock lock(mutex_);
  if (done != progress_.bytes_done()) changed_ = clock_.Monotonic();
  progress_.set_bytes_done(done);
}

void ProgressBoard::SetItems(uint64_t done, uint64_t total) {
  MutexLock lock(mutex_);
  if (done != progress_.items_done()) changed_ = clock_.Monotonic();
  progress_.set_items_done(done);
  progress_.set_items_total(total);
}

void ProgressBoard::HoldSnapshot(bool held) {
  MutexLock lock(mutex_);
  snapshot_since_ = held ? std::optional(clock_.Monotonic()) : std::nullopt;
}

ProgressBoard::Standing ProgressBoard::Stand() const {
  MutexLock lock(mutex_);
  const MonotonicTime now = clock_.Monotonic();
  Standing standing{progress_.phase(), progress_.bytes_done(), now - changed_, {}};
  if (snapshot_since_) standing.snapshot = now - *snapshot_since_;
  return standing;
}

messages::Progress ProgressBoard::Report() {
  MutexLock lock(mutex_);
  const MonotonicTime now = clock_.Monotonic();
  const uint64_t done = progress_.bytes_done();
  samples_.emplace_back(now, done);
  while (samples_.size() > 2 && now - samples_[1].first >= kRateWindow) samples_.pop_front();
  messages::Progress report = progress_;
  if (report.bytes_total() > 0) report.set_bytes_total(std::max(report.bytes_total(), done));
  const auto& [since, before] = samples_.front();
  const double seconds = std::chrono::duration<double>(now - since).count();
  const double rate =
      seconds > 0 && done > before ? static_cast<double>(done - before) / seconds : 0;
  report.set_bytes_per_second(static_cast<uint64_t>(rate));
  report.set_eta_seconds(-1);
  if (rate > 0 && report.bytes_total() > 0) {
    report.set_eta_seconds(
        static_cast<int64_t>(static_cast<double>(report.bytes_total() - done) / rate));
  }
  return report;
}

}  // namespace longshore::worker
