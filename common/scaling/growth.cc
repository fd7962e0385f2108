// SPDX-License-Identifier: Apache-2.0
#include "common/scaling/growth.h"

#include <algorithm>
#include <cmath>

#include "common/base/strings.h"
#include "common/scaling/scaling.h"

namespace longshore::scaling {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

constexpr nanoseconds kJudged = std::chrono::milliseconds(9000);    // least, after the growth
constexpr nanoseconds kBaseline = std::chrono::milliseconds(1800);  // least, before it
constexpr double kLeastGain = 0.1;                                  // of what a pod brought before
constexpr double kLeastRate = 65536;  // bytes a second: below, there is nothing to compare
constexpr std::chrono::minutes kHold{5};

std::optional<double> BytesMoved(const Sample& sample) {
  double sum = 0;
  for (const Signal signal : {Signal::kReadBytes, Signal::kWriteBytes, Signal::kNetworkBytes}) {
    const auto value = sample.value(signal);
    if (!value) return std::nullopt;
    sum += *value;
  }
  return sum;
}

// Bytes a second of one pod, over `least` at least of its work since things settled.
std::optional<double> RateOf(const PodUsage& pod, const ScalingInput& in, nanoseconds least) {
  if (pod.idle) return std::nullopt;
  const MonotonicTime since =
      std::max({in.settled_since, in.now - pod.age, in.now - kThroughputSpan - seconds(1)});
  nanoseconds covered{0};
  double moved = 0;
  for (const Sample& sample : pod.samples) {
    if (sample.received - sample.length < since) continue;
    const auto rate = BytesMoved(sample);
    if (!rate) return std::nullopt;
    covered += sample.length;
    moved += *rate * std::chrono::duration<double>(sample.length).count();
  }
  if (covered < least) return std::nullopt;
  return moved / std::chrono::duration<double>(covered).count();
}

// Of all pods together; empty unless every one of them worked and was measured.
std::optional<double> Throughput(const ScalingInput& in, nanoseconds least) {
  if (in.pending > 0 || in.pods.empty()) return std::nullopt;
  if (static_cast<int>(in.pods.size()) != in.desired) return std::nullopt;
  double sum = 0;
  for (const PodUsage& pod : in.pods) {
    const auto rate = RateOf(pod, in, least);
    if (!rate) return std::nullopt;
    sum += *rate;
  }
  return sum;
}

}  // namespace

GrowthMemory Judge(const ScalingInput& in) {
  GrowthMemory memory = in.growth;
  if (memory.futile_until && in.now >= *memory.futile_until) memory = {};
  if (memory.step_back != 0 && memory.step_back != in.desired) memory.step_back = 0;
  if (memory.trial && memory.trial->to != in.desired) memory.trial.reset();
  if (!memory.trial) return memory;
  const auto rate = Throughput(in, kJudged);
  if (!rate) return memory;
  const GrowthMemory::Trial trial = *memory.trial;
  memory.trial.reset();
  const double wanted = trial.rate + kLeastGain * trial.rate / trial.from * (trial.to - trial.from);
  if (*rate >= wanted) return memory;
  memory.input = {"", "bytesMoved", std::to_string(std::llround(*rate)),
                  std::to_string(std::llround(wanted)), kThroughputSpan / seconds(1)};
  memory.futile_until = in.now + kHold;
  memory.step_back = trial.to;
  memory.message = "from " + std::to_string(trial.from) + " to " + std::to_string(trial.to) +
                   " pods the throughput went from " + FormatBytes(trial.rate) + "/s to " +
                   FormatBytes(*rate) +
                   "/s only: the source, its network or the repository is the limit; no growth "
                   "until " +
                   FormatTimeSeconds(in.wall + kHold);
  return memory;
}

void BeginTrial(const ScalingInput& in, int to, GrowthMemory& memory) {
  const auto rate = Throughput(in, kBaseline);
  if (rate && *rate >= kLeastRate) {
    memory.trial = {in.desired, to, *rate};
  } else if (memory.trial) {
    memory.trial->to = to;  // grown again before it could be judged: both steps are judged as one
  }
}

}  // namespace longshore::scaling
