// SPDX-License-Identifier: Apache-2.0
//
// What a snapshot says of kinds that may not be listed.
#include "tests/common/placement/made_snapshots.h"

namespace longshore::placement {
namespace {

using testing::IsEmpty;

// Who may not list attachments goes on without them.
TEST_F(SnapshotTest, Case31_IsCompleteWithoutWhatItMayNotList) {
  Listed listed = Listed::Everything();
  EXPECT_TRUE(listed.all());
  listed.kinds.erase(Kind::kSlices);
  EXPECT_FALSE(listed.all());  // may still come
  listed.denied[Kind::kSlices] = "no";
  EXPECT_TRUE(listed.all());
  for (const Kind needed : {Kind::kNodes, Kind::kPods}) {
    Listed without = Listed::Everything();
    without.kinds.erase(needed);
    without.denied[needed] = "no";
    EXPECT_FALSE(without.all());
  }
}

TEST_F(SnapshotTest, Case31_DeniedAndNotYetListedAreToldApart) {
  Add(&SnapshotBuilder::Claim, ClaimJson({{"volumeName", "pv-1"}}, "Bound"));
  Listed listed = Listed::Everything();
  for (const Kind kind : {Kind::kClaims, Kind::kVolumes}) {
    listed = Listed::Everything();
    listed.kinds.erase(kind);
    EXPECT_EQ(builder_.Build(listed)->VolumeNodes("db", "data").error().code, Code::kUnavailable);
    listed.denied[kind] = "user x cannot list them";
    const auto denied = builder_.Build(listed)->VolumeNodes("db", "data");
    EXPECT_EQ(denied.error().ToString(), "PermissionDenied: " + std::string(KindName(kind)) +
                                             " may not be listed: user x cannot list them");
  }
  EXPECT_FALSE(Build()->Unlisted(Kind::kClaims).has_value());
}

// What was listed before a right was withdrawn is not known any more.
TEST_F(SnapshotTest, Case31_NothingIsSaidOfWhatMayNoLongerBeListed) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  Add(&SnapshotBuilder::Claim, ClaimJson({{"volumeName", "pv-1"}}, "Bound"));
  Add(&SnapshotBuilder::Volume,
      Json{{"metadata", {{"name", "pv-1"}}}, {"spec", {{"accessModes", {"ReadWriteOnce"}}}}});
  Add(&SnapshotBuilder::Attachment, AttachmentJson("a", "n1"));
  Add(&SnapshotBuilder::Slice, SliceJson(Json::array({{{"nodeName", "n1"}}})));
  Add(&SnapshotBuilder::Pod, OwnedBy(PodJson("pg-0", "n1"), "StatefulSet", "pg"));
  Add(&SnapshotBuilder::StatefulSet,
      OwnedBy({{"metadata", {{"namespace", "db"}, {"name", "pg"}}}}, "Cluster", "orders"));
  const auto without = [&](std::optional<Kind> kind) {
    Listed listed = Listed::Everything();
    if (kind) listed.kinds.erase(*kind);
    if (kind) listed.denied[*kind] = "no";
    return builder_.Build(listed);
  };
  const auto all = without({});
  EXPECT_EQ(all->AttachedTo("db", "data"), "n1");
  EXPECT_EQ(all->ServiceEndpoints("db", "pg").size(), 1u);
  EXPECT_EQ(all->PodsByOwner("db", {"Cluster", "orders"}).size(), 1u);
  for (const Kind kind : {Kind::kAttachments, Kind::kVolumes, Kind::kClaims}) {
    EXPECT_EQ(without(kind)->AttachedTo("db", "data"), "") << KindName(kind);
  }
  EXPECT_THAT(without(Kind::kAttachments)->AttachedNodes("db", "data"), IsEmpty());
  EXPECT_THAT(without(Kind::kSlices)->ServiceEndpoints("db", "pg"), IsEmpty());
  const auto setless = without(Kind::kStatefulSets);
  EXPECT_THAT(setless->PodsByOwner("db", {"Cluster", "orders"}), IsEmpty());
  EXPECT_EQ(setless->PodsByOwner("db", {"StatefulSet", "pg"}).size(), 1u);
}

}  // namespace
}  // namespace longshore::placement
