// SPDX-License-Identifier: Apache-2.0
//
// The controller dies in the middle of its work, and another one goes on.
#include <set>

#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

using std::chrono::seconds;

using RestartTest = WorldTest;

// A restart loses nothing and repeats nothing: what ran goes on under its epoch.
TEST_F(RestartTest, RestartedControllerFindsItsWorkersAtWork) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 600);
  world.seconds_of_work = 10;
  world.AddOperation("a", "r");
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("a") == api::kRunning; }));
  world.Restart();
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("a") == api::kSucceeded; }));
  EXPECT_EQ(world.Operation("a")->status.attempt, 1);
  EXPECT_EQ(world.WorkerOf(world.Operation("a")->status.pod)->began, 1);
  EXPECT_EQ(world.cluster.created_pods().size(), 1u);
}

TEST_F(RestartTest, NewLeaderTakesNothingAwayBeforeAWholeIdleTime) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 20);
  ASSERT_TRUE(Available("r", 1));
  world.Run(seconds(15));
  world.Restart();
  world.Run(seconds(18));
  EXPECT_EQ(world.InState("r", api::kAvailable), 1);
  EXPECT_TRUE(world.RunUntil([&] { return world.LivePods() == 0; }));
}

// The whole story, with the controller killed at each of its writes: before the write is applied,
// or after, or it sleeps with the write on its way, which arrives when another has led for a while.
// Everything ends as it should, with each Pod created once and each operation done once.
class CrashTest : public testing::TestWithParam<FakeCluster::Fate> {};

TEST_P(CrashTest, KillAtEachWriteLosesAndDoublesNothing) {
  for (int n = 1; n < 200; ++n) {
    SCOPED_TRACE("killed at write " + std::to_string(n));
    World world;
    world.max_pods = 3;
    world.AddBasics();
    world.AddRequest("r", 2, 3, 8);
    for (const char* name : {"a", "b", "c"}) world.AddOperation(name, "r");
    world.cluster.CrashAtWrite(n, GetParam());
    const auto finished = [&] {
      for (const char* name : {"a", "b", "c"}) {
        const auto operation = world.Operation(name);
        if (!operation || operation->status.state != api::kSucceeded) return false;
      }
      return world.LivePods() == 0;
    };
    bool crashed = false;
    // Runs on to the goal, over the crash if it comes on the way.
    const auto get_there = [&](const std::function<bool()>& goal) {
      world.RunUntil([&] { return world.cluster.crashed() || goal(); }, seconds(120));
      if (world.cluster.crashed()) {
        crashed = true;
        world.Run(seconds(1));
        world.Restart();
        world.Run(seconds(3));
        world.cluster.LandLate();
      }
      return world.RunUntil(goal, seconds(120));
    };
    ASSERT_TRUE(get_there(finished));
    ASSERT_THAT(world.violations, testing::IsEmpty());
    std::set<std::string> names(world.cluster.created_pods().begin(),
                                world.cluster.created_pods().end());
    EXPECT_EQ(names.size(), world.cluster.created_pods().size()) << "a Pod was created twice";
    EXPECT_EQ(names.size(), 2u);
    for (const char* name : {"a", "b", "c"}) {
      EXPECT_EQ(world.Operation(name)->status.attempt, 1) << name;
    }
    world.cluster.UserDelete(kube::kComputeRequests, kNs, "r");
    ASSERT_TRUE(get_there([&] { return !world.Request("r"); }));
    if (!crashed) return;  // the story has fewer writes than n: all were tried
  }
  FAIL() << "the story never got by without a crash";
}

std::string NameOf(const testing::TestParamInfo<FakeCluster::Fate>& info) {
  if (info.param == FakeCluster::Fate::kLost) return "NotApplied";
  return info.param == FakeCluster::Fate::kApplied ? "Applied" : "Late";
}
INSTANTIATE_TEST_SUITE_P(AtEachWrite, CrashTest,
                         testing::Values(FakeCluster::Fate::kLost, FakeCluster::Fate::kApplied,
                                         FakeCluster::Fate::kLate),
                         NameOf);

}  // namespace
}  // namespace longshore::controller
