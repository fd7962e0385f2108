// SPDX-License-Identifier: Apache-2.0
//
// Writes Prometheus' text format for series that come and go with their pods, which the registry of
// common/metrics does not know. Used by usage_metrics.cc.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "nodeagent/kernel_counters.h"

namespace longshore::nodeagent {

class Exposition {
 public:
  using Labels = std::vector<std::pair<std::string_view, std::string>>;

  // All values until the next call are of this metric. `type`: counter, gauge or histogram.
  void Family(std::string_view name, std::string_view type, std::string_view help);
  void Value(const Labels& labels, double value) { Line("", labels, value); }
  // With buckets in seconds, as kernel_counters.h has them.
  void Distribution(const Labels& labels, const Histogram& histogram, double sum_seconds);
  std::string Take() { return std::move(text_); }

 private:
  void Line(std::string_view suffix, const Labels& labels, double value);

  std::string name_, text_;
};

}  // namespace longshore::nodeagent
