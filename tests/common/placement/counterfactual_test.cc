// SPDX-License-Identifier: Apache-2.0
//
// What is said to change the outcome is done here by hand, and one step less than that: the first
// must flip it and the second must not.
#include "common/placement/counterfactual.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <tuple>

#include "tests/common/placement/fake_view.h"

namespace longshore::placement {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kMiB = int64_t{1} << 20;

class CounterfactualTest : public testing::Test {
 protected:
  CounterfactualTest() {
    view_.AddNode("n1", "r1", "za", "eu");
    view_.AddNode("n2", "r1", "za", "eu");
    view_.AddNode("n3", "r3", "za", "eu");
    view_.AddNode("n4", "r4", "zb", "eu");
    Place({.node_name = "n1"});
  }
  void Place(const api::SourceLocation& location, const std::string& mode = "Prefer",
             const std::string& tier = "Node") {
    source_ = MakeSource(location, mode, tier);
  }
  void AllEquallyNear() { Place({.zone = "za"}, "Prefer", "Zone"); }

  Counterfactual Ask(const std::string& node) const {
    return WhatWouldChange(source_, Locate(source_, view_), view_, demand_, pressure_, reserved_,
                           *view_.Node(node));
  }
  std::optional<Change> Find(const Counterfactual& asked, const std::string& input) const {
    const auto found = std::find_if(asked.changes.begin(), asked.changes.end(),
                                    [&](const Change& c) { return c.input == input; });
    return found == asked.changes.end() ? std::nullopt : std::optional(*found);
  }
  std::string First() const { return Ranked().front().node; }
  bool Feasible(const std::string& node) const {
    for (const NodeScore& score : Ranked()) {
      if (score.node == node) return score.feasible;
    }
    return false;
  }
  std::vector<NodeScore> Ranked() const {
    return RankNodes(source_, Locate(source_, view_), view_, demand_, pressure_, reserved_);
  }
  NodeInfo& Node(const std::string& name) { return const_cast<NodeInfo&>(*view_.Node(name)); }
  static Pressure Cpu(int percent) {
    return {.cpu_used_milli = 40 * percent, .cpu_capacity_milli = 4000, .age_ms = 100};
  }

