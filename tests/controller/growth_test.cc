// SPDX-License-Identifier: Apache-2.0
//
// What makes a crew grow, in the miniature cluster: signals of every kind, and what wins when
// several speak.
#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::seconds;

class GrowthTest : public WorldTest {
 protected:
  api::ScalingDecision Decision() const { return world.Request("r")->status.last_decision; }
  void SetScaling(const std::function<void(Json&)>& edit) {
    world.cluster.Edit(kube::kComputeRequests, kNs, "r",
                       [&](Json& object) { edit(object["spec"]["scaling"]); });
  }
};

TEST_F(GrowthTest, NetworkBytesOfAPodBringAnotherOne) {
  world.AddBasics();
  world.AddRequest("r", 1, 4, 600);
  SetScaling([](Json& scaling) {
    scaling["signals"] = Json::array({{{"name", "networkBytes"},
                                       {"up", {{"value", "20Mi"}}},
                                       {"down", {{"value", "1Mi"}}},
                                       {"windowSeconds", 2}}});
  });
  ASSERT_TRUE(Available(1));
  world.Run(seconds(20));
  EXPECT_EQ(world.LivePods(), 1);
  world.sent[world.PodNames()[0]] = 40 << 20;
  ASSERT_TRUE(Available(2));
  EXPECT_EQ(Decision().inputs.at(0).signal, "networkBytes");
  EXPECT_EQ(Decision().inputs.at(0).value, std::to_string(40 << 20));
}

// Where each node has as many pods as it may, more would only wait for one.
TEST_F(GrowthTest, ACapOfTheNodesIsSaidAsWhatLimitsGrowth) {
  world.AddBasics();
  world.cluster.Edit(kube::kPodPolicies, kNs, "standard",
                     [](Json& object) { object["spec"]["maxPodsPerNode"] = 2; });
  world.AddRequest("r", 1, 4, 600);
  ASSERT_TRUE(Available(1));
  for (const char* node : {"node-1", "node-2"}) world.cluster.view().AddNode(node).backup_pods = 2;
  world.cluster.view().AddNode("node-3").backup_pods = 1;
  world.cpu[world.PodNames()[0]] = 180;
  ASSERT_TRUE(Available(2));
  world.cluster.view().AddNode("node-3").backup_pods = 2;
  for (const std::string& pod : world.PodNames()) world.cpu[pod] = 180;
  world.Run(seconds(20));
  EXPECT_EQ(world.InState("r", api::kAvailable), 2);
  const api::Condition* limited = world.Condition("r", "ScalingLimited");
  EXPECT_EQ(limited->reason, "NodeCap");
  EXPECT_THAT(limited->message, testing::HasSubstr("spec.maxPodsPerNode 2"));
}

// A node that cannot measure a signal: said, and nothing is decided by it.
TEST_F(GrowthTest, SignalThatNoNodeMeasuresIsSaidAndHoldsTheCrew) {
  world.AddBasics();
  world.AddRequest("r", 2, 4, 15);
  SetScaling([](Json& scaling) {
    scaling["signals"].push_back({{"name", "ioPressure"},
                                  {"up", {{"utilizationPercent", 40}}},
                                  {"down", {{"utilizationPercent", 5}}}});
  });
  ASSERT_TRUE(Available(2));
  world.Run(seconds(60));
  EXPECT_EQ(world.LivePods(), 2);
  const api::Condition* active = world.Condition("r", "ScalingActive");
  EXPECT_EQ(active->reason, "SignalsMissing");
  EXPECT_THAT(active->message, testing::HasSubstr("(ioPressure)"));
}

