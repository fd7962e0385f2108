// SPDX-License-Identifier: Apache-2.0
//
// docs/failure-scenarios.md: what goes wrong between controller, API server and user.
#include <random>

#include "controller/busy_budget.h"
#include "tests/controller/scenario.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::minutes;
using std::chrono::seconds;

TEST_F(Scenario, F2_APostThatTimedOutButWasAppliedMakesOnePod) {
  world.AddBasics();
  world.max_pods = 1;
  // Row, its status, then the Pod: each is applied and its reply lost, one after the other.
  for (int write = 1; write <= 6; ++write) {
    const std::string name = "r" + std::to_string(write);
    world.AddRequest(name, 1, 1, 100'000);
    world.cluster.CrashAtWrite(write, FakeCluster::Fate::kApplied);
    world.Run(seconds(2));
    if (world.cluster.crashed()) world.Restart();
    ASSERT_TRUE(world.RunUntil([&] { return world.InState(name, api::kAvailable) == 1; }));
    EXPECT_EQ(world.Rows(name).size(), 1u);
    world.cluster.UserDelete(kube::kComputeRequests, kNs, name);
    ASSERT_TRUE(world.RunUntil([&] { return world.LivePods() == 0; }));
  }
}

TEST_F(Scenario, F2_AStatusWhoseReplyWasLostIsAnnouncedAllTheSame) {
  Begin(1, 1);
  world.cluster.LoseReplies(
      [](const kube::Resource&, const std::string& verb) { return verb == "update"; });
  world.AddOperation("op", "r");
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_TRUE(Available(1));
  EXPECT_EQ(world.Announced("OperationStarted").size(), 1u);
  EXPECT_EQ(world.Announced("OperationFinished").size(), 1u);
  EXPECT_EQ(world.Announced("PodsAvailable").size(), 2u);
}

// Or the budget, which is lowered then, would let a busy pod go in its place.
TEST_F(Scenario, F2_ALabelWhoseReplyWasLostIsTakenAway) {
  Begin(2, 2);
  world.cluster.SlowWatch(kube::kPods, seconds(30));
  world.cluster.LoseReplies([](const kube::Resource& resource, const std::string& verb) {
    return resource.plural == kube::kPods.plural && verb == "patch";
  });
  world.AddOperation("op", "r");
  ASSERT_TRUE(Reaches("op", api::kRunning));
  world.cluster.LoseReplies({});
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  world.Run(seconds(10));
  for (const kube::ObjectPtr& pod : world.cluster.Objects(kube::kPods)) {
    EXPECT_EQ(kube::LabelOf(*pod, kLabelBusy), "");
  }
}

TEST_F(Scenario, F3_StaleCachesMakeNoPodTwiceAndGiveNoPodTwice) {
  Begin(2, 4);
  world.cluster.Lag(true);
  world.cluster.Remove(kube::kPods, kNs, world.PodNames()[0]);  // not seen
  for (const char* name : {"a", "b"}) world.AddOperation(name, "r");
  world.Run(minutes(6));
  world.cluster.Lag(false);
  EXPECT_TRUE(Reaches("a", api::kSucceeded));
  EXPECT_TRUE(Reaches("b", api::kSucceeded));
  EXPECT_TRUE(Available(2));
  EXPECT_EQ(world.LivePods(), 2);
}

TEST_F(Scenario, F4_WhatAWatchMissedTheNextListTells) {
  Begin(2, 4);
  world.Run(seconds(12));                                       // past the grace of a new leader
  world.cluster.SlowWatch(kube::kPods, std::chrono::hours(1));  // silent, and nobody notices
  const std::string gone = world.PodNames()[0];
  world.cluster.Remove(kube::kPods, kNs, gone);
  world.Run(seconds(10));
  EXPECT_EQ(world.InState("r", api::kAvailable), 1) << "its stream has ended, which is enough";
  EXPECT_EQ(world.InState("r", api::kLost), 0);
  world.cluster.SlowWatch(kube::kPods, std::chrono::milliseconds(0));
  world.cluster.Relist(kube::kPods);
  EXPECT_TRUE(Available(2));
  EXPECT_EQ(world.InState("r", api::kLost), 1);
  // A watch that begins again at an older version tells what is known.
  const auto heard = world.Announced("PodsAvailable").size();
  for (const auto* resource : {&kube::kPods, &kube::kBackupPods, &kube::kComputeRequests}) {
    world.cluster.Repeat(*resource);
    world.cluster.Relist(*resource);
    world.Run(seconds(2));
  }
  EXPECT_EQ(world.Announced("PodsAvailable").size(), heard);
  EXPECT_EQ(world.LivePods(), 2);
  EXPECT_EQ(world.cluster.created_pods().size(), 3u);
}

TEST_F(Scenario, F5_AReadThatFailsSaysNothingOfWhatIsThere) {
  Begin(2, 4);
  Start(200);
  const std::string busy = PodOf("op");
  world.cluster.RefuseReads([](const kube::Resource&) { return Unavailable("etcd is away"); });
  for (const std::string& pod : world.PodNames()) world.cluster.Remove(kube::kPods, kNs, pod);
  world.AddOperation("waits", "r");
  world.Run(minutes(1));
  EXPECT_EQ(world.InState("r", api::kLost), 0) << "nobody has said that they are gone";
  EXPECT_EQ(AttemptOf("op"), 1);
  EXPECT_EQ(world.cluster.created_pods().size(), 2u);
  world.cluster.RefuseReads({});
  world.seconds_of_work = 3;
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_TRUE(Reaches("waits", api::kSucceeded));
  EXPECT_EQ(AttemptOf("op"), 2);
  EXPECT_NE(PodOf("op"), busy);
}

TEST_F(Scenario, F7_StepsOfTheWallClockEndNothing) {
  Begin(1, 1);
  Start(60);
  world.clock.StepWall(std::chrono::hours(1));
  world.Run(seconds(10));
  world.clock.StepWall(-std::chrono::hours(2));
  world.Run(seconds(10));
  EXPECT_EQ(State("op"), api::kRunning);
  EXPECT_EQ(world.InState("r", api::kAssigned), 1);
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_EQ(AttemptOf("op"), 1);
}

// What waits for a time that the clock had before it was set back does not wait for that time.
TEST_F(Scenario, F7_AClockThatWasSetBackKeepsNothingWaiting) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 15);
  ASSERT_TRUE(Available(1));
  world.next_result.set_succeeded(false);
  world.next_result.set_retryable(true);
  world.next_result.set_error_class("Unreachable");
  world.AddOperation("op", "r");
  ASSERT_TRUE(world.RunUntil([&] { return State("op") == api::kQueued && AttemptOf("op") == 1; }));
  world.next_result.Clear();
  world.next_result.set_succeeded(true);
  world.clock.StepWall(-std::chrono::hours(3));
  EXPECT_TRUE(Reaches("op", api::kSucceeded, seconds(30)));
  world.clock.StepWall(-std::chrono::hours(3));
  EXPECT_TRUE(world.RunUntil([&] { return world.LivePods() == 0; }, seconds(60))) << "it idles";
}

