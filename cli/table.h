// SPDX-License-Identifier: Apache-2.0
//
// Columns for people, and the small formats in them. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"

namespace longshore::cli {

struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

// Left-aligned columns with two spaces between them; an empty cell is "-". Control characters of
// the cells are replaced: text from elsewhere must not steer the terminal.
std::string RenderTable(const Table& table);

// As shown to people: no control characters, so no escape sequences.
std::string Printable(std::string_view text);
// Cut to so many characters, with "…".
std::string Shorten(std::string_view text, size_t characters);

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
