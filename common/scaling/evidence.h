// SPDX-License-Identifier: Apache-2.0
//
// What the samples of one pod prove: that a signal was over its threshold for its window, or that
// nothing was done for the whole idle time. Parts of EvaluateScaling.
#pragma once

#include <optional>
#include <vector>

#include "common/scaling/scaling.h"

namespace longshore::scaling {

inline constexpr std::chrono::seconds kFresh{5};  // an older sample is unknown

bool Fresh(const PodUsage& pod, MonotonicTime now);

struct Crossing {
  const PodUsage* pod = nullptr;
  const SignalRule* rule = nullptr;
  WallTime first_over;
  double value = 0;  // of the newest sample
  int64_t samples = 0;
  std::chrono::nanoseconds covered{0};

  api::DecisionInput Input() const;
};

// The newest unbroken run of samples over `up` that count: measured after things had settled and
// after the grace of a young pod. Empty: the newest sample is none of them.
std::optional<Crossing> RunOverUp(const PodUsage& pod, const SignalRule& rule,
                                  const ScalingInput& in);
// Whether the run is as long as the rule's window.
bool Full(const Crossing& run);

// One input a rule: the highest value of the idle time. Empty: it is not proved that every signal
// stayed under `down` for so long.
std::optional<std::vector<api::DecisionInput>> IdleEvidence(const PodUsage& pod,
                                                            const ScalingInput& in);

}  // namespace longshore::scaling
