// SPDX-License-Identifier: Apache-2.0
#include "common/base/clock.h"

#include <cctype>
#include <cstdint>
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
  const int used =
      std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900,
                    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
  std::string out(text, static_cast<size_t>(used));
  if (with_micros) {
    std::snprintf(text, sizeof text, ".%06lld",
                  static_cast<long long>(since - seconds * 1000000LL));
    out += text;
  }
  return out + "Z";
}

constexpr int64_t kMaxSeconds = INT64_MAX / 1'000'000'000 - 1;
constexpr int64_t kMinSeconds = -kMaxSeconds;

// Reads RFC 3339 from the front; after a failure it keeps still.
struct Reader {
  std::string_view rest;
  bool failed = false;

  bool Starts(char lower_case) const {
    return !rest.empty() && std::tolower(static_cast<unsigned char>(rest[0])) == lower_case;
  }
  bool Digit() const {
    return !rest.empty() && std::isdigit(static_cast<unsigned char>(rest[0])) != 0;
  }
  void Literal(char wanted) {
    if (failed || !Starts(static_cast<char>(std::tolower(wanted)))) {
      failed = true;
    } else {
      rest.remove_prefix(1);
    }
  }
  // Exactly that many digits, and a value between the bounds.
  int Number(int digits, int least, int most) {
    int value = 0;
    for (int i = 0; i < digits && !failed; ++i) {
      if (!Digit()) {
        failed = true;
        break;
      }
      value = value * 10 + (rest[0] - '0');
      rest.remove_prefix(1);
    }
    if (value < least || value > most) failed = true;
    return value;
  }
  // ".123", in nanoseconds; finer digits are dropped.
  int64_t Fraction() {
    if (failed || !Starts('.')) return 0;
    rest.remove_prefix(1);
    if (!Digit()) failed = true;
    int64_t nanos = 0;
    for (int64_t scale = 100'000'000; Digit(); scale /= 10) {
      nanos += (rest[0] - '0') * scale;
      rest.remove_prefix(1);
    }
    return nanos;
  }
  // "Z" or "+02:00", in seconds east of Greenwich.
  int64_t Zone() {
    if (Starts('z')) {
      rest.remove_prefix(1);
      return 0;
    }
    const bool west = Starts('-');
    if (!west && !Starts('+')) failed = true;
    if (failed) return 0;
    rest.remove_prefix(1);
    const int hours = Number(2, 0, 23);
    Literal(':');
    const int minutes = Number(2, 0, 59);
    return (west ? -1 : 1) * (int64_t{hours} * 3600 + int64_t{minutes} * 60);
  }
};

}  // namespace

const Clock& Clock::Real() {
  static const RealClock clock;
  return clock;
}

std::string FormatTime(WallTime time) { return Format(time, true); }
std::string FormatTimeSeconds(WallTime time) { return Format(time, false); }

Result<WallTime> ParseTime(std::string_view text) {
  Reader in{text};
  const int year = in.Number(4, 0, 9999);
  in.Literal('-');
  const int month = in.Number(2, 1, 12);
  in.Literal('-');
  const int day = in.Number(2, 1, 31);
  in.Literal('T');
  const int hour = in.Number(2, 0, 23);
  in.Literal(':');
  const int minute = in.Number(2, 0, 59);
  in.Literal(':');
  const int second = in.Number(2, 0, 60);  // 60: a leap second, which is the next minute's first
  const int64_t nanos = in.Fraction();
  const int64_t offset_seconds = in.Zone();
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  if (in.failed || !in.rest.empty() || !date.ok()) {
    return InvalidArgument("not an RFC 3339 time: \"" + std::string(text.substr(0, 64)) + "\"");
  }
  const int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const int64_t seconds =
      days * 86400 + int64_t{hour} * 3600 + int64_t{minute} * 60 + second - offset_seconds;
  // The clock counts nanoseconds in 64 bits.
  if (seconds < kMinSeconds || seconds > kMaxSeconds) {
    return InvalidArgument("time out of range (1678 to 2261): \"" + std::string(text) + "\"");
  }
  return WallTime(std::chrono::seconds(seconds)) + std::chrono::nanoseconds(nanos);
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