// Before Linux 6.3 agents know no network bytes: their zeros are no proof of idleness.
TEST_F(GrowthTest, SignalThatTheAgentsNameAsDegradedShrinksNothing) {
  world.hello.add_degraded("network");
  world.AddBasics();
  world.AddRequest("r", 2, 4, 15);
  SetScaling([](Json& scaling) {
    scaling["signals"] = Json::array({{{"name", "networkBytes"},
                                       {"up", {{"value", "20Mi"}}},
                                       {"down", {{"value", "1Mi"}}},
                                       {"windowSeconds", 2}}});
  });
  ASSERT_TRUE(Available(2));
  world.Run(seconds(60));
  EXPECT_EQ(world.LivePods(), 2);
  EXPECT_EQ(world.Condition("r", "ScalingActive")->reason, "SignalsMissing");
}

TEST_F(GrowthTest, DemandIsIgnoredByDefault) {
  world.AddBasics();
  world.AddRequest("r", 1, 4, 600);
  ASSERT_TRUE(Available(1));
  world.seconds_of_work = 30;
  for (const char* name : {"a", "b", "c"}) world.AddOperation(name, "r");
  world.Run(seconds(20));
  EXPECT_EQ(world.LivePods(), 1);
}

TEST_F(GrowthTest, DemandThatIsFollowedBringsAPodForEachOperationInOneStep) {
  world.AddBasics();
  world.AddRequest("r", 1, 6, 15);
  SetScaling([](Json& scaling) { scaling["demandPolicy"] = "Follow"; });
  ASSERT_TRUE(Available(1));
  world.seconds_of_work = 30;
  for (const char* name : {"a", "b", "c"}) world.AddOperation(name, "r");
  ASSERT_TRUE(world.RunUntil([&] { return world.InState("r", api::kAssigned) == 3; }, seconds(10)));
  EXPECT_EQ(Decision().from, 1);
  EXPECT_EQ(Decision().to, 3);
  EXPECT_EQ(Decision().cause, api::kCauseDemand);
  EXPECT_EQ(world.Announced("PodsAvailable").back().data["cause"], api::kCauseDemand);
  // And it all goes when the work is done and the idle time over.
  EXPECT_TRUE(world.RunUntil([&] { return world.LivePods() == 0; }, seconds(180)));
}

TEST_F(GrowthTest, GrowthStopsAtWhatTheSourceHasWorkForAndSaysSo) {
  world.AddBasics();
  world.cluster.Edit(kube::kBackupSources, kNs, "orders",
                     [](Json& object) { object["spec"]["maxConcurrent"] = 3; });
  world.AddRequest("other", 1, 1, 600);
  world.seconds_of_work = 300;
  world.AddOperation("theirs", "other");
  ASSERT_TRUE(
      world.RunUntil([&] { return world.Operation("theirs")->status.state == api::kRunning; }));
  world.AddRequest("r", 1, 6, 600);
  SetScaling([](Json& scaling) { scaling["demandPolicy"] = "Follow"; });
  for (const char* name : {"a", "b", "c", "d"}) world.AddOperation(name, "r");
  ASSERT_TRUE(world.RunUntil([&] { return world.InState("r", api::kAssigned) == 2; }));
  world.Run(seconds(20));
  EXPECT_EQ(world.Request("r")->status.desired_pods, 2) << "the other request has the third";
  ASSERT_TRUE(Decision().limit);
  EXPECT_EQ(Decision().limit->reason, "SourceCap");
  const api::Condition* limited = world.Condition("r", "ScalingLimited");
  EXPECT_EQ(limited->reason, "SourceCap");
  EXPECT_THAT(limited->message, testing::HasSubstr("source orders has spec.maxConcurrent 3"));
}

TEST_F(GrowthTest, AWarmPodStandsReadyBesideTheBusyOnes) {
  world.AddBasics();
  world.AddRequest("r", 1, 4, 15);
  SetScaling([](Json& scaling) { scaling["warmPods"] = 1; });
  ASSERT_TRUE(Available(1));
  world.seconds_of_work = 40;
  world.AddOperation("a", "r");
  ASSERT_TRUE(world.RunUntil([&] {
    return world.InState("r", api::kAssigned) == 1 && world.InState("r", api::kAvailable) == 1;
  }));
  EXPECT_EQ(Decision().cause, api::kCauseWarmPods);
  // Afterwards one is too many, and one stays warm however long it idles.
  ASSERT_TRUE(world.RunUntil([&] { return world.LivePods() == 1; }, seconds(120)));
  world.Run(seconds(60));
  EXPECT_EQ(world.LivePods(), 1);
}

