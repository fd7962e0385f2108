// SPDX-License-Identifier: Apache-2.0
#include "common/placement/node_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/placement/fake_view.h"

namespace longshore::placement {
namespace {

using testing::ElementsAre;

class NodeTableTest : public testing::Test {
 protected:
  NodeTableTest() {
    view_.AddNode("a", "r1", "za", "eu");
    view_.AddNode("b", "r1", "za", "eu");
    view_.AddNode("c", "r2", "za", "eu");
    view_.AddNode("d", "r1", "zb", "us");
    view_.AddNode("e");
  }
  Location On(const std::string& node) const {
    return Locate(MakeSource({.node_name = node}), view_);
  }
  // What the table is to say, node by node.
  std::vector<Tier> OneByOne(const Location& location) const {
    std::vector<Tier> tiers;
    for (const NodeInfo* node : view_.Nodes()) tiers.push_back(Nearness(location, *node));
    return tiers;
  }

  FakeView view_;
};

TEST_F(NodeTableTest, FindsNodesByName) {
  const NodeTable table(view_.Nodes());
  EXPECT_EQ(table.size(), 5u);
  EXPECT_EQ(table.Find("c"), 2u);
  EXPECT_EQ(table.Find("cc"), NodeTable::kNone);
  const std::vector<std::string_view> names{"e", "x", "a", "e"};
  EXPECT_THAT(table.FindAll(names), ElementsAre(4, NodeTable::kNone, 0, 4));
  EXPECT_EQ(table.node(3).name, "d");
  EXPECT_EQ(NodeTable().Find("a"), NodeTable::kNone);
}

TEST_F(NodeTableTest, TiersAreThoseOfEachNode) {
  const NodeTable table(view_.Nodes());
  for (const char* node : {"a", "b", "c", "d", "e", "gone"}) {
    EXPECT_EQ(table.Tiers(On(node)), OneByOne(On(node))) << node;
  }
  const Location zone = Locate(MakeSource({.zone = "za"}), view_);
  EXPECT_EQ(table.Tiers(zone), OneByOne(zone));
  EXPECT_THAT(table.Tiers(On("a")),
              ElementsAre(Tier::kNode, Tier::kRack, Tier::kZone, Tier::kNone, Tier::kUnknown));
}

TEST_F(NodeTableTest, ImagesAreSharedUntilANodeHasOthers) {
  const NodeTable table(view_.Nodes());
  NodeTable copy = table;
  NodeInfo a = table.node(0), b = a;
  a.cpu_requested_milli = 7;
  copy.Apply({{0, &a}});
  EXPECT_EQ(copy.images(), table.images());
  b.images = b.images.With("pg:1");
  copy.Apply({{0, &b}});
  EXPECT_NE(copy.images(), table.images());
  EXPECT_EQ(copy.HaveImage("pg:1")[0], 1);
  EXPECT_EQ(copy.HaveImage("pg:1")[1], 0);
  EXPECT_EQ(table.HaveImage("pg:1")[0], 0);
}

// A pod came, and a node moved to another zone; the copy that was handed out knows nothing of it.
TEST_F(NodeTableTest, ChangesGoIntoTheCopyOnly) {
  const NodeTable before(view_.Nodes());
  const Location location = On("a");
  NodeInfo b = before.node(1), c = before.node(2);
  b.cpu_requested_milli = 700;
  c.zone = "zb";
  NodeTable after = before;
  after.Apply({{1, &b}});
  EXPECT_EQ(after.room(1).cpu_milli.free, before.room(1).cpu_milli.free - 700);
  EXPECT_EQ(after.Tiers(location), before.Tiers(location));
  after.Apply({{2, &c}});
  EXPECT_EQ(after.Tiers(location)[2], Tier::kRegion);
  EXPECT_EQ(before.Tiers(location)[2], Tier::kZone);
}

}  // namespace
}  // namespace longshore::placement
