// SPDX-License-Identifier: Apache-2.0
//
// F20: what the kernel kills for memory gets more of it, up to spec.maxMemory of its policy.
#include "controller/memory_need.h"

#include "controller/pod_facts.h"
#include "controller/pod_reconciler.h"
#include "tests/controller/scenario.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::seconds;
using ::testing::Each;
using ::testing::HasSubstr;

// ---- what a policy becomes ---------------------------------------------------------------------

struct Raised {
  MemoryAllowance allowance;
  api::PodPolicySpec policy;
};

Raised Raise(const std::string& limit, const std::string& request, const std::string& most,
             const std::string& too_little) {
  Raised raised;
  raised.policy.max_memory = most;
  api::SourceImageSpec image;
  if (!limit.empty()) image.resources.limits["memory"] = limit;
  if (!request.empty()) image.resources.requests["memory"] = request;
  std::optional<api::OutOfMemory> known;
  if (!too_little.empty()) known = api::OutOfMemory{"pod", too_little, ""};
  raised.allowance = RaiseMemory(raised.policy, image, known);
  return raised;
}

TEST(MemoryNeedTest, TwiceWhatWasTooLittleAndNoMoreThanThePolicyAllows) {
  const Raised twice = Raise("256Mi", "64Mi", "1Gi", "256Mi");
  EXPECT_EQ(twice.policy.resources.limits.at("memory"), "512Mi");
  EXPECT_EQ(twice.policy.resources.requests.at("memory"), "128Mi") << "in proportion";
  EXPECT_TRUE(twice.allowance.raised());
  const Raised capped = Raise("256Mi", "256Mi", "0.6Gi", "512Mi");
  EXPECT_EQ(capped.policy.resources.limits.at("memory"), "0.6Gi") << "not a byte more";
  EXPECT_EQ(capped.policy.resources.requests.at("memory"), "0.6Gi");
  const Raised odd = Raise("100M", "99.9M", "190.5Mi", "95.1Mi");
  EXPECT_EQ(odd.policy.resources.limits.at("memory"), "190.5Mi") << "191Mi are more";
}

TEST(MemoryNeedTest, APolicyStaysAsItIsWhereNothingIsToBeRaised) {
  for (const Raised& same :
       {Raise("256Mi", "64Mi", "1Gi", ""), Raise("256Mi", "64Mi", "", "256Mi"),
        Raise("256Mi", "64Mi", "128Mi", "256Mi"), Raise("1Gi", "64Mi", "4Gi", "256Mi"),
        Raise("", "64Mi", "1Gi", "256Mi"), Raise("256Mi", "64Mi", "1Gi", "much"),
        Raise("256Mi", "64Mi", "plenty", "256Mi")}) {
    EXPECT_TRUE(same.policy.resources.limits.empty());
    EXPECT_TRUE(same.policy.resources.requests.empty());
    EXPECT_FALSE(same.allowance.raised());
  }
}

// ---- in a cluster ------------------------------------------------------------------------------

