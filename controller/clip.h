// SPDX-License-Identifier: Apache-2.0
//
// Shortens text to what a status field may hold, never inside a UTF-8 character.
#pragma once

#include <string>

namespace longshore::controller {

inline constexpr size_t kLongestMessage = 4000;  // the CRDs allow 4096 characters

inline std::string Clip(std::string text, size_t longest = kLongestMessage) {
  if (text.size() <= longest) return text;
  size_t end = longest;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace longshore::controller
