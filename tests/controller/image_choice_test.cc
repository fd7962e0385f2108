// SPDX-License-Identifier: Apache-2.0
//
// Which image serves a source, and why the others do not.
#include "controller/image_choice.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshore::controller {
namespace {

api::SourceImage Image(const std::string& name, const std::string& kind, const std::string& min,
                       const std::string& max,
                       std::vector<std::string> operations = {"Backup", "Restore", "Verify"}) {
  api::SourceImage image;
  image.metadata.name = name;
  image.spec.kind = kind;
  image.spec.versions = {min, max};
  image.spec.operations = std::move(operations);
  image.spec.image = name + "@sha256:0";
  return image;
}

const std::vector<api::SourceImage> kImages = {
    Image("postgresql-15", "postgresql", "11", "15"),
    Image("postgresql-17", "postgresql", "14", "17"),
    Image("postgresql-read", "postgresql", "14", "18", {"Verify"}),
    Image("filesystem", "filesystem", "", "", {"Backup", "Restore"}),
};

struct ChoiceCase {
  const char* name;
  std::string kind, version, purpose, wanted;
};
class ImageChoiceTest : public testing::TestWithParam<ChoiceCase> {};

TEST_P(ImageChoiceTest, Chooses) {
  const ChoiceCase& c = GetParam();
  const auto choice = ChooseImage(c.kind, c.version, c.purpose, kImages);
  EXPECT_EQ(choice.name, c.wanted) << choice.reason;
  EXPECT_FALSE(choice.reason.empty());
  EXPECT_EQ(choice.candidates.size(), kImages.size());
  for (const auto& candidate : choice.candidates) {
    EXPECT_EQ(candidate.chosen, candidate.name == c.wanted);
    EXPECT_FALSE(candidate.reason.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(
    , ImageChoiceTest,
    testing::Values(ChoiceCase{"NewestThatFits", "postgresql", "15", "Backup", "postgresql-17"},
                    ChoiceCase{"MinorOfTheUpperEnd", "postgresql", "17.2", "Backup",
                               "postgresql-17"},
                    ChoiceCase{"OnlyTheOlder", "postgresql", "12", "Backup", "postgresql-15"},
                    ChoiceCase{"VersionUnknown", "postgresql", "", "Backup", "postgresql-17"},
                    ChoiceCase{"ByPurpose", "postgresql", "18.1", "Verify", "postgresql-read"},
                    ChoiceCase{"TooNew", "postgresql", "18", "Backup", ""},
                    ChoiceCase{"AnyVersion", "filesystem", "", "Restore", "filesystem"},
                    ChoiceCase{"UnknownKind", "oracle", "19", "Backup", ""}),
    [](const auto& info) { return info.param.name; });

TEST(ImageChoiceReasonTest, UnknownKindNamesTheKindsThatExist) {
  EXPECT_THAT(
      ChooseImage("oracle", "", "Backup", kImages).reason,
      testing::AllOf(testing::HasSubstr("oracle"), testing::HasSubstr("filesystem, postgresql")));
}

TEST(VersionsTest, CompareByNumbers) {
  EXPECT_LT(CompareVersions("9.6", "17"), 0);
  EXPECT_GT(CompareVersions("17.10", "17.9"), 0);
  EXPECT_EQ(CompareVersions("17", "17.0"), 0);
  EXPECT_EQ(CompareVersions("17.2 (Debian 17.2-1)", "17.2"), 0);
  EXPECT_TRUE(InRange("17.2", {"14", "17"}));
  EXPECT_FALSE(InRange("17.3", {"14", "17.2"}));
  EXPECT_FALSE(InRange("13.9", {"14", ""}));
}

}  // namespace
}  // namespace longshore::controller
