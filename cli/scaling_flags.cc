// SPDX-License-Identifier: Apache-2.0
#include "cli/scaling_flags.h"

#include <map>

#include "cli/table.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

using api::Json;

Result<std::pair<std::string, Json>> ParseThreshold(const char* flag, const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size()) {
    return InvalidArgument(std::string(flag) + " " + text +
                           ": use SIGNAL=PERCENT% or SIGNAL=QUANTITY, such as cpu=60% or "
                           "readBytes=20Mi");
  }
  const std::string signal = text.substr(0, equals), value = text.substr(equals + 1);
  if (value.back() != '%') return std::pair(signal, Json{{"value", value}});
  const auto percent = ParseInt(std::string_view(value).substr(0, value.size() - 1));
  if (!percent || *percent < 1) {
    return InvalidArgument(std::string(flag) + " " + text + ": expected a percentage over 0");
  }
  return std::pair(signal, Json{{"utilizationPercent", *percent}});
}

}  // namespace

Result<Json> ScalingSpec(const ScalingFlags& flags) {
  std::map<std::string, Json> signals;
  for (const std::string& text : flags.up) {
    LS_ASSIGN_OR_RETURN(const auto parsed, ParseThreshold("--up", text));
    signals[parsed.first]["up"] = parsed.second;
  }
  for (const std::string& text : flags.down) {
    LS_ASSIGN_OR_RETURN(const auto parsed, ParseThreshold("--down", text));
    signals[parsed.first]["down"] = parsed.second;
  }
  Json scaling;
  for (auto& [name, signal] : signals) {
    for (const char* side : {"up", "down"}) {
      if (signal.contains(side)) continue;
      return InvalidArgument("signal " + name + " needs both --up and --down; --" + side +
                             " is missing");
    }
    signal["name"] = name;
    if (!flags.window.empty()) {
      LS_ASSIGN_OR_RETURN(signal["windowSeconds"], ParseSeconds(flags.window));
    }
    scaling["signals"].push_back(signal);
  }
  if (signals.empty() && !flags.window.empty()) {
    return InvalidArgument("--window belongs to --up and --down, which are missing");
  }
  if (!flags.idle.empty()) {
    LS_ASSIGN_OR_RETURN(scaling["idleSeconds"], ParseSeconds(flags.idle));
  }
  if (flags.follow_demand) scaling["demandPolicy"] = "Follow";
  if (flags.require_demand) scaling["demandPolicy"] = "Require";
  if (flags.warm) scaling["warmPods"] = *flags.warm;
  return scaling;
}

}  // namespace longshore::cli