// Whatever the number of pods, the source gives 40 MiB a second.
TEST_F(GrowthTest, AGrowthThatBringsNothingEndsAndItsPodGoesWhenItIsFree) {
  world.AddBasics();
  world.AddRequest("r", 1, 4, 600);
  // Steps so far apart that each can be judged.
  SetScaling([](Json& scaling) { scaling["signals"][0]["windowSeconds"] = 12; });
  ASSERT_TRUE(Available(1));
  world.seconds_of_work = 60;
  for (int i = 0; i < 20; ++i) world.AddOperation("op-" + std::to_string(i), "r");
  double load = 50;
  const auto go = [&](seconds time, const std::function<bool()>& until) {
    return world.RunUntil(
        [&] {
          const auto pods = world.PodNames();
          for (const std::string& pod : pods) {
            world.cpu[pod] = load;
            world.sent[pod] = (40 << 20) / static_cast<double>(pods.size());
          }
          return until();
        },
        time);
  };
  const auto limited = [&] { return world.Condition("r", "ScalingLimited")->reason; };
  const auto desired = [&] { return world.Request("r")->status.desired_pods; };
  EXPECT_FALSE(go(seconds(15), [] { return false; }));
  load = 150;
  ASSERT_TRUE(go(seconds(20), [&] { return desired() == 2; }));
  ASSERT_TRUE(go(seconds(30), [&] { return limited() == "GrowthFutile"; }));
  EXPECT_EQ(desired(), 2);
  const auto since = world.clock.Monotonic();
  ASSERT_TRUE(go(seconds(90), [&] { return world.LivePods() == 1; })) << "though work waits";
  EXPECT_EQ(Decision().cause, "GrowthFutile");
  EXPECT_FALSE(
      go(seconds(280) - std::chrono::duration_cast<seconds>(world.clock.Monotonic() - since),
         [&] { return desired() != 1; }));
  EXPECT_TRUE(go(seconds(60), [&] { return desired() == 2; })) << "tried again after five minutes";
  const auto& events = world.cluster.events();
  EXPECT_EQ(std::count(events.begin(), events.end(), "GrowthFutile"), 2)
      << "the finding, and the pod that went";
}

TEST_F(GrowthTest, WhatWasSeenAndDecidedIsKeptWhileTheRequestLives) {
  world.AddBasics();
  world.AddRequest("r", 1, 4, 600);
  ASSERT_TRUE(Available(1));
  double& cpu = world.cpu[world.PodNames()[0]];
  cpu = 180;
  ASSERT_TRUE(Available(2));
  cpu = 50;
  world.Run(seconds(6));  // under its threshold, it is looked at every five seconds
  const std::string uid = world.Request("r")->metadata.uid;
  const auto notes = world.NotesOf(uid);
  ASSERT_TRUE(notes);
  ASSERT_EQ(notes->decisions.size(), 2u);
  EXPECT_EQ(notes->decisions[0].cause, "ThresholdExceeded");
  EXPECT_EQ(notes->decisions[1].cause, "Requested");
  ASSERT_EQ(notes->now.pods.size(), 2u);
  EXPECT_EQ(notes->now.pods[0].signals.at(0).value, "50m");
  world.cluster.UserDelete(kube::kComputeRequests, kNs, "r");
  ASSERT_TRUE(world.RunUntil([&] { return !world.Request("r"); }));
  EXPECT_FALSE(world.NotesOf(uid));
}

