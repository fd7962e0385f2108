// SPDX-License-Identifier: Apache-2.0
#include "worker/tar_verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>

#include "common/base/strings.h"

namespace longshore::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A ustar header, as POSIX says.
std::string TarHeader(const std::string& name, char type, const std::string& content,
                      const std::string& link = "") {
  std::string header(512, '\0');
  header.replace(0, name.size(), name);
  char size[13];
  std::snprintf(size, sizeof size, "%011zo", content.size());
  header.replace(124, 11, size);
  header[156] = type;
  header.replace(157, link.size(), link);
  header.replace(257, 5, "ustar");
  header.replace(148, 8, "        ");
  unsigned sum = 0;
  for (const char c : header) sum += static_cast<unsigned char>(c);
  char text[8];
  std::snprintf(text, sizeof text, "%06o", sum);
  header.replace(148, 7, std::string(text, 7));
  std::string padded = content;
  padded.resize((content.size() + 511) / 512 * 512, '\0');
  return header + padded;
}

TEST(TarVerifierTest, HashesWhatItReadsInPiecesOfAnySize) {
  Manifest manifest;
  manifest.files = {{"dir", "directory"},
                    {"dir/file", "file", 3, 0, "", Sha256Hex("abc")},
                    {"empty", "file", 0, 0, "", Sha256Hex("")},
                    {"long name", "file", 1, 0, "", Sha256Hex("x")},
                    {"link", "symlink", 0, 0, "", "to"}};
  const std::string archive =
      TarHeader("dir/", '5', "") + TarHeader("dir/file", '0', "abc") + TarHeader("empty", '0', "") +
      TarHeader("pax", 'x', "18 path=long name\n") + TarHeader("cut", '0', "x") +
      TarHeader("link", '2', "", "to") + std::string(1024, '\0');
  for (const size_t step : {size_t{1}, size_t{100}, size_t{512}, archive.size()}) {
    TarVerifier verifier(manifest);
    for (size_t at = 0; at < archive.size(); at += step) verifier.Add(archive.substr(at, step));
    EXPECT_THAT(verifier.Finish(), IsEmpty()) << step;
    EXPECT_EQ(verifier.content_bytes(), 4u);
  }
}

TEST(TarVerifierTest, NoticesDamage) {
  Manifest manifest;
  manifest.files = {{"file", "file", 3, 0, "", Sha256Hex("abc")}};
  const std::string end(1024, '\0');
  struct Case {
    std::string archive;
    const char* message;
  };
  std::string damaged = TarHeader("file", '0', "abc") + end;
  damaged[0] = 'g';
  for (const Case& item :
       {Case{TarHeader("file", '0', "abd") + end, "content"}, Case{end, "file is missing"},
        Case{TarHeader("file", '0', "abc").substr(0, 513), "too early"}, Case{damaged, "damaged"},
        Case{"", "too early"}}) {
    TarVerifier verifier(manifest);
    verifier.Add(item.archive);
    EXPECT_THAT(verifier.Finish(), ElementsAre(HasSubstr(item.message)));
  }
}

}  // namespace
}  // namespace longshore::worker
