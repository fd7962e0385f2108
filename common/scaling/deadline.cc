// SPDX-License-Identifier: Apache-2.0
#include "common/scaling/deadline.h"

#include <algorithm>
#include <cmath>

namespace longshore::scaling {
namespace {

constexpr double kReserve = 1.25;  // estimates of time are multiplied by it

struct Rest {
  double bytes = 0;    // of those whose size is known
  double longest = 0;  // bytes of the largest one: one operation is never shared by pods
  std::string longest_name;
  std::vector<std::string> unknown;
};

Rest Add(const std::vector<Work>& work) {
  Rest rest;
  for (const Work& one : work) {
    if (!one.bytes_left) {
      rest.unknown.push_back(one.name);
      continue;
    }
    rest.bytes += *one.bytes_left;
    if (*one.bytes_left <= rest.longest) continue;
    rest.longest = *one.bytes_left;
    rest.longest_name = one.name;
  }
  return rest;
}

// Bytes a second of one pod: the mean of those that run, else what was measured before.
std::optional<double> PodRate(const DeadlineInput& in) {
  double sum = 0;
  int count = 0;
  for (const Work& one : in.work) {
    if (!one.rate || *one.rate <= 0) continue;
    sum += *one.rate;
    ++count;
  }
  if (count > 0) return sum / count;
  return in.past_rate && *in.past_rate > 0 ? in.past_rate : std::nullopt;
}

DeadlineEstimate Nothing(const std::string& why) { return {kNoEstimate, why, std::nullopt, 0}; }

std::string Pods(int number) { return std::to_string(number) + (number == 1 ? " pod" : " pods"); }

}  // namespace

std::optional<WallTime> NextDaily(std::string_view time, WallTime after) {
  constexpr size_t kHourAndMinute = 5;
  if (time.size() <= kHourAndMinute) return std::nullopt;
  const std::string clock = "T" + std::string(time.substr(0, kHourAndMinute)) + ":00" +
                            std::string(time.substr(kHourAndMinute));
  // Where the clock is ahead it may be tomorrow there already, or still yesterday.
  for (int day = -1; day <= 2; ++day) {
    const std::string date = FormatTimeSeconds(after + std::chrono::hours(24) * day).substr(0, 10);
    const auto at = ParseTime(date + clock);
    if (!at) return std::nullopt;
    if (*at > after) return *at;
  }
  return std::nullopt;
}

DeadlineEstimate EstimateDeadline(const DeadlineInput& in) {
  const double time_left = std::chrono::duration<double>(in.deadline - in.now).count();
  if (in.work.empty()) {
    return {kOnTrack,
            time_left > 0 ? "no operation is left"
                          : "no operation is left, and the deadline is over: set another before "
                            "more are queued",
            std::nullopt, 0};
  }
  if (time_left <= 0) {
    return {
        kInfeasible,
        "the deadline is over and operations are left; they go on, and another deadline may be set",
        std::nullopt, 0};
  }
  const Rest rest = Add(in.work);
  const auto rate = PodRate(in);
  if (!rate) return Nothing("no operation has a measured rate yet");
  const int all = static_cast<int>(in.work.size());
  const int pods = std::clamp(in.pods, 1, all);
  const auto seconds_with = [&](int n) {
    return kReserve * std::max(rest.bytes / (n * *rate), rest.longest / *rate);
  };
  const double needed = seconds_with(pods);
  DeadlineEstimate estimate;
  // Capped at a century, so that the time stays one.
  estimate.finish = in.now + std::chrono::duration_cast<WallTime::duration>(
                                 std::chrono::duration<double>(std::min(needed, 3e9)));
  const std::string least = rest.unknown.empty() ? "" : "at least ";
  if (needed <= time_left) {
    if (!rest.unknown.empty()) {
      return Nothing("the size of " + rest.unknown.front() +
                     (rest.unknown.size() == 1
                          ? ""
                          : " and " + std::to_string(rest.unknown.size() - 1) + " more") +
                     " is not known: no copy of that part was made yet");
    }
    estimate.reason = kOnTrack;
    estimate.message = Pods(pods) + (pods == 1 ? " makes it in time" : " make it in time");
    return estimate;
  }
  estimate.reason = kPredictedLate;
  if (kReserve * rest.longest / *rate > time_left) {
    estimate.reason = kInfeasible;
    estimate.message = rest.longest_name +
                       " alone takes longer than is left, and more pods don't shorten it: move "
                       "spec.deadline, or split the part";
    estimate.wanted = std::min(all, std::max(in.limit, pods));
    return estimate;
  }
  const int enough = static_cast<int>(std::ceil(kReserve * rest.bytes / (*rate * time_left)));
  estimate.wanted = std::clamp(enough, pods + 1, std::max(all, pods + 1));
  estimate.message = Pods(pods) + (pods == 1 ? " finishes" : " finish") + " too late; " + least +
                     Pods(estimate.wanted) + " would make it";
  if (estimate.wanted > in.limit) {
    estimate.reason = kInfeasible;
    estimate.message += ", but " + in.limit_message;
  }
  return estimate;
}

}  // namespace longshore::scaling
