// SPDX-License-Identifier: Apache-2.0
#include "worker/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshore::worker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Manifest TwoTables() {
  Manifest manifest;
  manifest.kind = "postgresql";
  manifest.hash = kRowHash;
  manifest.tables = {{"public.a", 2, "10", "-20"}, {"public.b", 0, "0", "0"}};
  manifest.sequences = {{"public.s", 5, 9}};
  return manifest;
}

TEST(ManifestTest, EqualContentIsEqual) {
  Manifest found = TwoTables();
  std::swap(found.tables[0], found.tables[1]);
  found.sequences[0] = {"public.s", 7, 7};
  EXPECT_THAT(CompareManifests(TwoTables(), found), IsEmpty());
}

TEST(ManifestTest, NamesWhatDiffers) {
  Manifest found = TwoTables();
  found.tables[0].lane2 = "-21";
  found.tables[1].name = "public.c";
  found.sequences[0] = {"public.s", 10, 10};
  found.large_objects = 1;
  EXPECT_THAT(CompareManifests(TwoTables(), found),
              ElementsAre("table public.a: its content differs", "table public.b is missing",
                          "table public.c is not in the copy", HasSubstr("sequence public.s"),
                          HasSubstr("large objects")));
  found = TwoTables();
  found.tables[0].rows = 1;
  EXPECT_THAT(CompareManifests(TwoTables(), found),
              ElementsAre("table public.a: 1 rows, the copy has 2"));
  found.hash = "another";
  EXPECT_THAT(CompareManifests(TwoTables(), found), ElementsAre(HasSubstr("hashed another way")));
}

TEST(ManifestTest, CountsWhatItDoesNotList) {
  Manifest recorded, found;
  for (int i = 0; i < 30; ++i) recorded.tables.push_back({"t" + std::to_string(i), 1, "1", "1"});
  const auto differences = CompareManifests(recorded, found, 10);
  EXPECT_EQ(differences.size(), 11u);
  EXPECT_EQ(differences.back(), "and 20 more");
}

TEST(ManifestTest, DigestSurvivesJsonAndNoticesEveryChange) {
  const Manifest manifest = TwoTables();
  const auto read = api::ReadJson<Manifest>(api::WriteJson(manifest));
  ASSERT_TRUE(read);
  EXPECT_EQ(ManifestDigest(*read), ManifestDigest(manifest));
  Manifest changed = manifest;
  changed.tables[0].lane1 = "11";
  EXPECT_NE(ManifestDigest(changed), ManifestDigest(manifest));
}

TEST(ManifestTest, DoubtsOnlyTheContentOfFilesThatChangedWhileRead) {
  Manifest recorded, found;
  recorded.files = {{"log", "file", 10, 0644, "1.0", "aa"},
                    {"data", "file", 10, 0644, "1.0", "bb"}};
  recorded.changed_while_read = {"log"};
  found.files = {{"log", "file", 12, 0644, "2.0", "cc"}, {"data", "file", 10, 0644, "1.0", "bb"}};
  EXPECT_THAT(CompareManifests(recorded, found), IsEmpty());
  found.files[1].content = "xx";
  found.files[1].mode = 0600;
  EXPECT_THAT(CompareManifests(recorded, found), ElementsAre("file data: mode, content differ"));
}

}  // namespace
}  // namespace longshore::worker
