// SPDX-License-Identifier: Apache-2.0
//
// Text for a terminal: columns, and nothing in them that would steer it. Used by the CLI and by the
// daemons' commands for people. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace longshore {

struct Table {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
};

// Left-aligned columns with two spaces between them; an empty cell is "-". Control characters of
// the cells are replaced: text from elsewhere must not steer the terminal.
std::string RenderTable(const Table& table);

// Each line two spaces further in.
std::string Indented(const std::string& text);

// As shown to people: no control characters, so no escape sequences.
std::string Printable(std::string_view text);
// Cut to so many characters, with "…".
std::string Shorten(std::string_view text, size_t characters);

}  // namespace longshore
