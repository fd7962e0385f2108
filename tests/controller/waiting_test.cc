// SPDX-License-Identifier: Apache-2.0
//
// What queued operations say they wait for.
#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::seconds;

class WaitingTest : public WorldTest {
 protected:
  // "PodsBusy: 1 of 1 pods of request r are busy"
  std::string Waits(const std::string& name) {
    const auto operation = world.Operation(name);
    if (!operation || operation->status.state != api::kQueued) return "is not queued";
    const api::Condition* said = api::FindCondition(operation->status.conditions, "Succeeded");
    return said == nullptr ? "" : said->reason + ": " + said->message;
  }
  bool Runs(const std::string& name) {
    return world.RunUntil([&] { return world.Operation(name)->status.state == api::kRunning; });
  }
  std::string VersionOf(const std::string& name) {
    return world.Operation(name)->metadata.resource_version;
  }
};

TEST_F(WaitingTest, QueuedOperationSaysThatThePodsAreBusyOnceAndThenRuns) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 600);
  world.seconds_of_work = 20;
  world.AddOperation("a", "r");
  ASSERT_TRUE(Runs("a"));
  world.AddOperation("b", "r");
  world.Run(seconds(2));
  EXPECT_EQ(Waits("b"), "PodsBusy: 1 of 1 pods of request r are busy");
  const std::string version = VersionOf("b");
  world.Run(seconds(10));
  EXPECT_EQ(VersionOf("b"), version) << "written on change only";
  EXPECT_TRUE(Runs("b"));
}

TEST_F(WaitingTest, QueuedOperationNamesTheCapThatIsReached) {
  world.AddBasics();
  world.cluster.Edit(kube::kBackupSources, kNs, "orders",
                     [](Json& object) { object["spec"]["maxConcurrent"] = 1; });
  world.AddRequest("r", 2, 2, 600);
  world.seconds_of_work = 20;
  world.AddOperation("a", "r");
  ASSERT_TRUE(Runs("a"));
  world.AddOperation("b", "r");
  world.Run(seconds(2));
  EXPECT_EQ(Waits("b"), "SourceBusy: source orders: its maxConcurrent of 1 is reached");
  world.cluster.Edit(kube::kBackupSources, kNs, "orders",
                     [](Json& object) { object["spec"]["maxConcurrent"] = 8; });
  world.cluster.Edit(kube::kBackupRepositories, kNs, "outside",
                     [](Json& object) { object["spec"]["maxWriters"] = 1; });
  world.Run(seconds(6));
  EXPECT_EQ(Waits("b"), "RepositoryBusy: repository outside: its maxWriters of 1 is reached");
}

TEST_F(WaitingTest, QueuedOperationSaysWhyThereAreNoPods) {
  world.AddBasics();
  world.cluster.Remove(kube::kSecrets, kNs, "login");
  world.AddRequest("r", 1, 1);
  world.AddOperation("a", "r");
  world.Run(seconds(2));
  EXPECT_EQ(Waits("a"), "NoPods: no pod of request r works yet; its Accepted says SecretMissing");
  world.cluster.Remove(kube::kPodPolicies, kNs, "standard");
  world.Run(seconds(20));
  EXPECT_EQ(Waits("a"),
            "NoRepository: the repository of request r is not known; its Accepted says more");
}

TEST_F(WaitingTest, OperationThatCannotBeInLineSaysWhatToDo) {
  world.AddBasics();
  world.AddOperation("a", "nobody");
  world.Run(seconds(2));
  EXPECT_EQ(Waits("a"),
            "RequestNotFound: spec.requestRef: there is no ComputeRequest nobody in "
            "namespace backup; make it, or cancel this operation");
  world.AddRequest("nobody", 1, 1);
  EXPECT_TRUE(Runs("a"));
}

// Three attempts at an address where nobody listens take seconds; one that was lost in the middle
// of its work waits longer before each.
TEST_F(WaitingTest, RefusedConnectionFailsInSecondsAndALostOneIsGivenTime) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 600);
  ASSERT_TRUE(world.RunUntil([&] { return world.InState("r", api::kAvailable) == 1; }));
  world.next_result.set_succeeded(false);
  world.next_result.set_retryable(true);
  world.next_result.set_error_class("Unreachable");
  for (const auto& [work, least, most] : {std::tuple(0, 3, 8), std::tuple(3, 20, 60)}) {
    world.seconds_of_work = work;
    const std::string name = "lasts-" + std::to_string(work);
    const MonotonicTime start = world.clock.Monotonic();
    world.AddOperation(name, "r");
    ASSERT_TRUE(world.RunUntil(
        [&] { return world.Operation(name)->status.state == api::kOperationFailed; }));
    EXPECT_EQ(world.Operation(name)->status.attempt, 3);
    EXPECT_GE(world.clock.Monotonic() - start, seconds(least));
    EXPECT_LE(world.clock.Monotonic() - start, seconds(most));
  }
}

// A long queue must not hold up decisions: only its front says at once what it waits for.
TEST_F(WaitingTest, LongQueueIsToldStepByStep) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 600);
  world.seconds_of_work = 100;
  world.AddOperation("a", "r");
  ASSERT_TRUE(Runs("a"));
  for (int i = 0; i < 40; ++i) world.AddOperation("b" + std::to_string(i), "r");
  world.Run(seconds(8));
  for (int i = 0; i < 40; ++i) {
    EXPECT_EQ(Waits("b" + std::to_string(i)), "PodsBusy: 1 of 1 pods of request r are busy");
  }
}

}  // namespace
}  // namespace longshore::controller
