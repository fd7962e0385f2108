// SPDX-License-Identifier: Apache-2.0
#include "common/base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "common/base/clock.h"
#include "common/base/strings.h"

namespace longshore {
namespace {

spdlog::logger& Logger() {
  // spdlog serialises writers and levels; the line itself is ours, so the pattern is bare.
  static spdlog::logger* logger = [] {
    auto* made = new spdlog::logger("longshore", std::make_shared<spdlog::sinks::stderr_sink_mt>());
    made->set_pattern("%v");
    made->flush_on(spdlog::level::info);
    return made;
  }();
  return *logger;
}

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarn:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

void AppendEscaped(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  for (const char c : ToValidUtf8(text)) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    } else {
      out += c;
    }
  }
}

}  // namespace

void SetLogLevel(LogLevel level) { Logger().set_level(ToSpdlog(level)); }

void Log(LogLevel level, std::string_view message, LogFields fields) {
  if (!Logger().should_log(ToSpdlog(level))) return;
  static constexpr std::string_view kNames[] = {"debug", "info", "warn", "error"};
  std::string line = "{\"time\":\"" + FormatTime(Clock::Real().Now()) + "\",\"level\":\"";
  line += kNames[static_cast<int>(level)];
  line += "\",\"message\":\"";
  AppendEscaped(line, message);
  line += '"';
  for (const LogField& field : fields) {
    line += ",\"";
    AppendEscaped(line, field.key);
    line += field.quoted ? "\":\"" : "\":";
    AppendEscaped(line, field.value);
    if (field.quoted) line += '"';
  }
  line += '}';
  Logger().log(ToSpdlog(level), spdlog::string_view_t(line));
}

}  // namespace longshore
