// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/throttling.h"

#include "nodeagent/text_scan.h"

namespace longshore::nodeagent {

Throttled ParseThrottled(std::string_view cpu_stat) {
  Throttled throttled;
  ForEachLine(cpu_stat, [&](std::string_view line) {
    const std::string_view name = TakeWord(line);
    if (name == "throttled_usec") throttled.time_ns = Number(line) * 1000;
    if (name == "throttled_time") throttled.time_ns = Number(line);
    if (name == "nr_periods") throttled.periods = Number(line);
  });
  return throttled;
}

}  // namespace longshore::nodeagent