class MemoryTest : public Scenario {
 protected:
  void SetUp() override { world.AddBasics(); }
  void SetPolicy(const std::string& limit, const std::string& most) {
    SetPolicyOf(world, limit, most);
  }
  static void SetPolicyOf(World& one, const std::string& limit, const std::string& most) {
    one.cluster.Edit(kube::kPodPolicies, kNs, "standard", [&](Json& object) {
      object["spec"]["resources"] = {{"limits", {{"memory", limit}}}};
      object["spec"]["maxMemory"] = most;
    });
  }
  // Request "r" of so many pods, with operation "op" that runs for so long.
  void Work(const std::string& limit, const std::string& most, int pods, int max, int seconds) {
    SetPolicy(limit, most);
    world.AddRequest("r", pods, max, 100'000);
    Start(seconds);
  }
  // The same; its pod is killed, it succeeds with more memory, and the request is deleted.
  void LearnInAnEarlierRequest() {
    Work("48Mi", "128Mi", 1, 1, 5);
    world.KillForMemory(*world.WorkerOf(PodOf("op")));
    ASSERT_TRUE(Reaches("op", api::kSucceeded));
    world.cluster.UserDelete(kube::kComputeRequests, kNs, "r");
    ASSERT_TRUE(world.RunUntil([&] { return !world.Request("r"); }));
  }
  // Of the Pods that are there.
  std::vector<std::string> Limits() const {
    std::vector<std::string> limits;
    for (const kube::ObjectPtr& pod : world.cluster.Objects(kube::kPods)) {
      limits.emplace_back(kube::StringAt(*pod, "/spec/containers/0/resources/limits/memory"));
    }
    return limits;
  }
  std::string LimitOf(const std::string& pod) const {
    const auto object = world.cluster.Object(kube::kPods, kNs, pod);
    return object == nullptr
               ? ""
               : std::string(kube::StringAt(*object, "/spec/containers/0/resources/limits/memory"));
  }
  std::string OutOfMemory() {
    const api::Condition* condition = world.Condition("r", kOutOfMemory);
    return condition == nullptr ? "" : condition->status + " " + condition->reason;
  }
  bool RunsAgain(int attempt) {
    return world.RunUntil(
        [&] { return State("op") == api::kRunning && AttemptOf("op") == attempt; });
  }
};

TEST_F(MemoryTest, AKilledContainerIsReplacedByAPodWithTwiceTheMemory) {
  Work("48Mi", "128Mi", 1, 1, 20);
  const std::string first = PodOf("op");
  world.KillForMemory(*world.WorkerOf(first));
  ASSERT_TRUE(RunsAgain(2));
  EXPECT_NE(PodOf("op"), first);
  EXPECT_EQ(LimitOf(PodOf("op")), "96Mi");
  EXPECT_EQ(OutOfMemory(), "False MemoryRaised");
  EXPECT_THAT(world.Condition("r", kOutOfMemory)->message,
              HasSubstr("pods are made with 96Mi now, of 128Mi that spec.maxMemory of PodPolicy "
                        "standard allows"));
  EXPECT_THAT(world.cluster.events(), testing::Contains("MemoryRaised"));
  EXPECT_EQ(world.LivePods(), 1) << "more memory, not more pods";
  const auto rows = world.Rows("r");
  EXPECT_TRUE(std::ranges::any_of(rows, [&](const api::BackupPod& row) {
    return row.metadata.name == first && row.status.reason == kReasonMemoryRaised;
  }));
}

// Where only a tool was killed, the worker says so.
TEST_F(MemoryTest, AKilledToolIsAsGoodAsAKilledContainer) {
  Work("48Mi", "1Gi", 1, 1, 20);
  world.KillToolForMemory(*world.WorkerOf(PodOf("op")));
  ASSERT_TRUE(RunsAgain(2));
  EXPECT_EQ(LimitOf(PodOf("op")), "96Mi");
  world.KillToolForMemory(*world.WorkerOf(PodOf("op")));
  ASSERT_TRUE(RunsAgain(3));
  EXPECT_EQ(LimitOf(PodOf("op")), "192Mi");
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
}

TEST_F(MemoryTest, AtItsMostItIsSaidWhatToRaiseAndRaisingItHelps) {
  Work("48Mi", "64Mi", 1, 1, 20);
  world.KillForMemory(*world.WorkerOf(PodOf("op")));
  ASSERT_TRUE(RunsAgain(2));
  EXPECT_EQ(LimitOf(PodOf("op")), "64Mi");
  world.KillForMemory(*world.WorkerOf(PodOf("op")));
  ASSERT_TRUE(world.RunUntil([&] { return OutOfMemory() == "True MaxMemoryReached"; }));
  EXPECT_THAT(world.Condition("r", kOutOfMemory)->message,
              HasSubstr("raise spec.maxMemory of PodPolicy standard, which is 64Mi"));
  SetPolicy("48Mi", "1Gi");
  ASSERT_TRUE(world.RunUntil([&] { return OutOfMemory() == "False MemoryRaised"; }));
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_TRUE(Available(1));
  EXPECT_THAT(Limits(), Each("128Mi"));
}

TEST_F(MemoryTest, WithoutMaxMemoryNothingIsRaisedButSaid) {
  Work("48Mi", "", 1, 1, 20);
  const std::string first = PodOf("op");
  world.KillForMemory(*world.WorkerOf(first));
  ASSERT_TRUE(RunsAgain(2));
  EXPECT_EQ(PodOf("op"), first);
  EXPECT_EQ(OutOfMemory(), "True NoMaxMemory");
  EXPECT_THAT(world.Condition("r", kOutOfMemory)->message, HasSubstr("or set its spec.maxMemory"));
  SetPolicy("256Mi", "");
  ASSERT_TRUE(world.RunUntil([&] { return OutOfMemory() == "False MemoryRaised"; }));
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_TRUE(world.RunUntil([&] { return LimitOf(first).empty(); })) << "as its policy changed";
}

// Of a crew, who is free goes at once and who works when he is free; what waits is not given to
// those that have too little.
TEST_F(MemoryTest, WhoWorksMayFinish) {
  Work("48Mi", "128Mi", 3, 3, 30);
  world.AddOperation("other", "r");
  ASSERT_TRUE(Reaches("other", api::kRunning));
  const std::string busy = PodOf("other");
  world.KillForMemory(*world.WorkerOf(PodOf("op")));
  ASSERT_TRUE(RunsAgain(2));
  EXPECT_EQ(LimitOf(PodOf("op")), "96Mi");
  EXPECT_EQ(State("other"), api::kRunning);
  EXPECT_EQ(AttemptOf("other"), 1);
  EXPECT_EQ(LimitOf(busy), "48Mi");
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_EQ(AttemptOf("other"), 1);
  EXPECT_TRUE(Available(3));
  EXPECT_THAT(Limits(), Each("96Mi"));
}

TEST_F(MemoryTest, ANewLeaderKnowsWhatWasTooLittle) {
  Work("48Mi", "128Mi", 1, 2, 5);
  world.KillForMemory(*world.WorkerOf(PodOf("op")));
  ASSERT_TRUE(Reaches("op", api::kSucceeded));
  world.Restart();
  ASSERT_TRUE(Available(1));
  EXPECT_THAT(Limits(), Each("96Mi"));
  world.cluster.Edit(kube::kComputeRequests, kNs, "r",
                     [](Json& object) { object["spec"]["pods"]["initial"] = 2; });
  ASSERT_TRUE(Available(2));
  EXPECT_THAT(Limits(), Each("96Mi"));
  EXPECT_EQ(world.Request("r")->status.out_of_memory->memory_limit, "48Mi");
}

// What one night has learnt the next need not.
TEST_F(MemoryTest, ALaterRequestForTheSourceBeginsWithAsMuch) {
  LearnInAnEarlierRequest();
  world.AddRequest("r", 1, 1, 100'000);
  ASSERT_TRUE(Available(1));
  EXPECT_THAT(Limits(), Each("96Mi"));
  EXPECT_EQ(OutOfMemory(), "False MemoryRaised");
  world.cluster.Put(kube::kComputeRequests,
                    {{"metadata", {{"name", "v"}, {"namespace", kNs}}},
                     {"spec",
                      {{"sourceRef", {{"name", "orders"}}},
                       {"purpose", "Verify"},
                       {"policyRef", {{"name", "standard"}}},
                       {"pods", {{"min", 0}, {"initial", 1}, {"max", 1}}}}}});
  ASSERT_TRUE(world.RunUntil([&] { return world.InState("v", api::kAvailable) == 1; }));
  EXPECT_THAT(Limits(), testing::Contains("48Mi")) << "another purpose needs something else";
}

TEST_F(MemoryTest, WhereAPolicyAllowsNoMoreNothingIsInherited) {
  LearnInAnEarlierRequest();
  SetPolicy("48Mi", "");
  world.AddRequest("r", 1, 1, 100'000);
  ASSERT_TRUE(Available(1));
  EXPECT_FALSE(world.Request("r")->status.out_of_memory);
  EXPECT_EQ(OutOfMemory(), "");
}

// The pod is given to other work at once, and what was killed there is still known.
TEST_F(MemoryTest, AKillIsNotForgottenWhileOtherWorkWaits) {
  Work("48Mi", "1Gi", 1, 1, 20);
  const std::string first = PodOf("op");
  for (const char* other : {"a", "b", "c"}) world.AddOperation(other, "r");
  world.Run(seconds(1));
  world.KillToolForMemory(*world.WorkerOf(first));
  ASSERT_TRUE(world.RunUntil([&] { return OutOfMemory() == "False MemoryRaised"; }, seconds(5)));
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_NE(PodOf("op"), first);
  EXPECT_EQ(AttemptOf("op"), 2);
  for (const char* other : {"a", "b", "c"}) EXPECT_TRUE(Reaches(other, api::kSucceeded));
}

// The controller was replaced, and the CRDs were not: what is not kept is not tried again.
TEST_F(MemoryTest, WhereTheClusterDoesNotKeepItTheRequestGoesOn) {
  world.cluster.unknown_status = {"outOfMemory"};
  Work("48Mi", "1Gi", 1, 1, 20);
  const std::string first = PodOf("op");
  world.KillForMemory(*world.WorkerOf(first));
  ASSERT_TRUE(RunsAgain(2));
  EXPECT_EQ(PodOf("op"), first);
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_EQ(OutOfMemory(), "");
}

// One pod is risked for it, no more.
TEST_F(MemoryTest, ACrewGoesOnWhereNoNodeHasRoomForMore) {
  Work("48Mi", "1Gi", 3, 3, 20);
  world.KillToolForMemory(*world.WorkerOf(PodOf("op")));
  world.kubelets_work = false;  // no new pod starts
  world.Run(seconds(4));
  for (const char* other : {"a", "b"}) world.AddOperation(other, "r");
  EXPECT_TRUE(Reaches("a", api::kSucceeded));
  EXPECT_TRUE(Reaches("b", api::kSucceeded));
  world.Run(seconds(60));
  EXPECT_EQ(world.InState("r", api::kAvailable), 2);
  world.kubelets_work = true;
  ASSERT_TRUE(Available(3));
  EXPECT_TRUE(world.RunUntil([&] {
    const auto limits = Limits();
    return limits.size() == 3 && std::ranges::count(limits, "96Mi") == 3;
  }));
}

// A cap that has been lowered meanwhile takes nothing from those that were not killed.
TEST_F(MemoryTest, UnderACapOnlyThePodThatWasKilledGoes) {
  Work("48Mi", "1Gi", 3, 3, 20);
  world.cluster.Edit(kube::kPodPolicies, kNs, "standard",
                     [](Json& object) { object["spec"]["maxPodsPerNamespace"] = 2; });
  world.KillToolForMemory(*world.WorkerOf(PodOf("op")));
  world.Run(seconds(4));
  world.kubelets_work = false;
  for (const char* other : {"a", "b"}) world.AddOperation(other, "r");
  EXPECT_TRUE(Reaches("a", api::kSucceeded));
  EXPECT_TRUE(Reaches("b", api::kSucceeded));
  world.Run(seconds(60));
  EXPECT_EQ(world.InState("r", api::kAvailable), 2);
}

// The remedy that is named first, while there is always work.
TEST_F(MemoryTest, ALimitThatIsRaisedByHandHelpsWhileWorkWaits) {
  Work("48Mi", "", 1, 1, 20);
  for (int i = 0; i < 20; ++i) world.AddOperation("w" + std::to_string(i), "r");
  const std::string first = PodOf("op");
  world.KillToolForMemory(*world.WorkerOf(first));
  ASSERT_TRUE(world.RunUntil([&] { return OutOfMemory() == "True NoMaxMemory"; }));
  SetPolicy("256Mi", "");
  EXPECT_TRUE(world.RunUntil([&] { return LimitOf(first).empty(); }));
  EXPECT_TRUE(Reaches("op", api::kSucceeded, seconds(600)));
  EXPECT_THAT(Limits(), Each("256Mi"));
}

// Whatever of the writes that follow a kill is the last one.
TEST_F(MemoryTest, AKillIsKnownThoughTheControllerDiesAtAnyWrite) {
  using Fate = FakeCluster::Fate;
  for (const Fate fate : {Fate::kLost, Fate::kApplied}) {
    for (int write = 1; write <= 6; ++write) {
      SCOPED_TRACE(write);
      World one;
      one.AddBasics();
      SetPolicyOf(one, "48Mi", "1Gi");
      one.AddRequest("r", 1, 1, 100'000);
      one.seconds_of_work = 20;
      one.AddOperation("op", "r");
      ASSERT_TRUE(one.RunUntil([&] { return one.Operation("op")->status.state == api::kRunning; }));
      one.cluster.CrashAtWrite(write, fate);
      one.KillToolForMemory(*one.WorkerOf(one.Operation("op")->status.pod));
      one.RunUntil([&] { return one.cluster.crashed(); }, seconds(10));
      one.Restart();
      EXPECT_TRUE(one.RunUntil([&] { return one.Operation("op")->status.state == api::kSucceeded; },
                               seconds(200)));
      EXPECT_TRUE(one.Request("r")->status.out_of_memory.has_value());
      EXPECT_EQ(one.Operation("op")->status.attempt, 2);
      ExpectSound(one);
    }
  }
}

TEST_F(MemoryTest, APodThatWorkWaitsForByNameStays) {
  SetPolicy("48Mi", "1Gi");
  world.AddRequest("r", 2, 2, 100'000);
  ASSERT_TRUE(Available(2));
  const std::string pod = world.PodNames()[0];
  world.seconds_of_work = 20;
  world.AddOperation("op", "r");
  world.cluster.Edit(kube::kOperations, kNs, "op",
                     [&](Json& object) { object["spec"]["podRef"]["name"] = pod; });
  ASSERT_TRUE(Reaches("op", api::kRunning));
  ASSERT_EQ(PodOf("op"), pod);
  world.KillToolForMemory(*world.WorkerOf(pod));
  ASSERT_TRUE(RunsAgain(2));
  EXPECT_EQ(PodOf("op"), pod);
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_TRUE(world.RunUntil([&] { return LimitOf(pod).empty(); }));
}

// A manager may be quick to delete its request when it is told of the failure.
TEST_F(MemoryTest, WhatWasKilledLastIsLearntThoughItsRequestIsDeleted) {
  SetPolicy("48Mi", "1Gi");
  world.AddRequest("r", 1, 1, 100'000);
  world.seconds_of_work = 20;
  world.AddOperation("op", "r");
  world.cluster.Edit(kube::kOperations, kNs, "op",
                     [&](Json& object) { object["spec"]["maxAttempts"] = 1; });
  ASSERT_TRUE(Reaches("op", api::kRunning));
  world.cluster.UserDelete(kube::kComputeRequests, kNs, "r");
  world.Run(seconds(1));
  world.KillToolForMemory(*world.WorkerOf(PodOf("op")));
  ASSERT_TRUE(world.RunUntil([&] { return !world.Request("r"); }));
  EXPECT_EQ(State("op"), api::kOperationFailed);
  world.AddRequest("r", 1, 1, 100'000);
  ASSERT_TRUE(Available(1));
  EXPECT_THAT(Limits(), Each("96Mi"));
}

// As of a LimitRange: nobody of ours has set a limit that could be raised.
TEST_F(MemoryTest, ALimitThatSomebodyElseSetsIsNotRaised) {
  world.AddRequest("r", 1, 1, 100'000);
  Start(20);
  world.cluster.Edit(kube::kPods, kNs, PodOf("op"), [](Json& object) {
    object["spec"]["containers"][0]["resources"]["limits"]["memory"] = "50Mi";
  });
  world.KillForMemory(*world.WorkerOf(PodOf("op")));
  ASSERT_TRUE(RunsAgain(2));
  EXPECT_EQ(OutOfMemory(), "True NoMemoryLimit");
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
}

// As an admission webhook may: replacing its pods for ever would help nobody.
TEST_F(MemoryTest, WhoseLimitSomebodyElseLowersIsReplacedOnceOnly) {
  Work("48Mi", "1Gi", 2, 2, 20);
  world.KillForMemory(*world.WorkerOf(PodOf("op")));
  ASSERT_TRUE(RunsAgain(2));
  const std::string lowered = PodOf("op");
  ASSERT_TRUE(Reaches("op", api::kSucceeded));
  ASSERT_TRUE(Available(2));
  ASSERT_THAT(Limits(), Each("96Mi"));
  world.cluster.Edit(kube::kPods, kNs, lowered, [](Json& object) {
    object["spec"]["containers"][0]["resources"]["limits"]["memory"] = "40Mi";
  });
  world.Run(seconds(30));
  ASSERT_TRUE(Available(2));
  EXPECT_EQ(LimitOf(lowered), "40Mi");
}

// Nothing runs in it for long enough to be told apart from work: it is replaced all the same.
TEST_F(MemoryTest, AWorkerThatCannotEvenStartGetsMoreToo) {
  SetPolicy("8Mi", "64Mi");
  world.AddRequest("r", 1, 1, 100'000);
  ASSERT_TRUE(Available(1));
  const std::string first = world.PodNames()[0];
  world.KillForMemory(*world.WorkerOf(first));
  ASSERT_TRUE(world.RunUntil([&] { return LimitOf(first).empty(); }, seconds(20)));
  ASSERT_TRUE(Available(1));
  EXPECT_THAT(Limits(), Each("16Mi"));
}

}  // namespace
}  // namespace longshore::controller
