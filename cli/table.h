// SPDX-License-Identifier: Apache-2.0
//
// The small formats in the columns that people read. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "common/base/clock.h"
#include "common/base/table.h"

namespace longshore::cli {

// "45s", "3m05s", "2h10m", "3d4h".
std::string FormatSeconds(int64_t seconds);
// Since an RFC 3339 time; "" when it is none.
std::string FormatAge(const std::string& time, WallTime now);
// "35.2 MiB/s"; "" for 0.
std::string FormatRate(int64_t bytes_per_second);
// "120 MiB of 300 MiB (40%)"; without a total only what is done; "" when nothing is known.
std::string FormatDone(int64_t done, int64_t total);

// "90", "90s", "5m", "2h" to seconds. Errors: kInvalidArgument.
Result<int64_t> ParseSeconds(const std::string& text);

}  // namespace longshore::cli
