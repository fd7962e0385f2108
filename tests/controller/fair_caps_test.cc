// SPDX-License-Identifier: Apache-2.0
//
// Requests that compete for what their namespace may have, in the miniature cluster.
#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::seconds;
using testing::HasSubstr;

class FairCapsTest : public WorldTest {
 protected:
  FairCapsTest() { world.AddBasics(); }
  void CapNamespace(int most) {
    world.max_pods = most;
    world.cluster.Edit(kube::kPodPolicies, kNs, "standard",
                       [&](Json& object) { object["spec"]["maxPodsPerNamespace"] = most; });
  }
  void SetSpec(const std::string& request, const std::function<void(Json&)>& edit) {
    world.cluster.Edit(kube::kComputeRequests, kNs, request,
                       [&](Json& object) { edit(object["spec"]); });
  }
  // Neither ended nor leaving.
  int Pods(const std::string& request) {
    int count = 0;
    for (const char* state :
         {"", api::kPlanned, api::kProvisioning, api::kAvailable, api::kAssigned}) {
      count += world.InState(request, state);
    }
    return count;
  }
  std::string Reason(const std::string& request, const std::string& type) {
    const api::Condition* condition = world.Condition(request, type);
    return condition == nullptr ? "" : condition->reason;
  }
  // Repository and policy "NAME", and request "NAME" of that policy.
  void AddRepository(const std::string& name, int max_writers, int initial, int max) {
    Json repository = *world.cluster.Object(kube::kBackupRepositories, kNs, "outside");
    repository["metadata"] = {{"name", name}, {"namespace", kNs}};
    repository["spec"]["maxWriters"] = max_writers;
    world.cluster.Put(kube::kBackupRepositories, repository);
    world.cluster.Put(kube::kPodPolicies, {{"metadata", {{"name", name}, {"namespace", kNs}}},
                                           {"spec", {{"repositoryRef", {{"name", name}}}}}});
    world.AddRequest(name, initial, max, 600);
    SetSpec(name, [&](Json& spec) { spec["policyRef"]["name"] = name; });
  }
  std::string State(const std::string& operation) {
    return world.Operation(operation)->status.state;
  }
};

TEST_F(FairCapsTest, ANamespaceGetsNoMorePodsThanItMayHaveAndItIsSaidWhy) {
  CapNamespace(2);
  world.AddRequest("r", 3, 3, 600);
  ASSERT_TRUE(Available("r", 2));
  world.Run(seconds(20));
  EXPECT_EQ(world.LivePods(), 2);
  EXPECT_EQ(Reason("r", "PodsProvisioned"), "NamespaceCap");
  EXPECT_EQ(Reason("r", "ScalingLimited"), "NamespaceCap");
  EXPECT_THAT(world.Condition("r", "ScalingLimited")->message,
              HasSubstr("namespace backup may have 2 backup pods (spec.maxPodsPerNamespace of "
                        "PodPolicy standard), of which 2 are for this request: raise it, or end "
                        "others"));
  ASSERT_TRUE(world.Request("r")->status.last_decision.limit);
  EXPECT_EQ(world.Request("r")->status.last_decision.limit->reason, "NamespaceCap");
  CapNamespace(3);
  EXPECT_TRUE(Available("r", 3));
  world.Run(seconds(6));
  EXPECT_EQ(Reason("r", "ScalingLimited"), "WithinRange");
}

TEST_F(FairCapsTest, TheLeastCapOfANamespacesPoliciesHolds) {
  CapNamespace(2);
  world.cluster.Put(
      kube::kPodPolicies,
      {{"metadata", {{"name", "roomy"}, {"namespace", kNs}}},
       {"spec", {{"repositoryRef", {{"name", "outside"}}}, {"maxPodsPerNamespace", 9}}}});
  world.AddRequest("r", 3, 3, 600);
  SetSpec("r", [](Json& spec) { spec["policyRef"]["name"] = "roomy"; });
  ASSERT_TRUE(Available("r", 2));
  world.Run(seconds(20));
  EXPECT_EQ(world.LivePods(), 2);
}

