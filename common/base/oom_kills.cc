// SPDX-License-Identifier: Apache-2.0
#include "common/base/oom_kills.h"

#include "common/base/text_scan.h"

namespace longshore {

uint64_t ParseOomKills(std::string_view text) {
  uint64_t kills = 0;
  ForEachLine(text, [&](std::string_view line) {
    if (TakeWord(line) == "oom_kill") kills = Number(line);
  });
  return kills;
}

}  // namespace longshore
