// SPDX-License-Identifier: Apache-2.0
//
// What the samples of one pod prove: that a signal was over its threshold for its window, or that
// nothing was done for the whole idle time. Parts of EvaluateScaling.
#pragma once

#include <optional>
#include <string>
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
  std::chrono::nanoseconds far{0};  // by the newest ones, each of them far over `up`

  api::DecisionInput Input() const;
  std::string Text() const;  // "cpu of a was over 120m for 3 samples, now 150m"
};

// The newest run of samples over `up` that count: measured after things had settled and after the
// grace of a young pod. One of five may be under it, which then is passed over; one that is not
// known ends the run. Empty: the newest sample is none of them.
std::optional<Crossing> RunOverUp(const PodUsage& pod, const SignalRule& rule,
                                  const ScalingInput& in);

inline constexpr double kFarOver = 1.5;  // so many times `up` is far over it
// How long samples must be far over `up`: two thirds of the window.
std::chrono::seconds FarWindow(const SignalRule& rule);
// Whether the run is as long as the rule's window, or far over `up` for that of such samples.
bool Full(const Crossing& run);

// The mean over the newest `span` of a pod, of the samples that count. Empty: none does.
std::optional<double> MeanUsage(const PodUsage& pod, const SignalRule& rule,
                                std::chrono::nanoseconds span, const ScalingInput& in);

// One input a rule: the highest value of the idle time. Empty: it is not proved that every signal
// stayed under `down` for so long.
std::optional<std::vector<api::DecisionInput>> IdleEvidence(const PodUsage& pod,
                                                            const ScalingInput& in);

}  // namespace longshore::scaling