TEST_F(FairCapsTest, GrowthEndsAtTheFairShareOfTheNamespace) {
  CapNamespace(4);
  world.AddRequest("other", 1, 1, 600);
  world.AddRequest("r", 1, 6, 600);
  SetSpec("r", [](Json& spec) { spec["scaling"]["demandPolicy"] = "Follow"; });
  ASSERT_TRUE(Available("other", 1));
  world.seconds_of_work = 300;
  for (const char* name : {"a", "b", "c", "d", "e"}) world.AddOperation(name, "r");
  ASSERT_TRUE(world.RunUntil([&] { return world.InState("r", api::kAssigned) == 3; }));
  const api::ScalingDecision decision = world.Request("r")->status.last_decision;
  EXPECT_EQ(decision.cause, api::kCauseDemand);
  EXPECT_EQ(decision.to, 3) << "the other request has the fourth";
  ASSERT_TRUE(decision.limit);
  EXPECT_EQ(decision.limit->reason, "NamespaceCap");
  EXPECT_EQ(decision.limit->pods, 3);
}

// "r" has all, and "s" nothing: what becomes free is for "s", though "r" asks first.
TEST_F(FairCapsTest, WhoIsUnderItsShareGetsTheNextPodAndNothingThatRunsIsEnded) {
  CapNamespace(3);
  world.AddRequest("r", 3, 3, 600);
  ASSERT_TRUE(Available("r", 3));
  world.seconds_of_work = 200;
  for (const char* name : {"a", "b"}) world.AddOperation(name, "r");
  ASSERT_TRUE(world.RunUntil([&] { return world.InState("r", api::kAssigned) == 2; }));
  world.AddRequest("s", 2, 2, 600);
  world.Run(seconds(30));
  EXPECT_EQ(Pods("r"), 3) << "nothing is taken away";
  EXPECT_EQ(Reason("s", "PodsProvisioned"), "NamespaceCap");
  EXPECT_THAT(world.Condition("s", "PodsProvisioned")->message,
              HasSubstr("of which 0 are for this request; pods are with r: raise it"));
  world.agents_report = false;  // whose reports wake requests each second
  world.Run(seconds(2));
  for (const api::BackupPod& row : world.Rows("r")) {
    if (row.status.state != api::kAvailable) continue;
    world.cluster.Remove(kube::kPods, kNs, row.metadata.name);
  }
  world.Run(std::chrono::milliseconds(500));
  EXPECT_EQ(Pods("s"), 1) << "woken, and not when it happens to look";
  world.Run(seconds(30));
  EXPECT_EQ(Pods("r"), 2);
  EXPECT_EQ(world.InState("s", api::kAvailable), 1);
  EXPECT_EQ(Reason("r", "PodsProvisioned"), "NamespaceCap");
  EXPECT_EQ(State("a"), api::kRunning);
  EXPECT_EQ(State("b"), api::kRunning);
  EXPECT_EQ(world.Operation("a")->status.attempt, 1);
}

TEST_F(FairCapsTest, OfThoseThatHaveEquallyFewTheEarliestDeadlineIsNext) {
  CapNamespace(1);
  world.AddRequest("r", 1, 1, 600);
  ASSERT_TRUE(Available("r", 1));
  world.AddRequest("b", 1, 1, 600);
  world.Run(seconds(2));
  world.AddRequest("c", 1, 1, 600);
  SetSpec("c", [&](Json& spec) {
    spec["deadline"] = FormatTimeSeconds(world.clock.Now() + std::chrono::hours(1));
  });
  world.Run(seconds(2));
  world.cluster.UserDelete(kube::kComputeRequests, kNs, "r");
  ASSERT_TRUE(Available("c", 1));
  EXPECT_EQ(Pods("b"), 0);
  world.cluster.UserDelete(kube::kComputeRequests, kNs, "c");
  EXPECT_TRUE(Available("b", 1));
}

// One that wanted more than it got is not held up by that: its idle pods go like any other's.
TEST_F(FairCapsTest, IdlePodsOverTheShareGoByTheIdleRuleOnly) {
  CapNamespace(2);
  world.AddRequest("r", 4, 4, 20);
  ASSERT_TRUE(Available("r", 2));
  world.AddRequest("s", 1, 1, 600);
  world.Run(seconds(12));
  EXPECT_EQ(Pods("r"), 2);
  EXPECT_EQ(Pods("s"), 0);
  EXPECT_TRUE(world.RunUntil([&] { return world.InState("s", api::kAvailable) == 1; }));
  EXPECT_EQ(world.Request("r")->status.last_decision.cause, api::kCauseIdle);
  EXPECT_LE(Pods("r"), 1);
}

