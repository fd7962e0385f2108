// SPDX-License-Identifier: Apache-2.0
//
// How long something that was written down with its time has waited. Used by the reconcilers for
// back-offs and graces.
#pragma once

#include <string>

#include "controller/environment.h"

namespace longshore::controller {

// As Since; but of a time that is far ahead, for ever: the clock was set back after it was written,
// and whoever waited for the clock to get there again would wait for as long as it was set back.
inline std::chrono::nanoseconds Waited(const std::string& time, WallTime now) {
  constexpr std::chrono::seconds kSkew{60};  // by which the clocks of two leaders may differ
  const auto parsed = ParseTime(time);
  if (parsed && *parsed > now + kSkew) return std::chrono::hours(24 * 365);
  return Since(time, now);
}

}  // namespace longshore::controller
