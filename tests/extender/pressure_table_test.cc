// SPDX-License-Identifier: Apache-2.0
#include "extender/pressure_table.h"

#include <gtest/gtest.h>

#include <string>

#include "common/messages/placement.pb.h"
#include "tests/common/placement/fake_view.h"

namespace longshore::extender {
namespace {

using placement::Pressure;

constexpr MonotonicTime kStart{std::chrono::hours(1)};

// What hot paths look at says the same as what is explained, at every age.
TEST(PressureTableTest, PointsAlongTheNodesAreThoseOfEachNode) {
  placement::FakeView view;
  placement::PressureMap pressure;
  for (int i = 0; i < 60; ++i) {
    const std::string node = "n" + std::to_string(i);
    if (i % 7 != 0) view.AddNode(node);  // the leader knows more nodes than the snapshot,
    if (i % 5 == 0) continue;            // and the snapshot some that the leader does not know
    pressure[node] = {.cpu_used_milli = i * 70,
                      .cpu_capacity_milli = 4000,
                      .psi_io_permille = i % 3 == 0 ? 900 : 0,
                      .psi_valid = i % 2 == 0,
                      .age_ms = i == 1 ? -1 : i * 100};
  }
  const PressureTable table(pressure, kStart);
  const placement::NodeTable& nodes = view.Table();
  const auto along = table.Along(nodes);
  ASSERT_EQ(along.size(), nodes.size());
  for (const int64_t elapsed : {0, 1, 999, 1000, 4899, 4900, 4901, 5000, 60'000}) {
    const MonotonicTime now = kStart + std::chrono::milliseconds(elapsed);
    for (uint32_t place = 0; place < nodes.size(); ++place) {
      const Pressure of = table.Of(nodes.node(place).name, now);
      EXPECT_EQ(along[place].At(table.ElapsedMs(now)), placement::PressurePoints(of))
          << nodes.node(place).name << " after " << elapsed << " ms, age " << of.age_ms;
    }
  }
}

// Whatever the leader says: nothing overflows, now or when it has become old.
TEST(ReadPressureTest, TakesTheNearestThatIsInRange) {
  messages::PressureSnapshot snapshot;
  messages::NodePressure& node = *snapshot.add_nodes();
  node.set_node("n1");
  node.set_cpu_used_milli(4'000'000'000);
  node.set_cpu_capacity_milli(4'000'000'000);
  node.set_psi_io_permille(UINT32_MAX);
  node.set_psi_valid(true);
  node.set_sample_age_ms(INT64_MAX);
  snapshot.add_nodes()->set_node("n2");
  snapshot.mutable_nodes(1)->set_sample_age_ms(INT64_MIN);
  const auto read = ReadPressure(snapshot.SerializeAsString());
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->at("n1").cpu_used_milli, INT32_MAX);
  EXPECT_EQ(read->at("n1").cpu_capacity_milli, INT32_MAX);
  EXPECT_EQ(read->at("n1").psi_io_permille, INT32_MAX);
  EXPECT_EQ(read->at("n2").age_ms, -1);
  const PressureTable table(*read, kStart);
  const Pressure later = table.Of("n1", kStart + std::chrono::hours(24 * 365));
  EXPECT_GT(later.age_ms, 0);
  EXPECT_FALSE(later.known());
  EXPECT_EQ(ReadPressure("\xFF\xFF\xFF").error().code, Code::kInvalidArgument);
}

TEST(PressureTableTest, AnEmptyOneIsNeutral) {
  placement::FakeView view;
  view.AddNode("n1");
  const PressureTable table;
  EXPECT_FALSE(table.Of("n1", kStart).known());
  EXPECT_EQ(table.Along(view.Table())[0].At(0), placement::kNeutralPressurePoints);
}

}  // namespace
}  // namespace longshore::extender
