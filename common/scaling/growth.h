// SPDX-License-Identifier: Apache-2.0
//
// Did the last growth bring anything? Throughput of all pods before and after it, once things have
// settled: where one more pod adds next to nothing, the source, its network or the repository is
// the limit, and more pods only wait there. Parts of EvaluateScaling.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "common/api/request.h"
#include "common/base/clock.h"

namespace longshore::scaling {

struct ScalingInput;

inline constexpr std::chrono::seconds kThroughputSpan{10};  // a throughput is a mean over so much

// What the judgement needs of earlier evaluations: handed out with each verdict and in again with
// the next input. Losing it only forgets a judgement.
struct GrowthMemory {
  struct Trial {
    int from = 0, to = 0;  // pods
    double rate = 0;       // bytes a second of all pods together, with `from` of them
  };
  std::optional<Trial> trial;                 // a growth that is not judged yet
  std::optional<MonotonicTime> futile_until;  // no growth before
  int step_back = 0;  // so many pods are one too many: one goes when it is free; 0: none
  std::string message;
  api::DecisionInput input;  // the throughput, and what it should have been
};

// The memory after what `in` shows: a trial that can be judged is, a hold that is over ends.
GrowthMemory Judge(const ScalingInput& in);
// Remembers a growth to `to` pods that is decided now.
void BeginTrial(const ScalingInput& in, int to, GrowthMemory& memory);

}  // namespace longshore::scaling
