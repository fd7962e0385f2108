// SPDX-License-Identifier: Apache-2.0
//
// docs/failure-scenarios.md, F6: two leaders, of which one does not know that it is none any more.
#include <memory>

#include "tests/controller/scenario.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::seconds;

// A leader sleeps in the middle of giving work; its write is on the way for as long as the next one
// needs to give the same work itself.
TEST_F(Scenario, F6_AWriteOfTheLeaderBeforeGivesNothingTwice) {
  Begin(2, 2);
  world.seconds_of_work = 20;
  world.cluster.CrashAtWrite(2, FakeCluster::Fate::kLate);  // the row's lease; Queued is the first
  world.AddOperation("op", "r");
  ASSERT_TRUE(world.RunUntil([&] { return !world.cluster.late().empty(); }));
  world.Restart();
  ASSERT_TRUE(Reaches("op", api::kRunning));
  const std::string pod = PodOf("op");
  world.cluster.LandLate();
  world.Run(seconds(5));
  EXPECT_EQ(world.InState("r", api::kAssigned), 1);
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_EQ(PodOf("op"), pod);
  EXPECT_EQ(AttemptOf("op"), 1);
}

// A world of request "a" and a cap of one pod in the namespace, whose leader sleeps in the middle
// of that write.
std::unique_ptr<World> AsleepAt(const std::string& write) {
  for (int nth = 1; nth < 20; ++nth) {
    auto world = std::make_unique<World>();
    world->AddBasics();
    world->cluster.Edit(kube::kPodPolicies, kNs, "standard",
                        [](Json& object) { object["spec"]["maxPodsPerNamespace"] = 1; });
    world->max_pods = 1;
    world->AddRequest("a", 1, 1, 100'000);
    world->cluster.CrashAtWrite(nth, FakeCluster::Fate::kLate);
    world->RunUntil([&] { return world->cluster.crashed(); }, seconds(10));
    if (world->cluster.late() == write) return world;
  }
  return nullptr;
}

TEST_F(Scenario, F6_ARowOfTheLeaderBeforePassesNoSharedCap) {
  const auto late = AsleepAt("create backuppods");
  ASSERT_TRUE(late);
  late->cluster.Edit(kube::kComputeRequests, kNs, "a",
                     [](Json& object) { object["spec"]["pods"]["initial"] = 0; });
  late->Restart();
  late->AddRequest("b", 1, 1, 100'000);
  ASSERT_TRUE(late->RunUntil([&] { return late->InState("b", api::kAvailable) == 1; }));
  late->cluster.LandLate();
  late->Run(seconds(5));
  EXPECT_EQ(late->cluster.created_pods().size(), 1u);
  ExpectSound(*late);
}

// In the first moment of the next leader the API server does not know of it, and lets it through.
TEST_F(Scenario, F6_ARowThatComesBeforeTheTermIsKnownIsCounted) {
  const auto late = AsleepAt("create backuppods");
  ASSERT_TRUE(late);
  late->Restart();
  late->AddRequest("b", 1, 1, 100'000);
  late->cluster.SlowWatch(kube::kBackupPods, seconds(5));
  late->cluster.LandLate();
  ASSERT_EQ(late->cluster.Objects(kube::kBackupPods).size(), 1u) << "the API server let it through";
  late->Run(seconds(20));
  EXPECT_EQ(late->LivePods(), 1);
  ExpectSound(*late);
}

// What a row that has ended had on its way: the place of its Pod is another's by then.
TEST_F(Scenario, F6_APodOfTheLeaderBeforeIsNotMadeForARowThatHasEnded) {
  const auto late = AsleepAt("create pods");
  ASSERT_TRUE(late);
  late->Restart();
  late->cluster.UserDelete(kube::kComputeRequests, kNs, "a");
  ASSERT_TRUE(late->RunUntil([&] { return !late->Request("a"); }));
  late->AddRequest("b", 1, 1, 100'000);
  ASSERT_TRUE(late->RunUntil([&] { return late->InState("b", api::kAvailable) == 1; }));
  late->cluster.LandLate();
  late->Run(seconds(5));
  EXPECT_EQ(late->LivePods(), 1);
  ExpectSound(*late);
}

}  // namespace
}  // namespace longshore::controller
