// SPDX-License-Identifier: Apache-2.0
#include "common/base/clock.h"

#include <cctype>
#include <cstdio>
#include <ctime>

namespace longshore {
namespace {

class RealClock : public Clock {
 public:
  WallTime Now() const override { return std::chrono::system_clock::now(); }
  MonotonicTime Monotonic() const override { return std::chrono::steady_clock::now(); }
};

std::string Format(WallTime time, bool with_micros) {
  using std::chrono::microseconds;
  const auto since = std::chrono::floor<microseconds>(time.time_since_epoch()).count();
  const std::time_t seconds = static_cast<std::time_t>(
      std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count());
  std::tm tm{};
  gmtime_r(&seconds, &tm);
  char text[64];
  const int used = std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d",
                                 tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
                                 tm.tm_min, tm.tm_sec);
  std::string out(text, static_cast<size_t>(used));
  if (with_micros) {
    std::snprintf(text, sizeof text, ".%06lld", static_cast<long long>(since - seconds * 1000000LL));
    out += text;
  }
  return out + "Z";
}

}  // namespace

const Clock& Clock::Real() {
  static const RealClock clock;
  return clock;
}

std::string FormatTime(WallTime time) { return Format(time, true); }
std::string FormatTimeSeconds(WallTime time) { return Format(time, false); }

Result<WallTime> ParseTime(std::string_view text) {
  const std::string copy(text);
  std::tm tm{};
  int consumed = 0;
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
                  &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &consumed) != 6) {
    return InvalidArgument("not an RFC 3339 time: \"" + copy + "\"");
  }
  tm.tm_year -= 1900;
  tm.tm_mon -= 1;
  size_t at = static_cast<size_t>(consumed);
  int64_t nanos = 0;
  if (at < copy.size() && copy[at] == '.') {
    int64_t scale = 100'000'000;
    for (++at; at < copy.size() && std::isdigit(static_cast<unsigned char>(copy[at])); ++at) {
      nanos += (copy[at] - '0') * scale;
      scale /= 10;
    }
  }
  int64_t offset_seconds = 0;
  const std::string zone = copy.substr(at);
  int hours = 0, minutes = 0;
  char sign = 0;
  if (std::sscanf(zone.c_str(), "%c%2d:%2d", &sign, &hours, &minutes) == 3 &&
      (sign == '+' || sign == '-')) {
    offset_seconds = (sign == '+' ? 1 : -1) * (hours * 3600 + minutes * 60);
  } else if (zone != "Z" && zone != "z") {
    return InvalidArgument("not an RFC 3339 time: \"" + copy + "\": no time zone");
  }
  const auto since_epoch = std::chrono::seconds(timegm(&tm) - offset_seconds);
  return WallTime(std::chrono::duration_cast<WallTime::duration>(since_epoch) +
                  std::chrono::duration_cast<WallTime::duration>(std::chrono::nanoseconds(nanos)));
}

std::string FormatDuration(std::chrono::nanoseconds duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  char text[64];
  if (seconds < 60) {
    std::snprintf(text, sizeof text, seconds < 10 ? "%.2fs" : "%.1fs", seconds);
  } else if (seconds < 3600) {
    const int whole = static_cast<int>(seconds);
    std::snprintf(text, sizeof text, "%dm%02ds", whole / 60, whole % 60);
  } else {
    const long long minutes = static_cast<long long>(seconds / 60);
    std::snprintf(text, sizeof text, "%lldh%02lldm", minutes / 60, minutes % 60);
  }
  return text;
}

}  // namespace longshore
