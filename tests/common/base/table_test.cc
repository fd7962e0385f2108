// SPDX-License-Identifier: Apache-2.0
#include "common/base/table.h"

#include <gtest/gtest.h>

namespace longshore {
namespace {

TEST(TableTest, AlignsColumnsByCharactersAndFillsEmptyCells) {
  const Table table{{"NAME", "STATE"}, {{"lsp-a", "Available"}, {"äö", ""}, {"", "Lost"}}};
  EXPECT_EQ(RenderTable(table),
            "NAME   STATE\n"
            "lsp-a  Available\n"
            "äö     -\n"
            "-      Lost\n");
  EXPECT_EQ(RenderTable({{"NAME"}, {}}), "NAME\n");
}

// A message made by another program must not move the cursor or colour the terminal.
TEST(TableTest, PrintsNoControlCharacters) {
  EXPECT_EQ(Printable("a\x1b[31mb\nc\x7f"), "a [31mb c ");
  EXPECT_EQ(Printable("\xc2\x9b"
                      "2J"),
            "  2J");
  EXPECT_EQ(Printable("größe ✓"), "größe ✓");
}

TEST(TableTest, ShortensByCharacters) {
  EXPECT_EQ(Shorten("abcdef", 6), "abcdef");
  EXPECT_EQ(Shorten("abcdefg", 6), "abcde…");
  EXPECT_EQ(Shorten("äöüäöüä", 4), "äöü…");
}

}  // namespace
}  // namespace longshore