// One decision, one Event, however many ticks the wish lasts.
TEST_F(GrowthTest, AWishThatIsLimitedIsSaidOnceAndWrittenOnce) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 600);
  ASSERT_TRUE(Available(1));
  world.cpu[world.PodNames()[0]] = 180;
  ASSERT_TRUE(
      world.RunUntil([&] { return world.Condition("r", "ScalingLimited")->reason == "MaxPods"; }));
  const std::string version = world.Request("r")->metadata.resource_version;
  world.Run(seconds(30));
  EXPECT_EQ(world.Request("r")->metadata.resource_version, version);
  const auto& events = world.cluster.events();
  EXPECT_EQ(std::count(events.begin(), events.end(), "MaxPods"), 1);
}

TEST_F(GrowthTest, TheEventOfADecisionSaysFromWhatToWhatWhoWonAndWhatLimits) {
  world.AddBasics();
  world.AddRequest("r", 1, 3, 600);
  SetScaling([](Json& scaling) { scaling["demandPolicy"] = "Follow"; });
  ASSERT_TRUE(Available(1));
  world.cpu[world.PodNames()[0]] = 180;
  ASSERT_TRUE(Available(2));
  world.seconds_of_work = 100;
  for (int i = 0; i < 6; ++i) world.AddOperation("op-" + std::to_string(i), "r");
  ASSERT_TRUE(world.RunUntil([&] { return world.InState("r", api::kAssigned) == 3; }));
  using testing::AllOf, testing::Contains, testing::HasSubstr, testing::StartsWith;
  EXPECT_THAT(world.cluster.notes(), Contains("0 → 1 pod: spec.pods.initial of the request"));
  EXPECT_THAT(world.cluster.notes(), Contains(StartsWith("1 → 2 pods (Usage): ")));
  EXPECT_THAT(world.cluster.notes(), Contains(AllOf(StartsWith("2 → 3 pods (Demand): "),
                                                    HasSubstr("; limited by MaxPods: "))));
}

// Three or four pods would do for what two use, by turns.
TEST_F(GrowthTest, AWishThatChangesEachSecondIsWrittenOnceToo) {
  world.AddBasics();
  world.AddRequest("r", 2, 2, 600);
  ASSERT_TRUE(Available(2));
  const auto load = [&](double cpu) {
    for (const std::string& pod : world.PodNames()) world.cpu[pod] = cpu;
  };
  load(130);
  ASSERT_TRUE(
      world.RunUntil([&] { return world.Condition("r", "ScalingLimited")->reason == "MaxPods"; }));
  EXPECT_THAT(world.Condition("r", "ScalingLimited")->message,
              testing::StartsWith("Usage wants more pods: spec.pods.max is 2"));
  const std::string version = world.Request("r")->metadata.resource_version;
  for (int i = 0; i < 5; ++i) {
    load(i % 2 == 0 ? 200 : 130);
    world.Run(seconds(4));
  }
  EXPECT_EQ(world.Request("r")->metadata.resource_version, version);
}

TEST_F(GrowthTest, UsageWaitsForWorkWhereDemandIsRequired) {
  world.AddBasics();
  world.AddRequest("r", 1, 4, 600);
  SetScaling([](Json& scaling) { scaling["demandPolicy"] = "Require"; });
  ASSERT_TRUE(Available(1));
  world.seconds_of_work = 120;
  world.AddOperation("a", "r");
  ASSERT_TRUE(world.RunUntil([&] { return world.InState("r", api::kAssigned) == 1; }));
  world.cpu[world.PodNames()[0]] = 180;
  ASSERT_TRUE(
      world.RunUntil([&] { return world.Condition("r", "ScalingLimited")->reason == "NoDemand"; }));
  world.Run(seconds(10));
  EXPECT_EQ(world.LivePods(), 1);
  world.AddOperation("b", "r");
  EXPECT_TRUE(world.RunUntil([&] { return world.InState("r", api::kAssigned) == 2; }));
  EXPECT_EQ(Decision().cause, "ThresholdExceeded");
}

}  // namespace
}  // namespace longshore::controller