// What cannot be used by one is no reason to keep another waiting.
TEST_F(FairCapsTest, ARequestThatCannotMakePodsHoldsUpNobody) {
  CapNamespace(2);
  world.AddRequest("s", 2, 2, 600);
  world.cluster.Edit(kube::kComputeRequests, kNs, "s",
                     [](Json& object) { object["spec"]["sourceRef"]["name"] = "nobody"; });
  world.Run(seconds(2));
  world.AddRequest("r", 2, 2, 600);
  EXPECT_TRUE(Available("r", 2));
  EXPECT_EQ(Reason("s", "Accepted"), "UnknownSource");
}

// Both have pods for all writers; the first one has work for ten times as long as it takes.
TEST_F(FairCapsTest, WritersOfARepositoryAreSharedByTheRequestsThatHaveWork) {
  world.cluster.Edit(kube::kBackupRepositories, kNs, "outside",
                     [](Json& object) { object["spec"]["maxWriters"] = 2; });
  world.AddRequest("r", 2, 2, 600);
  world.AddRequest("s", 2, 2, 600);
  ASSERT_TRUE(Available("r", 2));
  ASSERT_TRUE(Available("s", 2));
  world.seconds_of_work = 4;
  for (int i = 0; i < 20; ++i) world.AddOperation("r" + std::to_string(i), "r");
  world.Run(seconds(3));
  ASSERT_EQ(world.InState("r", api::kAssigned), 2) << "alone, it has them all";
  for (int i = 0; i < 4; ++i) world.AddOperation("s" + std::to_string(i), "s");
  ASSERT_TRUE(world.RunUntil([&] { return world.InState("s", api::kAssigned) == 1; }, seconds(6)));
  bool said = false;
  ASSERT_TRUE(world.RunUntil(
      [&] {
        EXPECT_LE(world.InState("r", api::kAssigned) + world.InState("s", api::kAssigned), 2);
        const auto queued = world.Operation("r19");
        const api::Condition* waits = api::FindCondition(queued->status.conditions, "Succeeded");
        said = said || (waits != nullptr && waits->message.find("is shared") != std::string::npos);
        return State("s3") == api::kSucceeded;
      },
      seconds(40)));
  EXPECT_TRUE(said);
  EXPECT_EQ(State("r19"), api::kQueued);
  EXPECT_TRUE(world.RunUntil([&] { return State("r19") == api::kSucceeded; }, seconds(120)));
}

// "s" has been free for as long and has work, but its worker takes none.
TEST_F(FairCapsTest, AWriterIsNotKeptForAPodThatCannotTakeIt) {
  world.cluster.Edit(kube::kBackupRepositories, kNs, "outside",
                     [](Json& object) { object["spec"]["maxWriters"] = 1; });
  world.AddRequest("r", 1, 1, 600);
  world.AddRequest("s", 1, 1, 600);
  ASSERT_TRUE(Available("r", 1));
  ASSERT_TRUE(Available("s", 1));
  FakeWorker* worker = world.WorkerOf(world.Rows("s")[0].metadata.name);
  worker->gate_closed = true;
  worker->connection = 0;  // says so when it dials in again
  world.Run(seconds(8));
  ASSERT_EQ(world.InState("s", api::kAvailable), 1);
  world.seconds_of_work = 2;
  world.AddOperation("s0", "s");
  for (int i = 0; i < 3; ++i) world.AddOperation("r" + std::to_string(i), "r");
  EXPECT_TRUE(world.RunUntil([&] { return State("r2") == api::kSucceeded; }, seconds(30)));
  EXPECT_EQ(State("s0"), api::kQueued);
}

