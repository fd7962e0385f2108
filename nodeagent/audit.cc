// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/audit.h"

#include <algorithm>
#include <utility>

namespace longshore::nodeagent {
namespace {

// An error is relative to at least so much: cpu.stat is in microseconds, and of a pod that hardly
// ran a microsecond would look like much.
constexpr uint64_t kLeastCpuNs = 100'000'000;

uint64_t Difference(uint64_t now, uint64_t then) { return now > then ? now - then : 0; }

// By how much `value` is outside of what the kernel counted at least and at most.
uint64_t Outside(uint64_t value, uint64_t least, uint64_t most) {
  return value < least ? least - value : Difference(value, most);
}

uint64_t IoBytes(const Counters& counters) { return counters.read_bytes + counters.write_bytes; }

}  // namespace

void SelfAudit::Before(const std::vector<PodPath>& pods) {
  begun_ = true;
  before_.clear();
  for (const PodPath& pod : pods) {
    if (const auto totals = read_(pod.relative_path)) before_[pod.uid] = *totals;
  }
}

void SelfAudit::Compare(const std::string& uid, const Point& then, const Point& now, Audit& audit) {
  ++audit.pods;
  const uint64_t least = Difference(now.before.cpu_ns, then.after.cpu_ns);
  const uint64_t most = Difference(now.after.cpu_ns, then.before.cpu_ns);
  const uint64_t ours = Difference(now.ours.cpu_ns, then.ours.cpu_ns);
  const double error = static_cast<double>(Outside(ours, least, most)) /
                       static_cast<double>(std::max(most, kLeastCpuNs));
  if (error > audit.worst_cpu_error) {
    audit.worst_cpu_error = error;
    audit.worst_cpu_pod = uid;
  }
  if (!now.before.io_bytes || !now.after.io_bytes || !then.before.io_bytes ||
      !then.after.io_bytes) {
    return;
  }
  const uint64_t off = Outside(Difference(*now.ours.io_bytes, *then.ours.io_bytes),
                               Difference(*now.before.io_bytes, *then.after.io_bytes),
                               Difference(*now.after.io_bytes, *then.before.io_bytes));
  audit.worst_io_bytes = std::max(audit.worst_io_bytes.value_or(0), off);
}

std::optional<Audit> SelfAudit::After(const std::vector<PodSample>& pods, MonotonicTime now,
                                      WallTime wall) {
  if (!std::exchange(begun_, false)) return std::nullopt;
  Audit audit;
  audit.time = wall;
  std::map<std::string, Point> points;
  for (const PodSample& pod : pods) {
    const auto before = before_.find(pod.uid);
    if (pod.final || before == before_.end()) continue;
    const auto after = read_(pod.relative_path);
    if (!after) continue;
    const Counters& ours = pod.usage.counters;
    const Point point{before->second, {ours.cpu_ns, IoBytes(ours)}, *after};
    if (const auto then = points_.find(pod.uid); then != points_.end()) {
      Compare(pod.uid, then->second, point, audit);
    }
    points[pod.uid] = point;
  }
  points_ = std::move(points);
  before_.clear();
  return std::exchange(last_, now) ? std::optional(audit) : std::nullopt;
}

}  // namespace longshore::nodeagent
