// SPDX-License-Identifier: Apache-2.0
#include "extender/pressure_table.h"

#include <gtest/gtest.h>

#include <string>

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

TEST(PressureTableTest, AnEmptyOneIsNeutral) {
  placement::FakeView view;
  view.AddNode("n1");
  const PressureTable table;
  EXPECT_FALSE(table.Of("n1", kStart).known());
  EXPECT_EQ(table.Along(view.Table())[0].At(0), placement::kNeutralPressurePoints);
}

}  // namespace
}  // namespace longshore::extender
