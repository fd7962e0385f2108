// SPDX-License-Identifier: Apache-2.0
//
// What is said to change the outcome is done here by hand, and one step less than that: the first
// must flip it and the second must not. What keeps a node out: counterfactual_obstacles_test.cc.
#include "common/placement/counterfactual.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "tests/common/placement/counterfactual_fixture.h"

namespace longshore::placement {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(CounterfactualTest, ANodeThatWinsNeedsNothing) {
  const Counterfactual asked = Ask("n1");
  EXPECT_TRUE(asked.standing.wins);
  EXPECT_EQ(asked.standing.rival, "n2");
  EXPECT_THAT(asked.changes, IsEmpty());
}

TEST_F(CounterfactualTest, SaysHowCalmItHadToBe) {
  AllEquallyNear();
  pressure_ = {{"n1", Cpu(40)}, {"n2", Cpu(74)}, {"n3", Cpu(50)}};
  const Counterfactual asked = Ask("n2");
  const auto change = Find(asked, "pressure");
  ASSERT_TRUE(change);
  EXPECT_EQ(change->effect, "Wins");
  EXPECT_EQ(change->text,
            "would have won with pressure cpu of at most 31 % (was cpu 74 %): "
            "53 points against 52 of n1");
  EXPECT_EQ(First(), "n1");
  pressure_["n2"] = Cpu(static_cast<int>(change->value) + 1);
  EXPECT_EQ(First(), "n1");
  pressure_["n2"] = Cpu(static_cast<int>(change->value));
  EXPECT_EQ(First(), "n2");
}

// The busiest part counts, so each that is over the limit has to come down.
TEST_F(CounterfactualTest, NamesEachPartOfPressureThatIsInTheWay) {
  AllEquallyNear();
  pressure_ = {{"n1", Cpu(40)}, {"n3", Cpu(50)}, {"n2", Cpu(74)}};
  pressure_["n2"].psi_valid = true;
  pressure_["n2"].psi_io_permille = 600;
  pressure_["n2"].psi_memory_permille = 20;
  const auto change = Find(Ask("n2"), "pressure");
  ASSERT_TRUE(change);
  EXPECT_EQ(change->needed, "pressure cpu and waiting for io of at most 31 %");
  pressure_["n2"].cpu_used_milli = 1240;
  EXPECT_EQ(First(), "n1");
  pressure_["n2"].psi_io_permille = 310;
  EXPECT_EQ(First(), "n2");
}

TEST_F(CounterfactualTest, ANodeThatWasNeverHeardNeedsAReport) {
  AllEquallyNear();
  pressure_ = {{"n1", Cpu(40)}, {"n3", Cpu(50)}};
  const auto change = Find(Ask("n2"), "pressure");
  ASSERT_TRUE(change);
  EXPECT_EQ(change->was, "not known");
  pressure_["n2"] = Cpu(static_cast<int>(change->value) + 1);
  EXPECT_EQ(First(), "n1");
  pressure_["n2"] = Cpu(static_cast<int>(change->value));
  EXPECT_EQ(First(), "n2");
}

TEST_F(CounterfactualTest, SaysThatItsImageHadToBeThere) {
  FakeView view;
  for (const char* name : {"n1", "n2"}) view.AddNode(name, "", "za", "eu");
  auto& has = view.AddNode("n2", "", "za", "eu");
  has.images = ImageSet().With("reg/pg:1");
  const auto source = MakeSource({.zone = "za"});
  PodDemand demand;
  demand.image = "reg/pg:1";
  const auto asked =
      WhatWouldChange(source, Locate(source, view), view, demand, {}, {}, *view.Node("n1"));
  const auto image = Find(asked, "image");
  ASSERT_TRUE(image);
  EXPECT_EQ(
      image->text,
      "would have won with its image already there (was not there): 54 points against 54 of n2");
}

TEST_F(CounterfactualTest, SaysThatTheDatasNodeWasAvoided) {
  FakeView view;
  view.AddNode("n1", "r1", "za", "eu");
  view.AddNode("n2", "r1", "za", "eu");
  auto source = MakeSource({.node_name = "n1"});
  source.spec.placement.avoid_node_above_percent = 70;
  const PressureMap pressure{
      {"n1", {.cpu_used_milli = 3600, .cpu_capacity_milli = 4000, .age_ms = 1}}};
  const auto asked =
      WhatWouldChange(source, Locate(source, view), view, {}, pressure, {}, *view.Node("n1"));
  EXPECT_FALSE(asked.standing.wins);
  std::vector<std::string> inputs;
  for (const Change& change : asked.changes) {
    if (change.effect == "Wins") inputs.push_back(change.input);
    if (change.input == "pressure") {
      EXPECT_EQ(change.value, 70);
    }
  }
  EXPECT_EQ(inputs, (std::vector<std::string>{"pressure", "avoidNodeAbovePercent"}));
}

TEST_F(CounterfactualTest, SaysHowMuchCpuHadToBeFree) {
  Node("n1").cpu_requested_milli = 3800;
  for (const char* other : {"n2", "n3", "n4"}) Node(other).ready = false;
  const Counterfactual asked = Ask("n1");
  EXPECT_EQ(asked.standing.obstacle, Obstacle::kCpu);
  const auto change = Find(asked, "cpu");
  ASSERT_TRUE(change);
  EXPECT_EQ(change->value, 500);
  EXPECT_EQ(change->needed, "500m CPU free");
  EXPECT_EQ(change->was, "200m");
  Node("n1").cpu_requested_milli = 4000 - change->value + 1;
  EXPECT_FALSE(Feasible("n1"));
  Node("n1").cpu_requested_milli = 4000 - change->value;
  EXPECT_TRUE(Feasible("n1"));
}

TEST_F(CounterfactualTest, SaysHowMuchMemoryHadToBeFree) {
  Node("n1").memory_requested_bytes = (int64_t{8} << 30) - 100 * kMiB - 1;
  const auto change = Find(Ask("n1"), "memory");
  ASSERT_TRUE(change);
  EXPECT_EQ(change->value, 256);
  Node("n1").memory_requested_bytes = (int64_t{8} << 30) - 255 * kMiB;
  EXPECT_FALSE(Feasible("n1"));
  Node("n1").memory_requested_bytes = (int64_t{8} << 30) - change->value * kMiB;
  EXPECT_TRUE(Feasible("n1"));
}

// More of one alone does nothing where the other is as scarce.
TEST_F(CounterfactualTest, SaysHowMuchOfBothHadToBeFree) {
  AllEquallyNear();
  Node("n2").cpu_requested_milli = 3000;
  Node("n2").memory_requested_bytes = int64_t{6} << 30;
  Node("n1").cpu_requested_milli = Node("n3").cpu_requested_milli = 1000;
  const Counterfactual asked = Ask("n2");
  EXPECT_FALSE(Find(asked, "cpu"));
  const auto change = Find(asked, "room");
  ASSERT_TRUE(change);
  EXPECT_EQ(change->effect, "Wins");
  const auto less = [&](int64_t percent) {
    Node("n2").cpu_requested_milli = 3000 - 30 * percent;
    Node("n2").memory_requested_bytes = (int64_t{6} << 30) / 100 * (100 - percent);
  };
  less(change->value - 1);
  EXPECT_EQ(First(), "n1");
  less(change->value);
  EXPECT_EQ(First(), "n2");
}

TEST_F(CounterfactualTest, SaysHowManyReservationsWereTooMany) {
  reserved_["n1"] = 2;
  AllEquallyNear();
  reserved_["n2"] = reserved_["n3"] = 1;
  const auto change = Find(Ask("n1"), "reserved");
  ASSERT_TRUE(change);
  reserved_["n1"] = static_cast<int>(change->value) + 1;
  EXPECT_NE(First(), "n1");
  reserved_["n1"] = static_cast<int>(change->value);
  EXPECT_EQ(First(), "n1");
}

TEST_F(CounterfactualTest, SaysHowNearTheDataHadToBe) {
  const Counterfactual asked = Ask("n4");
  const auto change = Find(asked, "data");
  ASSERT_TRUE(change);
  EXPECT_EQ(change->effect, "Wins");
  EXPECT_EQ(change->needed, "the data in its zone zb");
  EXPECT_EQ(change->was, "in its region");
  Place({.zone = "zb"});
  EXPECT_EQ(First(), "n4");
  // Nothing else does it, and calmer it is no better.
  Place({.node_name = "n1"});
  EXPECT_FALSE(Find(asked, "pressure"));
  pressure_ = {{"n4", Cpu(90)}};
  EXPECT_EQ(Find(Ask("n4"), "data")->needed, "the data in its zone zb");
}

TEST_F(CounterfactualTest, DataOnANodeIsNotToldOnlyWhereThatWouldBeAvoided) {
  Place({.node_name = "n1"}, "Require", "Node");
  pressure_ = {{"n4", Cpu(90)}};
  source_.spec.placement.avoid_node_above_percent = 70;
  const auto needed = [&] {
    const auto change = Find(Ask("n4"), "data");
    return change ? change->effect + ": " + change->needed : "";
  };
  EXPECT_EQ(needed(), "Wins: the data on n4");  // it is required there, however busy
  source_.spec.placement.mode = "Prefer";
  Node("n4").zone = "za";
  Node("n4").rack = "";
  EXPECT_EQ(needed(), "") << "nowhere else is nearer than now";
  pressure_ = {{"n4", Cpu(60)}};
  EXPECT_EQ(needed(), "Wins: the data on n4");
}

TEST_F(CounterfactualTest, SaysWhenNothingOfTheNodeWouldHaveHelped) {
  AllEquallyNear();
  pressure_ = {{"n1", Cpu(0)}, {"n2", Cpu(50)}};
  const Counterfactual asked = Ask("n2");
  const auto all = Find(asked, "all");
  ASSERT_TRUE(all);
  EXPECT_EQ(all->effect, "NotEnough");
  EXPECT_THAT(all->text, HasSubstr("not even with the node idle and empty"));
}

// Whatever the cluster: what is said to win does, since each is a ranking of its own.
TEST_F(CounterfactualTest, EveryChangeThatIsToldHoldsInRandomClusters) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  int told = 0;
  for (int round = 0; round < 30; ++round) {
    for (const char* name : {"n1", "n2", "n3", "n4"}) {
      Node(name).cpu_requested_milli = static_cast<int64_t>(random() % 4200);
      Node(name).memory_requested_bytes = static_cast<int64_t>(random() % 8200) * kMiB;
      pressure_[name] = Cpu(static_cast<int>(random() % 101));
      reserved_[name] = static_cast<int>(random() % 5);
    }
    Place({.node_name = "n1"}, random() % 2 == 0 ? "Prefer" : "Require",
          random() % 2 == 0 ? "Rack" : "Zone");
    for (const char* name : {"n1", "n2", "n3", "n4"}) {
      for (const Change& change : Ask(name).changes) {
        if (change.effect != "Wins") continue;
        ++told;
        EXPECT_GE(change.score, change.rival_score) << change.text;
        // On its own: nothing had to come first.
        if (change.text.find(" and ") != std::string::npos) continue;
        const NodeInfo node = Node(name);
        const auto pressure = pressure_;
        const auto reserved = reserved_;
        if (change.input == "pressure") {
          pressure_[name] = Cpu(static_cast<int>(change.value));
        } else if (change.input == "cpu") {
          Node(name).cpu_requested_milli = 4000 - change.value;
        } else if (change.input == "memory") {
          Node(name).memory_requested_bytes = (int64_t{8} << 30) - change.value * kMiB;
        } else if (change.input == "reserved") {
          reserved_[name] = static_cast<int>(change.value);
        } else {
          continue;
        }
        EXPECT_EQ(First(), name) << change.text;
        Node(name) = node;
        pressure_ = pressure;
        reserved_ = reserved;
      }
    }
  }
  EXPECT_GT(told, 20);
}

}  // namespace
}  // namespace longshore::placement
