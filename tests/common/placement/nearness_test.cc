// SPDX-License-Identifier: Apache-2.0
//
// How near a node is to the data (common/placement/location.h).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/placement/location.h"
#include "tests/common/placement/three_nodes.h"

namespace longshore::placement {
namespace {

using testing::HasSubstr;

struct NearCase {
  const char* name;
  Place data, node;
  Tier tier;
};

class NearnessTest : public testing::TestWithParam<NearCase> {};

// Edge case 33: clusters label their nodes as they please.
TEST_P(NearnessTest, ComparesWhatBothSidesKnow) {
  Location location;
  location.places.push_back(GetParam().data);
  const Place& place = GetParam().node;
  NodeInfo node;
  node.name = place.node;
  node.rack = place.rack;
  node.zone = place.zone;
  node.region = place.region;
  EXPECT_STREQ(TierName(Nearness(location, node)), TierName(GetParam().tier));
}

INSTANTIATE_TEST_SUITE_P(
    Labels, NearnessTest,
    testing::Values(
        NearCase{"SameNode", {"n1", "r1", "za", "eu"}, {"n1", "r1", "za", "eu"}, Tier::kNode},
        NearCase{"SameNodeWithoutLabels", {"n1", "", "", ""}, {"n1", "", "", ""}, Tier::kNode},
        NearCase{"SameRack", {"n1", "r1", "za", "eu"}, {"n2", "r1", "za", "eu"}, Tier::kRack},
        NearCase{"SameZone", {"n1", "r1", "za", "eu"}, {"n2", "r2", "za", "eu"}, Tier::kZone},
        NearCase{"SameRegion", {"n1", "r1", "za", "eu"}, {"n2", "r2", "zb", "eu"}, Tier::kRegion},
        NearCase{"Elsewhere", {"n1", "r1", "za", "eu"}, {"n2", "r2", "zb", "us"}, Tier::kNone},
        NearCase{"SameZoneNameInOtherRegion",
                 {"n1", "", "z1", "eu"},
                 {"n2", "", "z1", "us"},
                 Tier::kNone},
        NearCase{"SameRackNameInOtherZone",
                 {"n1", "r1", "za", "eu"},
                 {"n2", "r1", "zb", "eu"},
                 Tier::kRegion},
        NearCase{"RackButNoZone", {"n1", "r1", "", ""}, {"n2", "r1", "", ""}, Tier::kRack},
        NearCase{
            "RackOnOneSideOnly", {"n1", "r1", "za", "eu"}, {"n2", "", "za", "eu"}, Tier::kZone},
        NearCase{"NodeWithoutLabels", {"n1", "r1", "za", "eu"}, {"n2", "", "", ""}, Tier::kUnknown},
        NearCase{"DataWithoutLabels", {"n1", "", "", ""}, {"n2", "r1", "za", "eu"}, Tier::kUnknown},
        NearCase{
            "OnlyRegionInCommon", {"n1", "", "za", "eu"}, {"n2", "r1", "", "eu"}, Tier::kRegion},
        NearCase{"ZoneWithoutRegion", {"n1", "", "za", ""}, {"n2", "", "za", "eu"}, Tier::kZone},
        NearCase{"ExplicitZone", {"", "", "za", ""}, {"n2", "r1", "za", "eu"}, Tier::kZone}),
    [](const auto& info) { return info.param.name; });

// Edge case 28: data in two zones: a node is as near as its nearest place, and both are in the
// reason.
TEST(NearnessTest, TwoPlacesInDifferentZonesCountAsTheNearer) {
  FakeView view = ThreeNodes();
  view.AddNode("n4", "r4", "zb", "eu");
  view.AddNode("n5", "r5", "zc", "eu");
  view.by_labels[{"db", kLeader}] = {{"shard-0", "n1", true, ""}, {"shard-1", "n3", true, ""}};
  const Location location = Locate(MakeSource({.pod_labels = kLeader}), view);
  EXPECT_EQ(Nearness(location, *view.Node("n1")), Tier::kNode);
  EXPECT_EQ(Nearness(location, *view.Node("n2")), Tier::kZone);
  EXPECT_EQ(Nearness(location, *view.Node("n3")), Tier::kNode);
  EXPECT_EQ(Nearness(location, *view.Node("n4")), Tier::kZone);
  EXPECT_EQ(Nearness(location, *view.Node("n5")), Tier::kRegion);
  EXPECT_THAT(location.reason, HasSubstr("pod db/shard-0 on n1, pod db/shard-1 on n3"));
}

TEST(NearnessTest, IsUnknownWhenTheLocationIs) {
  const FakeView view = ThreeNodes();
  EXPECT_EQ(Nearness(Location{}, *view.Node("n1")), Tier::kUnknown);
}

}  // namespace
}  // namespace longshore::placement
