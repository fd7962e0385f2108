// SPDX-License-Identifier: Apache-2.0
#include "controller/report_order.h"

#include <algorithm>

namespace longshore::controller {
namespace {

using std::chrono::nanoseconds;

// Two reports farther apart than this are not one interval: something was missed between them.
constexpr std::chrono::seconds kLongestInterval{10};
// Clocks that are slewed differ by 0.05 % at most; what differs by more was stepped.
constexpr std::chrono::milliseconds kClockStep{1000};
// By how much the clocks of two machines may drift apart: 1 ms a second.
constexpr int kDriftPart = 1000;

}  // namespace

ReportOrder::Verdict ReportOrder::Take(const AgentStream& from, const messages::UsageReport& report,
                                       MonotonicTime now) {
  const nanoseconds end(report.interval_end_ns()), wall(report.wall_end_ns());
  const bool same_epoch = from.epoch == epoch_;
  if (from.id < stream_ || (same_epoch && end <= end_)) return Verdict::kStale;
  const bool follows = same_epoch && from.id == stream_ && report.sequence() == sequence_ + 1;
  const nanoseconds length = end - end_, wall_length = wall - wall_;
  NoteTime(report, now, same_epoch);
  epoch_ = from.epoch;
  stream_ = from.id;
  sequence_ = report.sequence();
  end_ = end;
  wall_ = wall;
  length_ = length;
  if (!follows) return Verdict::kBegin;
  const nanoseconds step = wall_length > length ? wall_length - length : length - wall_length;
  return length > kLongestInterval || step > kClockStep ? Verdict::kNoRate : Verdict::kFollows;
}

void ReportOrder::NoteTime(const messages::UsageReport& report, MonotonicTime now,
                           bool same_epoch) {
  const nanoseconds end(report.interval_end_ns());
  const nanoseconds offset = now.time_since_epoch() - end;
  offset_ = same_epoch ? std::min(offset, offset_ + (end - end_) / kDriftPart) : offset;
  made_ = MonotonicTime(std::chrono::duration_cast<MonotonicTime::duration>(end + offset_));
}

}  // namespace longshore::controller
