// SPDX-License-Identifier: Apache-2.0
//
// Requests that end while a pod of theirs has work: what they wait for, and since when.
#include "controller/census.h"
#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::HasSubstr;

class EndingTest : public WorldTest {
 protected:
  // Request "r" of two pods, one of which has an operation without end.
  void Begin() {
    world.AddBasics();
    world.AddRequest("r", 2, 2, 100'000);
    ASSERT_TRUE(Available(2));
    world.seconds_of_work = 1'000'000;
    world.AddOperation("op", "r");
    ASSERT_TRUE(world.RunUntil([&] { return StateOf("op") == api::kRunning; }));
  }
  std::string Reason(const std::string& type) {
    const api::Condition* condition = world.Condition("r", type);
    return condition == nullptr ? "" : condition->status + " " + condition->reason;
  }
  std::chrono::nanoseconds OldestDrain() const {
    return TakeCensus(world.cluster.List(kube::kComputeRequests), world.cluster.Rows(kNs), {},
                      world.clock.Now())
        .oldest_drain;
  }
};

TEST_F(EndingTest, ADeletedRequestNamesWhatItWaitsForAndThatItTakesLong) {
  Begin();
  EXPECT_EQ(world.Condition("r", "DrainStalled"), nullptr);
  world.cluster.UserDelete(kube::kComputeRequests, kNs, "r");
  world.Run(seconds(15));
  const std::string pod = world.Operation("op")->status.pod;
  EXPECT_THAT(world.Condition("r", "Accepted")->message,
              HasSubstr("operation op is Running on pod " + pod + " since 20"));
  EXPECT_THAT(world.Condition("r", "Accepted")->message,
              HasSubstr("`longshore operations cancel op`"));
  EXPECT_EQ(Reason("DrainStalled"), "False Draining");
  const std::string version = world.Request("r")->metadata.resource_version;
  world.Run(minutes(14));
  EXPECT_EQ(world.Request("r")->metadata.resource_version, version) << "written once";
  world.Run(minutes(1));
  EXPECT_EQ(Reason("DrainStalled"), "True OperationsRunning");
  EXPECT_GT(OldestDrain(), minutes(15)) << "which alert LongshoreDrainStalled looks at";
  world.cluster.Edit(kube::kOperations, kNs, "op",
                     [](Json& object) { object["spec"]["cancel"] = true; });
  EXPECT_TRUE(world.RunUntil([&] { return !world.Request("r"); }));
}

// The kernel drops a SIGTERM that comes before the first process of a container handles it.
TEST_F(EndingTest, AWorkerThatMissedItsSignalDoesNotStayForItsGrace) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 100'000);
  ASSERT_TRUE(Available(1));
  const std::string pod = world.PodNames()[0];
  world.WorkerOf(pod)->deaf = true;
  world.cluster.UserDelete(kube::kComputeRequests, kNs, "r");
  EXPECT_TRUE(world.RunUntil([&] { return !world.Request("r"); }, seconds(15)));
  EXPECT_THAT(world.cluster.deleted_pods(), testing::ElementsAre(pod));
}

TEST_F(EndingTest, OneThatMissedItAndWorksIsLeftItsGrace) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 100'000);
  ASSERT_TRUE(Available(1));
  world.seconds_of_work = 40;
  world.AddOperation("op", "r");
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("op") == api::kRunning; }));
  const std::string pod = world.PodNames()[0];
  world.WorkerOf(pod)->deaf = true;
  world.cluster.UserDelete(kube::kPods, kNs, pod);
  world.Run(seconds(30));
  EXPECT_EQ(StateOf("op"), api::kRunning);
  EXPECT_THAT(world.cluster.deleted_pods(), testing::IsEmpty());
  EXPECT_TRUE(world.RunUntil([&] { return StateOf("op") == api::kSucceeded; }));
  EXPECT_TRUE(
      world.RunUntil([&] { return world.cluster.Object(kube::kPods, kNs, pod) == nullptr; }));
  EXPECT_EQ(world.Operation("op")->status.attempt, 1);
}

TEST_F(EndingTest, ARequestWhoseLifetimeIsMadeLongerIsNotEndingAnyMore) {
  Begin();
  const auto lives = [&](int lifetime) {
    world.cluster.Edit(kube::kComputeRequests, kNs, "r",
                       [&](Json& object) { object["spec"]["lifetimeSeconds"] = lifetime; });
  };
  lives(60);
  world.Run(minutes(17));
  EXPECT_EQ(Reason("Accepted"), "False Expired");
  EXPECT_EQ(Reason("DrainStalled"), "True OperationsRunning");
  lives(1'000'000);
  world.Run(seconds(10));
  EXPECT_EQ(Reason("Accepted"), "True Valid");
  EXPECT_EQ(Reason("DrainStalled"), "False NotEnding");
  EXPECT_EQ(OldestDrain(), seconds(0));
}

}  // namespace
}  // namespace longshore::controller
