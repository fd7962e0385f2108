// SPDX-License-Identifier: Apache-2.0
//
// Writes Prometheus' text format for series that come and go with their pods, which the registry of
// common/metrics does not know. Used by usage_metrics.cc.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "nodeagent/kernel_counters.h"

namespace longshore::nodeagent {

inline double Seconds(uint64_t ns) { return static_cast<double>(ns) / 1e9; }

class Exposition {
 public:
  using Label = std::pair<std::string_view, std::string_view>;
  using Labels = std::initializer_list<Label>;  // they live until the call is over

  // All values until the next call are of this metric. `type`: counter, gauge or histogram.
  void Family(std::string_view name, std::string_view type, std::string_view help);
  void Value(Labels labels, double value) { Line("", labels, "", value); }
  // With buckets in seconds, as kernel_counters.h has them.
  void Distribution(Labels labels, const Histogram& histogram, double sum_seconds);
  std::string Take() { return std::move(text_); }

 private:
  // `le`: of a bucket; empty elsewhere.
  void Line(std::string_view suffix, Labels labels, std::string_view le, double value);

  std::string name_, text_;
};

}  // namespace longshore::nodeagent