TEST_F(Scenario, F8_AThrottledServerDelaysButLosesNothing) {
  world.AddBasics();
  std::mt19937_64 random(1);
  world.cluster.RefuseWrites(
      [&](const kube::Resource&, const std::string&) -> std::optional<Error> {
        if (random() % 3 == 0) return std::nullopt;  // two of three are refused
        Error error{Code::kUnavailable, "too many requests"};
        error.retry_after = std::chrono::milliseconds(1000);
        return error;
      });
  world.AddRequest("r", 2, 2, 100'000);
  world.AddOperation("op", "r");
  EXPECT_TRUE(Reaches("op", api::kSucceeded, minutes(10)));
  EXPECT_TRUE(Available(2));
  EXPECT_EQ(world.cluster.created_pods().size(), 2u);
}

TEST_F(Scenario, F9_AnotherWriterInALoopIsOutwaited) {
  Begin(1, 1);
  const auto touch = [&](const kube::Resource& resource, const std::string& name) {
    world.cluster.Edit(resource, kNs, name,
                       [](Json& object) { object["metadata"]["annotations"]["touched"] = "yes"; });
  };
  world.AddOperation("op", "r");
  const std::string row = world.Rows("r")[0].metadata.name;
  for (int i = 0; i < 40; ++i) {
    touch(kube::kBackupPods, row);
    touch(kube::kOperations, "op");
    touch(kube::kComputeRequests, "r");
    world.Run(std::chrono::milliseconds(250));
  }
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_EQ(AttemptOf("op"), 1);
}

TEST_F(Scenario, F10_WhatWasDeletedWhileNobodyLedIsReleasedByTheNext) {
  Begin(2, 2);
  Start(20);
  world.cluster.CrashAtWrite(1, FakeCluster::Fate::kLost);
  world.cluster.Edit(kube::kComputeRequests, kNs, "r",
                     [](Json& object) { object["spec"]["pods"]["max"] = 3; });
  ASSERT_TRUE(world.RunUntil([&] { return world.cluster.crashed(); }));
  world.cluster.UserDelete(kube::kComputeRequests, kNs, "r");
  world.Run(seconds(5));
  EXPECT_TRUE(world.Request("r")) << "its finalizer waits for a controller";
  world.Restart();
  EXPECT_TRUE(world.RunUntil([&] { return !world.Request("r"); }));
  EXPECT_EQ(State("op"), api::kSucceeded) << "a busy pod finishes first";
  EXPECT_EQ(world.LivePods(), 0);
}

// All there is goes at once, secrets and work too, and nothing new may be made.
TEST_F(Scenario, F10_ADeletedNamespaceLeavesNothing) {
  for (int quarter = 0; quarter < 24; ++quarter) {
    SCOPED_TRACE(quarter);
    World one;
    one.AddBasics();
    one.AddRequest("r", 2, 2, 100'000);
    one.AddOperation("op", "r");
    one.Run(std::chrono::milliseconds(250) * quarter);
    one.cluster.RefuseWrites([](const kube::Resource&, const std::string& verb) {
      return verb == "create" ? std::optional(Error{Code::kPermissionDenied, "it is terminating"})
                              : std::nullopt;
    });
    DeleteAll(one, {&kube::kSecrets, &kube::kConfigMaps, &kube::kPodDisruptionBudgets,
                    &kube::kPodPolicies, &kube::kBackupRepositories, &kube::kBackupSources,
                    &kube::kOperations, &kube::kBackupPods, &kube::kComputeRequests, &kube::kPods});
    EXPECT_TRUE(one.RunUntil(
        [&] {
          return one.LivePods() == 0 && one.cluster.Objects(kube::kBackupPods).empty() &&
                 one.cluster.Objects(kube::kComputeRequests).empty();
        },
        seconds(120)))
        << one.LivePods() << " pods, " << one.cluster.Objects(kube::kBackupPods).size() << " rows, "
        << one.cluster.Objects(kube::kComputeRequests).size() << " requests";
    ExpectSound(one);
  }
}

// As the garbage collector does it: rows and Pods are deleted with their request, which waits for
// them. SIGTERM leaves work its time; what is cut off says by whom.
TEST_F(Scenario, F11_ARequestDeletedInTheForegroundLeavesNothing) {
  for (const bool cut_off : {false, true}) {
    SCOPED_TRACE(cut_off);
    World one;
    one.AddBasics();
    one.AddRequest("r", 2, 2, 100'000);
    one.seconds_of_work = 20;
    one.AddOperation("op", "r");
    const auto state = [&] { return one.Operation("op")->status.state; };
    ASSERT_TRUE(one.RunUntil([&] { return state() == api::kRunning; }));
    const std::string pod = one.Operation("op")->status.pod;
    DeleteAll(one, {&kube::kComputeRequests, &kube::kBackupPods, &kube::kPods});
    one.Run(seconds(5));
    EXPECT_EQ(state(), api::kRunning);
    EXPECT_TRUE(one.Request("r")) << "it waits for the work";
    if (cut_off) one.cluster.Remove(kube::kPods, kNs, pod);  // its time to finish is over
    ASSERT_TRUE(one.RunUntil([&] { return !one.Request("r") && one.LivePods() == 0; }));
    EXPECT_TRUE(one.cluster.Objects(kube::kBackupPods).empty());
    EXPECT_EQ(state(), cut_off ? api::kCancelled : api::kSucceeded);
    EXPECT_EQ(one.Operation("op")->status.attempt, 1);
    ExpectSound(one);
  }
}

TEST_F(Scenario, F11_ARequestDeletedAtAnyMomentLeavesNothing) {
  world.AddBasics();
  for (int quarter = 0; quarter < 24; ++quarter) {
    SCOPED_TRACE(quarter);
    world.AddRequest("r", 2, 2, 100'000);
    const std::string uid = world.Request("r")->metadata.uid;
    world.Run(std::chrono::milliseconds(250) * quarter);
    world.cluster.UserDelete(kube::kComputeRequests, kNs, "r");
    ASSERT_TRUE(world.RunUntil([&] { return !world.Request("r") && world.LivePods() == 0; }));
    // One of the same name is another one: it adopts none of the old rows.
    world.AddRequest("r", 1, 1, 100'000);
    ASSERT_NE(world.Request("r")->metadata.uid, uid);
    ASSERT_TRUE(Available(1));
    world.cluster.UserDelete(kube::kComputeRequests, kNs, "r");
    ASSERT_TRUE(world.RunUntil([&] { return !world.Request("r") && world.LivePods() == 0; }));
  }
}

TEST_F(Scenario, F18_AQuotaGivesWhatItAllowsAndTheRestWhenItIsRaised) {
  world.AddBasics();
  int allowed = 2;
  world.cluster.RefuseWrites(
      [&](const kube::Resource& resource, const std::string& verb) -> std::optional<Error> {
        if (resource.plural != kube::kPods.plural || verb != "create") return std::nullopt;
        if (world.LivePods() < allowed) return std::nullopt;
        return Error{Code::kResourceExhausted, "exceeded quota: pods=2"};
      });
  world.AddRequest("r", 4, 4, 100'000);
  ASSERT_TRUE(Available(2));
  world.Run(seconds(40));
  EXPECT_EQ(world.Condition("r", "PodsProvisioned")->reason, "QuotaExceeded");
  EXPECT_EQ(world.Condition("r", "Available")->status, "True");
  EXPECT_EQ(world.LivePods(), 2);
  allowed = 4;
  EXPECT_TRUE(Available(4));
}

// All memory is lost at a random moment: the answers afterwards are those of before.
TEST_F(Scenario, F21_ANewControllerTellsTheSameAsTheOneBeforeIt) {
  Begin(3, 3);
  Start(100);
  const auto answers = [&] {
    std::set<std::string> all;
    for (const api::BackupPod& row : world.Rows("r")) {
      all.insert(row.metadata.name + " " + row.status.state + " " +
                 (row.status.lease ? row.status.lease->operation : ""));
    }
    return all;
  };
  const auto before = answers();
  for (int i = 0; i < 10; ++i) {
    world.Restart();
    world.Run(std::chrono::milliseconds(700) * i);
    EXPECT_EQ(answers(), before);
  }
  EXPECT_EQ(world.cluster.created_pods().size(), 3u);
  EXPECT_EQ(AttemptOf("op"), 1);
}

TEST_F(Scenario, F23_ManyRequestsAtOnceAreAllAnswered) {
  world.AddBasics();
  world.max_pods = LONGSHORE_MANY_REQUESTS;
  constexpr int kRequests = LONGSHORE_MANY_REQUESTS;
  for (int i = 0; i < kRequests; ++i) {
    world.AddRequest("r" + std::to_string(i), 1, 1, 100'000);
  }
  const auto answered = [&] {
    for (int i = 0; i < kRequests; ++i) {
      const auto* accepted = world.Condition("r" + std::to_string(i), "Accepted");
      if (accepted == nullptr || accepted->status == "Unknown") return false;
    }
    return true;
  };
  EXPECT_TRUE(world.RunUntil(answered, seconds(5)));
  EXPECT_TRUE(world.RunUntil([&] {
    int available = 0;
    for (int i = 0; i < kRequests; ++i) {
      available += world.InState("r" + std::to_string(i), api::kAvailable);
    }
    return available == kRequests;
  }));
  EXPECT_EQ(world.LivePods(), kRequests);
}

// Each key is queued once however often it changes, and what a full disk refuses is done later.
TEST_F(Scenario, F25_AFloodIsBoundedAndAFullDiskDelays) {
  Begin(2, 2);
  const std::string row = world.Rows("r")[0].metadata.name;
  const size_t queued = world.KeysQueued();
  for (int i = 0; i < 10'000; ++i) {
    world.cluster.Edit(kube::kBackupPods, kNs, row,
                       [&](Json& object) { object["metadata"]["annotations"]["flood"] = i; });
  }
  EXPECT_LE(world.KeysQueued(), queued + 2) << "the row and its request";
  world.cluster.RefuseWrites([](const kube::Resource&, const std::string&) {
    return Error{Code::kUnavailable, "etcdserver: mvcc: database space exceeded"};
  });
  for (int i = 0; i < 10; ++i) world.AddOperation("op" + std::to_string(i), "r");
  world.Run(minutes(2));
  EXPECT_EQ(world.LivePods(), 2);
  EXPECT_EQ(world.KnownWorkers(), 2u);
  world.cluster.RefuseWrites({});
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(Reaches("op" + std::to_string(i), api::kSucceeded));
    EXPECT_EQ(AttemptOf("op" + std::to_string(i)), 1);
  }
  EXPECT_EQ(world.cluster.created_pods().size(), 2u);
}

}  // namespace
}  // namespace longshore::controller
