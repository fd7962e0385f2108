// SPDX-License-Identifier: Apache-2.0
#include "common/base/table.h"

#include <algorithm>

#include "common/base/strings.h"

namespace longshore {
namespace {

bool BeginsCharacter(char byte) { return (static_cast<unsigned char>(byte) & 0xc0) != 0x80; }

// Characters of UTF-8 text, which is close enough to columns for what we print.
size_t Width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), BeginsCharacter));
}

}  // namespace

std::string Indented(const std::string& text) {
  std::string out;
  for (const std::string& line : Split(Trim(text), '\n')) {
    out += "  " + std::string(Trim(line).empty() ? "" : line) + "\n";
  }
  return out;
}

std::string Printable(std::string_view text) {
  std::string out(text);
  for (size_t i = 0; i < out.size(); ++i) {
    const auto byte = static_cast<unsigned char>(out[i]);
    // C1 controls are 0xc2 0x80..0x9f in UTF-8; some terminals obey them.
    const bool c1 =
        byte == 0xc2 && i + 1 < out.size() && static_cast<unsigned char>(out[i + 1]) < 0xa0;
    if (byte < 0x20 || byte == 0x7f) out[i] = ' ';
    if (c1) out[i] = out[i + 1] = ' ';
  }
  return out;
}

std::string Shorten(std::string_view text, size_t characters) {
  if (Width(text) <= characters) return std::string(text);
  size_t end = 0;
  for (size_t seen = 0; end < text.size(); ++end) {
    if (BeginsCharacter(text[end]) && seen++ == characters - 1) break;
  }
  return std::string(text.substr(0, end)) + "…";
}

std::string RenderTable(const Table& table) {
  std::vector<std::vector<std::string>> lines = {table.header};
  for (const auto& row : table.rows) {
    auto& line = lines.emplace_back();
    for (const std::string& cell : row) line.push_back(cell.empty() ? "-" : Printable(cell));
  }
  std::vector<size_t> widths(table.header.size(), 0);
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size() && i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], Width(line[i]));
    }
  }
  std::string text;
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) {
      text += line[i];
      if (i + 1 < line.size()) text += std::string(widths[i] - Width(line[i]) + 2, ' ');
    }
    text += '\n';
  }
  return text;
}

}  // namespace longshore
