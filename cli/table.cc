// SPDX-License-Identifier: Apache-2.0
#include "cli/table.h"

#include <algorithm>

#include "common/base/strings.h"

namespace longshore::cli {
namespace {

std::string Pad(int64_t value) { return (value < 10 ? "0" : "") + std::to_string(value); }

}  // namespace

std::string FormatSeconds(int64_t seconds) {
  if (seconds < 0) return "";
  if (seconds < 60) return std::to_string(seconds) + "s";
  if (seconds < 3600) return std::to_string(seconds / 60) + "m" + Pad(seconds % 60) + "s";
  if (seconds < 86400) {
    return std::to_string(seconds / 3600) + "h" + Pad(seconds % 3600 / 60) + "m";
  }
  return std::to_string(seconds / 86400) + "d" + std::to_string(seconds % 86400 / 3600) + "h";
}

std::string FormatAge(const std::string& time, WallTime now) {
  const auto then = ParseTime(time);
  if (!then) return "";
  const auto age = std::chrono::duration_cast<std::chrono::seconds>(now - *then).count();
  return FormatSeconds(std::max<int64_t>(age, 0));  // clocks differ a little
}

std::string FormatRate(int64_t bytes_per_second) {
  return bytes_per_second <= 0 ? "" : FormatBytes(static_cast<double>(bytes_per_second)) + "/s";
}

std::string FormatDone(int64_t done, int64_t total) {
  if (done <= 0 && total <= 0) return "";
  const std::string so_far = FormatBytes(static_cast<double>(done));
  if (total <= 0) return so_far;
  // The total is an estimate: 100% is for what is finished.
  const int64_t percent = std::min<int64_t>(done * 100 / total, 99);
  return so_far + " of " + FormatBytes(static_cast<double>(total)) + " (" +
         std::to_string(percent) + "%)";
}

Result<int64_t> ParseSeconds(const std::string& text) {
  int64_t unit = 1;
  std::string digits = text;
  if (!digits.empty()) {
    const char last = digits.back();
    if (last == 's' || last == 'm' || last == 'h') {
      unit = last == 's' ? 1 : last == 'm' ? 60 : 3600;
      digits.pop_back();
    }
  }
  const auto value = ParseInt(digits);
  if (!value || *value < 0 || *value > 10000000) {
    return InvalidArgument("\"" + text + "\" is no duration: use 90, 90s, 5m or 2h");
  }
  return *value * unit;
}

}  // namespace longshore::cli
