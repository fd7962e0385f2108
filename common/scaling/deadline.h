// SPDX-License-Identifier: Apache-2.0
//
// Will it be done in time? From what is left of the running operations, the sizes of the queued
// ones and the rates that were measured to a predicted finish, with a quarter in reserve, and to
// the number of pods that would make it. Pure; called by the request reconciler.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"

namespace longshore::scaling {

// One operation that has not ended.
struct Work {
  std::string name;
  bool running = false;              // queued otherwise
  std::optional<double> bytes_left;  // empty: nobody knows
  std::optional<double> rate;        // bytes a second, of a running one
};

struct DeadlineInput {
  WallTime now, deadline;
  std::vector<Work> work;
  std::optional<double> past_rate;  // bytes a second of operations that have ended, each
  int pods = 0;                     // that work now
  int limit = 0;                    // no more than these, by whatever cap
  std::string limit_message;        // which, and what would help
};

inline constexpr char kOnTrack[] = "OnTrack";
inline constexpr char kPredictedLate[] = "PredictedLate";
inline constexpr char kInfeasible[] = "Infeasible";
inline constexpr char kNoEstimate[] = "NoEstimate";

struct DeadlineEstimate {
  std::string reason;  // of condition DeadlineAtRisk
  std::string message;
  std::optional<WallTime> finish;  // predicted, with the pods of now
  int wanted = 0;                  // pods; 0: no more than there are
};

// The first time after `after` at which a day's clock shows `time` ("06:00Z", "06:00+02:00").
// Empty: that is no time.
std::optional<WallTime> NextDaily(std::string_view time, WallTime after);

DeadlineEstimate EstimateDeadline(const DeadlineInput& in);

}  // namespace longshore::scaling
