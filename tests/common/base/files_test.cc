// SPDX-License-Identifier: Apache-2.0
#include "common/base/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "common/base/strings.h"

namespace longshore {
namespace {

class FilesTest : public testing::Test {
 protected:
  FilesTest() : folder_(testing::TempDir() + "longshore-files-" + RandomId(8) + "/") {
    std::filesystem::create_directories(folder_);
  }
  ~FilesTest() override { std::filesystem::remove_all(folder_); }
  const std::string folder_;
};

TEST_F(FilesTest, WritesWhatIsReadBack) {
  const std::string content(100000, 'x');
  ASSERT_TRUE(WriteFileAtomically(folder_ + "a", content).has_value());
  EXPECT_EQ(*ReadFile(folder_ + "a"), content);
}

// A secret's file must not be readable by others for an instant, and the umask must not matter.
TEST_F(FilesTest, SetsTheModeWhateverTheUmask) {
  for (const int mode : {0600, 0644, 0666}) {
    const mode_t old = ::umask(077);
    ASSERT_TRUE(WriteFileAtomically(folder_ + "a", "x", mode).has_value());
    ::umask(old);
    struct stat info{};
    ASSERT_EQ(::stat((folder_ + "a").c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, static_cast<mode_t>(mode));
  }
}

TEST_F(FilesTest, ReplacesAndLeavesNothingBeside) {
  ASSERT_TRUE(WriteFileAtomically(folder_ + "a", "old").has_value());
  ASSERT_TRUE(WriteFileAtomically(folder_ + "a", "new").has_value());
  EXPECT_EQ(*ReadFile(folder_ + "a"), "new");
  const auto files = std::filesystem::directory_iterator(folder_);
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST_F(FilesTest, FailureToReplaceLeavesNothingBeside) {
  std::filesystem::create_directories(folder_ + "a/b");  // a folder cannot be replaced
  EXPECT_FALSE(WriteFileAtomically(folder_ + "a", "x").has_value());
  const auto files = std::filesystem::directory_iterator(folder_);
  EXPECT_EQ(std::distance(begin(files), end(files)), 1);
}

TEST_F(FilesTest, ErrorsNameTheFile) {
  const auto missing = ReadFile(folder_ + "none");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_NE(missing.error().message.find(folder_ + "none"), std::string::npos);
  EXPECT_EQ(WriteFileAtomically(folder_ + "no/where", "x").error().code, Code::kNotFound);
}

TEST_F(FilesTest, RefusesToReadMoreThanTheLimit) {
  ASSERT_TRUE(WriteFileAtomically(folder_ + "a", "12345").has_value());
  EXPECT_EQ(*ReadFile(folder_ + "a", 5), "12345");
  EXPECT_EQ(ReadFile(folder_ + "a", 4).error().code, Code::kResourceExhausted);
}

}  // namespace
}  // namespace longshore
