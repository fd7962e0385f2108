// SPDX-License-Identifier: Apache-2.0
//
// Logs: a constant message and key=value fields, one JSON object a line on stderr. All programs
// use this and nothing else. Never put a secret into a field.
//
//   LogInfo("pod announced", {{"pod", name}, {"revision", revision}});
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>

namespace longshore {

struct LogField {
  std::string_view key;
  std::string value;
  bool quoted = true;  // false for numbers and booleans

  LogField(std::string_view k, std::string v) : key(k), value(std::move(v)) {}
  LogField(std::string_view k, std::string_view v) : key(k), value(v) {}
  LogField(std::string_view k, const char* v) : key(k), value(v) {}
  LogField(std::string_view k, bool v) : key(k), value(v ? "true" : "false"), quoted(false) {}
  template <class N, std::enable_if_t<std::is_arithmetic_v<N> && !std::is_same_v<N, bool>, int> = 0>
  LogField(std::string_view k, N v) : key(k), value(std::to_string(v)), quoted(!IsJson(v)) {}

 private:
  // JSON knows no number that is not finite.
  template <class N>
  static bool IsJson(N v) {
    return !std::is_floating_point_v<N> || (v - v == 0);
  }
};
using LogFields = std::initializer_list<LogField>;

enum class LogLevel { kDebug, kInfo, kWarn, kError };

// Sets what is printed; default kInfo. Thread-safe, as is everything here.
void SetLogLevel(LogLevel level);
void Log(LogLevel level, std::string_view message, LogFields fields);

inline void LogDebug(std::string_view m, LogFields f = {}) { Log(LogLevel::kDebug, m, f); }
inline void LogInfo(std::string_view m, LogFields f = {}) { Log(LogLevel::kInfo, m, f); }
inline void LogWarn(std::string_view m, LogFields f = {}) { Log(LogLevel::kWarn, m, f); }
inline void LogError(std::string_view m, LogFields f = {}) { Log(LogLevel::kError, m, f); }

}  // namespace longshore