  FakeView view_;
  api::BackupSource source_;
  PodDemand demand_{500, 256 * kMiB, {}};
  PressureMap pressure_;
  std::map<std::string, int> reserved_;
};

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
  const auto image = std::find_if(asked.changes.begin(), asked.changes.end(),
                                  [](const Change& change) { return change.input == "image"; });
  ASSERT_NE(image, asked.changes.end());
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
    EXPECT_EQ(change.value, change.input == "pressure" ? 70 : change.value);
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

// As in docs/placement.md: another mode lets it in, which is not yet to win.
TEST_F(CounterfactualTest, RequiredNearnessIsToldFromBeingBest) {
  Place({.node_name = "n1"}, "Require", "Node");
  const Counterfactual asked = Ask("n4");
  EXPECT_EQ(asked.standing.obstacle, Obstacle::kTooFar);
  const auto mode = Find(asked, "mode");
  ASSERT_TRUE(mode);
  EXPECT_EQ(mode->effect, "Passes");
  EXPECT_EQ(mode->text,
            "would have passed with Prefer instead of Require (was Require), but not won: "
            "30 points against 93 of n1");
  EXPECT_FALSE(Find(asked, "tier"));
  const auto data = Find(asked, "data");
  ASSERT_TRUE(data);
  EXPECT_EQ(data->needed, "the data on n4");
  EXPECT_FALSE(Feasible("n4"));
  Place({.node_name = "n1"}, "Prefer", "Node");
  EXPECT_TRUE(Feasible("n4"));
  EXPECT_EQ(First(), "n1");
  Place({.node_name = "n4"}, "Require", "Node");
  EXPECT_EQ(First(), "n4");
}

TEST_F(CounterfactualTest, SaysWhichTierHadToDo) {
  Place({.node_name = "n1"}, "Require", "Node");
  const auto tier = Find(Ask("n3"), "tier");
  ASSERT_TRUE(tier);
  EXPECT_EQ(tier->needed, "tier Zone instead of Node");
  Place({.node_name = "n1"}, "Require", "Rack");
  EXPECT_FALSE(Feasible("n3"));
  Place({.node_name = "n1"}, "Require", "Zone");
  EXPECT_TRUE(Feasible("n3"));
}

// One obstacle behind the other: each is told, and then what else it takes.
TEST_F(CounterfactualTest, GoesOnUntilNothingKeepsTheNodeOut) {
  Node("n1").schedulable = false;
  Node("n1").ready = false;
  demand_.node_selector = {{"disk", "ssd"}};
  for (const char* other : {"n2", "n3", "n4"}) Node(other).labels["disk"] = "ssd";
  const Counterfactual asked = Ask("n1");
  ASSERT_EQ(asked.changes.size(), 3u);
  EXPECT_EQ(asked.changes[0].effect, "Clears");
  EXPECT_EQ(asked.changes[1].effect, "Clears");
  EXPECT_EQ(asked.changes[2].effect, "Wins");
  EXPECT_EQ(asked.changes[2].text,
            "would have won with the node ready and the node not cordoned and labels disk=ssd (was "
            "disk not set): 93 points against 72 of n2");
  Node("n1").schedulable = Node("n1").ready = true;
  EXPECT_NE(First(), "n1");
  Node("n1").labels["disk"] = "ssd";
  EXPECT_EQ(First(), "n1");
}

TEST_F(CounterfactualTest, SaysHowManyPodsWereTooMany) {
  Node("n1").pods = 115;
  const auto change = Find(Ask("n1"), "pods");
  ASSERT_TRUE(change);
  EXPECT_EQ(change->value, 109);
  Node("n1").pods = 110;
  EXPECT_FALSE(Feasible("n1"));
  Node("n1").pods = 109;
  EXPECT_TRUE(Feasible("n1"));
}

TEST_F(CounterfactualTest, SaysHowManyBackupPodsWereTooMany) {
  demand_.max_backup_pods = 2;
  Node("n1").backup_pods = 3;
  const Counterfactual asked = Ask("n1");
  EXPECT_EQ(asked.standing.obstacle, Obstacle::kBackupPods);
  EXPECT_EQ(Find(asked, "backupPods")->text,
            "would have won with at most 1 backup pods bound to it (was 3): "
            "93 points against 72 of n2");
  EXPECT_EQ(Find(asked, "maxPodsPerNode")->needed, "maxPodsPerNode of at least 4");
  for (const auto& [bound, cap, fits] :
       {std::tuple(2, 2, false), {1, 2, true}, {3, 3, false}, {3, 4, true}}) {
    Node("n1").backup_pods = bound;
    demand_.max_backup_pods = cap;
    EXPECT_EQ(First() == "n1", fits) << bound << " of " << cap;
  }
}

TEST_F(CounterfactualTest, PodsJustPlacedCountAgainstTheCapToo) {
  demand_.max_backup_pods = 2;
  Node("n1").backup_pods = 1;
  reserved_["n1"] = 1;
  const Counterfactual asked = Ask("n1");
  EXPECT_EQ(Find(asked, "reserved")->value, 0);
  EXPECT_EQ(Find(asked, "reserved")->effect, "Wins");
  EXPECT_EQ(Find(asked, "backupPods")->value, 0);
  // Where there are too many of both, fewer of one alone are too many still.
  Node("n1").backup_pods = reserved_["n1"] = 2;
  const Counterfactual both = Ask("n1");
  EXPECT_FALSE(Find(both, "reserved"));
  EXPECT_FALSE(Find(both, "backupPods"));
  EXPECT_EQ(Find(both, "maxPodsPerNode")->value, 5);
  demand_.max_backup_pods = 4;
  EXPECT_FALSE(Feasible("n1"));
  demand_.max_backup_pods = 5;
  EXPECT_TRUE(Feasible("n1"));
}

TEST_F(CounterfactualTest, SaysThatAVolumeHadToBeDetached) {
  demand_.attached_to = "n3";
  EXPECT_TRUE(Ask("n3").standing.wins);
  const Counterfactual asked = Ask("n1");
  EXPECT_EQ(asked.standing.obstacle, Obstacle::kAttached);
  ASSERT_EQ(asked.changes.size(), 1u);
  EXPECT_EQ(asked.changes[0].text,
            "would have won with no volume of the pod attached to another node (was attached to "
            "n3): 93 points against 72 of n2");
  demand_.attached_to.clear();
  EXPECT_EQ(First(), "n1");
}

TEST_F(CounterfactualTest, SaysWhichTaintsHadToBeTolerated) {
  demand_.tolerations.emplace();
  for (const char* node : {"n1", "n2"}) Node(node).taints = {{"dedicated", "db", "NoSchedule"}};
  Node("n1").taints.push_back({"gpu", "", "NoExecute"});
  const Counterfactual asked = Ask("n1");
  EXPECT_EQ(asked.standing.obstacle, Obstacle::kTainted);
  ASSERT_EQ(asked.changes.size(), 1u);
  EXPECT_EQ(asked.changes[0].input, "taint");
  // n2 is let in by it too, and is the next best.
  EXPECT_EQ(asked.changes[0].text,
            "would have won with the taints dedicated=db:NoSchedule, gpu:NoExecute tolerated (was "
            "not tolerated): 93 points against 72 of n2");
  demand_.tolerations->push_back({"dedicated", "Equal", "db", "NoSchedule"});
  EXPECT_EQ(First(), "n2");
  demand_.tolerations->push_back({"gpu", "Exists", "", ""});
  EXPECT_EQ(First(), "n1");
}

TEST_F(CounterfactualTest, SaysWhenNoSingleChangeLetsANodeIn) {
  demand_.cpu_milli = 5000;
  Node("n1").ready = false;
  const Counterfactual asked = Ask("n1");
  ASSERT_EQ(asked.changes.size(), 2u);
  EXPECT_EQ(asked.changes[0].effect, "Clears");
  EXPECT_EQ(asked.changes[1].input, "none");
  EXPECT_EQ(asked.changes[1].text,
            "with the node ready, no change of one input alone would have let it in");
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
