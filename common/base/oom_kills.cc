// SPDX-License-Identifier: Apache-2.0
#include "common/base/oom_kills.h"

#include <charconv>

namespace longshore {

uint64_t ParseOomKills(std::string_view text) {
  constexpr std::string_view kName = "oom_kill ";
  for (size_t at = text.find(kName); at != std::string_view::npos; at = text.find(kName, at + 1)) {
    if (at > 0 && text[at - 1] != '\n') continue;
    uint64_t kills = 0;
    std::from_chars(text.data() + at + kName.size(), text.data() + text.size(), kills);
    return kills;
  }
  return 0;
}

}  // namespace longshore