TEST_F(FairCapsTest, AOneWriterRepositoryServesTwoRequestsInTurn) {
  world.cluster.Edit(kube::kBackupRepositories, kNs, "outside",
                     [](Json& object) { object["spec"]["maxWriters"] = 1; });
  world.AddRequest("r", 1, 1, 600);
  world.AddRequest("s", 1, 1, 600);
  ASSERT_TRUE(Available("r", 1));
  ASSERT_TRUE(Available("s", 1));
  world.seconds_of_work = 3;
  for (int i = 0; i < 5; ++i) world.AddOperation("r" + std::to_string(i), "r");
  for (int i = 0; i < 5; ++i) world.AddOperation("s" + std::to_string(i), "s");
  const auto done = [&](const std::string& request) {
    int count = 0;
    for (int i = 0; i < 5; ++i) {
      if (State(request + std::to_string(i)) == api::kSucceeded) ++count;
    }
    return count;
  };
  EXPECT_TRUE(world.RunUntil(
      [&] {
        EXPECT_LE(std::abs(done("r") - done("s")), 1);
        return done("r") + done("s") == 10;
      },
      seconds(120)));
}

// The growth of a request that has work for all writers leaves those to another that waits.
TEST_F(FairCapsTest, GrowthEndsAtTheFairShareOfTheWriters) {
  world.cluster.Edit(kube::kBackupRepositories, kNs, "outside",
                     [](Json& object) { object["spec"]["maxWriters"] = 4; });
  for (const char* request : {"r", "s"}) {
    world.AddRequest(request, 1, 6, 600);
    SetSpec(request, [](Json& spec) { spec["scaling"]["demandPolicy"] = "Follow"; });
  }
  ASSERT_TRUE(Available("r", 1));
  ASSERT_TRUE(Available("s", 1));
  world.seconds_of_work = 60;
  for (const char* request : {"r", "s"}) {
    for (int i = 0; i < 6; ++i) world.AddOperation(request + std::to_string(i), request);
  }
  ASSERT_TRUE(world.RunUntil([&] {
    return world.InState("r", api::kAssigned) == 2 && world.InState("s", api::kAssigned) == 2;
  }));
  for (const char* request : {"r", "s"}) {
    EXPECT_EQ(world.Request(request)->status.desired_pods, 2);
    EXPECT_EQ(Reason(request, "ScalingLimited"), "RepositoryCap");
  }
}

TEST_F(FairCapsTest, WritersOfOneRepositoryAreNoWritersOfAnother) {
  world.AddRequest("r", 3, 3, 600);
  AddRepository("b", 1, 2, 2);
  ASSERT_TRUE(Available("r", 3));
  ASSERT_TRUE(Available("b", 2));
  world.seconds_of_work = 200;
  for (const char* name : {"r0", "r1", "r2"}) world.AddOperation(name, "r");
  ASSERT_TRUE(world.RunUntil([&] { return world.InState("r", api::kAssigned) == 3; }));
  world.AddOperation("b0", "b");
  ASSERT_TRUE(world.RunUntil([&] { return State("b0") == api::kRunning; }, seconds(5)));
  world.AddOperation("b1", "b");
  world.Run(seconds(20));
  const auto queued = world.Operation("b1");
  EXPECT_EQ(queued->status.state, api::kQueued);
  EXPECT_EQ(api::FindCondition(queued->status.conditions, "Succeeded")->message,
            "repository b: its maxWriters of 1 is reached");
}

TEST_F(FairCapsTest, GrowthIsLimitedByTheWritersOfTheOwnRepositoryOnly) {
  world.AddRequest("r", 3, 3, 600);
  AddRepository("b", 2, 1, 6);
  SetSpec("b", [](Json& spec) { spec["scaling"]["demandPolicy"] = "Follow"; });
  ASSERT_TRUE(Available("r", 3));
  ASSERT_TRUE(Available("b", 1));
  world.seconds_of_work = 200;
  for (const char* name : {"r0", "r1", "r2"}) world.AddOperation(name, "r");
  ASSERT_TRUE(world.RunUntil([&] { return world.InState("r", api::kAssigned) == 3; }));
  for (const char* name : {"b0", "b1", "b2", "b3"}) world.AddOperation(name, "b");
  EXPECT_TRUE(world.RunUntil([&] { return world.InState("b", api::kAssigned) == 2; }));
  world.Run(seconds(20));
  EXPECT_EQ(world.Request("b")->status.desired_pods, 2);
  EXPECT_EQ(Reason("b", "ScalingLimited"), "RepositoryCap");
}

}  // namespace
}  // namespace longshore::controller
