// SPDX-License-Identifier: Apache-2.0
//
// The reconcilers in a miniature cluster: the story of a request, and what must hold when things go
// wrong in the middle of it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controller/pod_names.h"
#include "tests/controller/world.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::seconds;

class ReconcileTest : public testing::Test {
 protected:
  void TearDown() override { EXPECT_THAT(world.violations, testing::IsEmpty()); }
  bool Available(const std::string& request, int count) {
    return world.RunUntil([&] { return world.InState(request, api::kAvailable) == count; });
  }
  std::string StateOf(const std::string& operation) {
    const auto found = world.Operation(operation);
    return found ? found->status.state : "gone";
  }
  World world;
};

// The beginning of the story: rows, Pods beside the data, availability announced with its cause.
TEST_F(ReconcileTest, RequestBecomesAvailablePodsBesideTheData) {
  world.AddBasics();
  world.AddRequest("r", 2, 4);
  ASSERT_TRUE(Available("r", 2));
  for (const api::BackupPod& row : world.Rows("r")) {
    EXPECT_EQ(row.status.node_name, "node-1");
    EXPECT_EQ(row.status.tier, "Node");
    EXPECT_EQ(row.status.vetting, "Extender");
  }
  const auto announced = world.Announced("PodsAvailable");
  ASSERT_EQ(announced.size(), 2u);
  EXPECT_EQ(announced[0].data["cause"], "Requested");
  EXPECT_EQ(world.Announced("RequestReady").size(), 1u);
  EXPECT_EQ(world.Condition("r", "Accepted")->reason, "Valid");
  EXPECT_EQ(world.Condition("r", "PlacementVetted")->status, "True");
  EXPECT_EQ(world.Request("r")->status.image.name, "postgresql-17");
  const auto pod = world.cluster.Get(kube::kPods, kNs, world.Rows("r")[0].metadata.name);
  EXPECT_THAT(pod->dump(), testing::HasSubstr("longshore.dev/Available"));
}

// A second authority is trusted ten minutes before it signs: by then every worker must know it.
TEST_F(ReconcileTest, AReplacedAuthorityReachesTheNamespaceAtOnce) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 3600);
  ASSERT_TRUE(Available("r", 1));
  const auto copied = [&] {
    return kube::StringAt(*world.cluster.Get(kube::kConfigMaps, kNs, "longshore-ca"),
                          "/data/ca.crt");
  };
  EXPECT_EQ(copied(), "-----BEGIN CERTIFICATE-----");
  world.ca_pem += "\nthe successor";
  world.Run(std::chrono::seconds(10));
  EXPECT_EQ(copied(), world.ca_pem);
}

TEST_F(ReconcileTest, OperationsRunOnFreePodsAndFreeThemAgain) {
  world.AddBasics();
  world.AddRequest("r", 2, 2, 600);
  for (const char* name : {"a", "b", "c"}) world.AddOperation(name, "r");
  ASSERT_TRUE(world.RunUntil([&] {
    return StateOf("a") == api::kSucceeded && StateOf("b") == api::kSucceeded &&
           StateOf("c") == api::kSucceeded;
  }));
  ASSERT_TRUE(Available("r", 2));
  EXPECT_EQ(world.Announced("OperationStarted").size(), 3u);
  EXPECT_EQ(world.Announced("OperationFinished").size(), 3u);
  EXPECT_FALSE(world.Announced("OperationProgress").empty());
}

// Thresholds: one more pod with its cause, and away again when nothing is used for the idle time.
TEST_F(ReconcileTest, GrowsOverTheThresholdAndShrinksWhenIdle) {
  world.AddBasics();
  world.AddRequest("r", 1, 2, 15);
  world.max_pods = 2;
  ASSERT_TRUE(Available("r", 1));
  world.cpu[world.Rows("r")[0].metadata.name] = 180;  // 90 % of 200m
  ASSERT_TRUE(Available("r", 2));
  EXPECT_EQ(world.Announced("PodsAvailable").back().data["cause"], "ThresholdExceeded");
  EXPECT_FALSE(world.Request("r")->status.last_decision.crossing_time.empty());
  world.Run(seconds(5));
  EXPECT_EQ(world.Condition("r", "ScalingLimited")->reason, "MaxPods");
  world.cpu.clear();
  ASSERT_TRUE(world.RunUntil([&] { return world.LivePods() == 0; }));
  EXPECT_EQ(world.InState("r", api::kDeconstructed), 2);
  for (const api::BackupPod& row : world.Rows("r")) {
    EXPECT_FALSE(row.status.decision_inputs.empty());
  }
  EXPECT_EQ(world.Announced("PodDeconstructed").size(), 2u);
  EXPECT_EQ(world.Announced("PodsWithdrawn").size(), 2u);
}

// Progress is written now and then, so what ended is settled: no phase, and what the copy holds.
TEST_F(ReconcileTest, EndedOperationShowsItsCopysSizeAndNoPhase) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 600);
  world.next_result.set_succeeded(true);
  world.next_result.mutable_copy()->set_id("copy-1");
  world.next_result.mutable_copy()->set_bytes(1234);
  world.AddOperation("a", "r");
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("a") == api::kSucceeded; }));
  const api::OperationProgress progress = world.Operation("a")->status.progress;
  EXPECT_EQ(progress.phase, "");
  EXPECT_EQ(progress.bytes_done, 1234);
  EXPECT_EQ(progress.bytes_total, 1234);
  EXPECT_EQ(progress.eta_seconds, -1);
}

// Of a request that is not accepted no condition claims that all is well, or blames another field.
TEST_F(ReconcileTest, OtherConditionsOfARefusedRequestPointToAccepted) {
  world.AddBasics();
  world.cluster.Remove(kube::kPodPolicies, kNs, "standard");
  world.AddRequest("r", 1, 1);
  world.Run(seconds(1));
  EXPECT_EQ(world.Condition("r", "Accepted")->reason, "PolicyNotFound");
  EXPECT_EQ(world.Condition("r", "PodsProvisioned")->reason, "NotAccepted");
  EXPECT_EQ(world.Condition("r", "ScalingActive")->reason, "NotAccepted");
}

// Work for a crew of none brings the first pod back: usage alone never could.
TEST_F(ReconcileTest, WaitingWorkBringsAPodToACrewOfNone) {
  world.AddBasics();
  world.AddRequest("r", 0, 1);
  world.Run(seconds(3));
  EXPECT_EQ(world.LivePods(), 0);
  world.AddOperation("a", "r");
  EXPECT_TRUE(world.RunUntil([&] { return StateOf("a") == api::kSucceeded; }));
}

TEST_F(ReconcileTest, SilentAgentsShrinkNothingAndAConditionSaysSo) {
  world.AddBasics();
  world.AddRequest("r", 2, 2, 5);
  world.agents_report = false;
  ASSERT_TRUE(Available("r", 2));
  world.Run(seconds(60));
  EXPECT_EQ(world.InState("r", api::kAvailable), 2);
  EXPECT_EQ(world.Condition("r", "ScalingActive")->reason, "SignalsMissing");
}

// On a machine that is too busy the list changes with each second, and each write makes it busier.
TEST_F(ReconcileTest, TheListOfSilentPodsIsNotWrittenAtEachChange) {
  world.AddBasics();
  world.AddRequest("r", 3, 3, 600);
  ASSERT_TRUE(Available("r", 3));
  world.Run(seconds(20));
  const std::vector<std::string> pods = world.PodNames();
  world.unmeasured = {pods[0]};
  const auto active = [&] { return *world.Condition("r", "ScalingActive"); };
  ASSERT_TRUE(world.RunUntil([&] { return active().reason == "SignalsMissing"; }));
  std::vector<int> changes = {0};
  std::string told = active().message;
  for (int second = 1; second <= 120; ++second) {
    // Silent after 5 s, in the first minute besides one that always is; then each by turns.
    world.unmeasured = {pods[second / 8 % 2 + 1]};
    if (second < 60) world.unmeasured.insert(pods[0]);
    world.Run(seconds(1));
    if (std::exchange(told, active().message) != told) changes.push_back(second);
  }
  EXPECT_GE(changes.size(), 3u);
  for (size_t i = 1; i < changes.size(); ++i) EXPECT_GE(changes[i] - changes[i - 1], 10);
}

TEST_F(ReconcileTest, BusyPodIsNeverRetiredByTheDeletionOfItsRequest) {
  world.AddBasics();
  world.AddRequest("r", 2, 2, 600);
  ASSERT_TRUE(Available("r", 2));
  world.seconds_of_work = 20;
  world.AddOperation("a", "r");
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("a") == api::kRunning; }));
  world.AddOperation("late", "r");
  world.cluster.UserDelete(kube::kComputeRequests, kNs, "r");
  world.Run(seconds(5));
  EXPECT_EQ(world.LivePods(), 1);  // the idle one has gone
  EXPECT_EQ(StateOf("a"), api::kRunning);
  EXPECT_NE(StateOf("late"), api::kSucceeded);
  ASSERT_TRUE(world.RunUntil([&] { return !world.Request("r"); }));
  EXPECT_EQ(StateOf("a"), api::kSucceeded);
  EXPECT_EQ(world.LivePods(), 0);
}

TEST_F(ReconcileTest, LostPodInterruptsItsOperationWhichSucceedsElsewhere) {
  world.AddBasics();
  world.AddRequest("r", 1, 2, 600);
  ASSERT_TRUE(Available("r", 1));
  world.seconds_of_work = 10;
  world.AddOperation("a", "r");
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("a") == api::kRunning; }));
  const std::string first = world.Operation("a")->status.pod;
  world.cluster.Remove(kube::kPods, kNs, first);
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("a") == api::kSucceeded; }));
  EXPECT_EQ(world.Operation("a")->status.attempt, 2);
  EXPECT_NE(world.Operation("a")->status.pod, first);
  EXPECT_EQ(world.InState("r", api::kLost), 1);
  EXPECT_EQ(world.Announced("PodLost").size(), 1u);
  EXPECT_EQ(world.Rows("r").size(), 2u);
}

// The container restarts under the same Pod: what ran is dead, and must not be assigned as if new.
TEST_F(ReconcileTest, RestartedContainerInterruptsItsOperation) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 600);
  ASSERT_TRUE(Available("r", 1));
  world.seconds_of_work = 10;
  world.AddOperation("a", "r");
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("a") == api::kRunning; }));
  FakeWorker& worker = *world.WorkerOf(world.Operation("a")->status.pod);
  worker.last_epoch = worker.running_epoch = 0;
  worker.connection = 0;
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("a") == api::kSucceeded; }));
  EXPECT_EQ(world.Operation("a")->status.attempt, 2);
}

TEST_F(ReconcileTest, CancelEndsWaitingAndRunningOperations) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 600);
  world.seconds_of_work = 100;
  world.AddOperation("a", "r");
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("a") == api::kRunning; }));
  world.AddOperation("b", "r");
  world.Run(seconds(2));
  for (const char* name : {"a", "b"}) {
    world.cluster.Edit(kube::kOperations, kNs, name,
                       [](Json& object) { object["spec"]["cancel"] = true; });
  }
  ASSERT_TRUE(world.RunUntil(
      [&] { return StateOf("a") == api::kCancelled && StateOf("b") == api::kCancelled; }));
  EXPECT_TRUE(Available("r", 1));
}

TEST_F(ReconcileTest, FailedOperationIsRetriedOnlyWhenThatCanHelp) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 600);
  world.next_result.set_succeeded(false);
  world.next_result.set_error_class("Authentication");
  world.AddOperation("a", "r");
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("a") == api::kOperationFailed; }));
  EXPECT_EQ(world.Operation("a")->status.attempt, 1);
  EXPECT_EQ(world.Operation("a")->status.error->error_class, "Authentication");
  world.next_result.set_error_class("Unreachable");
  world.next_result.set_retryable(true);
  world.AddOperation("b", "r");
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("b") == api::kOperationFailed; }));
  EXPECT_EQ(world.Operation("b")->status.attempt, 3);
  EXPECT_TRUE(Available("r", 1));
}

// What a worker says is written only as far as the API server takes it, and which copy an operation
// made is not the worker's to say: rights to restore hang on it.
TEST_F(ReconcileTest, AWorkersWordsAreNotTakenAsTheyAre) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 600);
  world.next_result.mutable_copy()->set_id("copy-of-somebody-else");
  world.AddOperation("a", "r");
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("a") == api::kSucceeded; }));
  EXPECT_EQ(world.Operation("a")->status.copy->id, CopyId(world.Operation("a")->metadata.uid));
  for (const std::string& odd : {std::string("no, not a word"), std::string(200, 'x')}) {
    world.next_result.Clear();
    world.next_result.set_error_class(odd);
    const std::string name = "odd-" + std::to_string(odd.size());
    world.AddOperation(name, "r");
    ASSERT_TRUE(world.RunUntil([&] { return StateOf(name) == api::kOperationFailed; }));
    EXPECT_EQ(world.Operation(name)->status.error->error_class, "Internal");
  }
}

TEST_F(ReconcileTest, MissingSecretAtAssignmentFailsTheOperationAndReturnsThePod) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 600);
  ASSERT_TRUE(Available("r", 1));
  world.cluster.Remove(kube::kSecrets, kNs, "login");
  world.AddOperation("a", "r");
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("a") == api::kOperationFailed; }));
  EXPECT_EQ(world.Operation("a")->status.error->error_class, "Configuration");
  EXPECT_THAT(world.Operation("a")->status.error->message, testing::HasSubstr("Secret login"));
  EXPECT_TRUE(Available("r", 1));
}

TEST_F(ReconcileTest, WhatIsMissingIsNamedAndLookedForAgain) {
  world.AddRequest("r", 1, 1);
  world.Run(seconds(1));
  EXPECT_EQ(world.Condition("r", "Accepted")->reason, "UnknownSource");
  EXPECT_THAT(world.Condition("r", "Accepted")->message, testing::HasSubstr("spec.sourceRef"));
  world.AddBasics();
  world.cluster.Remove(kube::kSecrets, kNs, "login");
  world.Run(seconds(20));
  EXPECT_EQ(world.Condition("r", "Accepted")->reason, "SecretMissing");
  Json login = {{"metadata", {{"name", "login"}, {"namespace", kNs}}},
                {"data", {{"username", "dQ=="}, {"password", "cA=="}}}};
  world.cluster.Put(kube::kSecrets, login);
  EXPECT_TRUE(Available("r", 1));
}

// Not bound for 30 s: another attempt with more nodes; the first Pod goes.
TEST_F(ReconcileTest, UnplacedPodIsTriedAgainWithMoreNodes) {
  world.AddBasics();
  world.AddRequest("r", 1, 1);
  world.max_pods = 1;
  world.kubelets_work = false;
  world.Run(seconds(5));
  ASSERT_EQ(world.Rows("r").size(), 1u);
  EXPECT_EQ(world.Rows("r")[0].spec.candidate_nodes.size(), 1u);
  world.Run(seconds(33));
  world.kubelets_work = true;
  ASSERT_TRUE(Available("r", 1));
  ASSERT_EQ(world.Rows("r").size(), 2u);
  EXPECT_EQ(world.InState("r", api::kFailed), 1);
  for (const api::BackupPod& row : world.Rows("r")) {
    if (row.status.state == api::kAvailable) {
      EXPECT_GT(row.spec.candidate_nodes.size(), 1u);
    }
  }
}

TEST_F(ReconcileTest, PlacementWithoutTheExtenderIsSaid) {
  world.AddBasics();
  world.extender_speaks = false;
  world.Run(seconds(12));  // a new leader cannot know what was said before it
  world.AddRequest("r", 1, 1);
  ASSERT_TRUE(Available("r", 1));
  world.Run(seconds(1));
  EXPECT_EQ(world.Condition("r", "PlacementVetted")->reason, "PlacedWithoutExtender");
}

// A silent worker is withdrawn, and offered again when it is back.
TEST_F(ReconcileTest, SilentWorkerIsWithdrawnUntilItIsBack) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 600);
  ASSERT_TRUE(Available("r", 1));
  world.Run(seconds(12));  // past the grace of a new leader
  FakeWorker& worker = *world.WorkerOf(world.Rows("r")[0].metadata.name);
  const uint64_t connection = worker.connection;
  worker.connection = 999;  // what it says is heard by nobody
  ASSERT_TRUE(world.RunUntil([&] { return world.InState("r", api::kProvisioning) == 1; }));
  EXPECT_EQ(world.Announced("PodsWithdrawn").size(), 1u);
  worker.connection = connection;
  ASSERT_TRUE(Available("r", 1));
  EXPECT_EQ(world.Announced("PodsAvailable").back().data["cause"], "Reconnected");
}

TEST_F(ReconcileTest, AcquiredPodIsFreeAgainWhenItsLeaseExpires) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 600);
  ASSERT_TRUE(Available("r", 1));
  const std::string pod = world.Rows("r")[0].metadata.name;
  const std::string expires = FormatTime(world.clock.Now() + seconds(30));
  world.cluster.Edit(kube::kBackupPods, kNs, pod, [&](Json& object) {
    object["status"]["state"] = "Assigned";
    object["status"]["epoch"] = 1;
    object["status"]["lease"] = {{"holder", "manager"}, {"epoch", 1}, {"expires", expires}};
  });
  world.AddOperation("other", "r");
  world.Run(seconds(20));
  EXPECT_EQ(world.InState("r", api::kAssigned), 1);
  EXPECT_EQ(StateOf("other"), api::kQueued);  // an acquired pod is its holder's
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("other") == api::kSucceeded; }));
}

// Whoever may create operations with kubectl cannot take a pod that another one has acquired: the
// annotation says on whose behalf an operation was made, and only the API may set it.
TEST_F(ReconcileTest, AcquiredPodRunsItsHoldersOperationsOnly) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 600);
  ASSERT_TRUE(Available("r", 1));
  const std::string pod = world.Rows("r")[0].metadata.name;
  const std::string expires = FormatTime(world.clock.Now() + seconds(300));
  world.cluster.Edit(kube::kBackupPods, kNs, pod, [&](Json& object) {
    object["status"]["state"] = "Assigned";
    object["status"]["epoch"] = 1;
    object["status"]["lease"] = {{"holder", "manager"}, {"epoch", 1}, {"expires", expires}};
  });
  for (const char* name : {"anonymous", "of-another", "of-the-holder"}) {
    world.AddOperation(name, "r");
    world.cluster.Edit(kube::kOperations, kNs, name, [&](Json& object) {
      object["spec"]["podRef"] = {{"name", pod}};
      const std::string made_by = name == std::string("of-another") ? "thief" : "manager";
      if (name == std::string("anonymous")) return;
      object["metadata"]["annotations"] = {{api::kAnnotationCreatedBy, made_by}};
    });
    if (name == std::string("of-the-holder")) break;
    world.Run(seconds(10));
    EXPECT_EQ(StateOf(name), api::kQueued);
  }
  world.Run(seconds(2));
  EXPECT_EQ(world.Rows("r")[0].status.lease->operation, "of-the-holder");
}

// A row that somebody deletes must not leave its worker in memory for ever, whether a new one comes
// under its name or none does.
TEST_F(ReconcileTest, WorkerIsForgottenWhenItsRowAndPodAreGone) {
  world.AddBasics();
  world.AddRequest("r", 2, 2, 600);
  ASSERT_TRUE(Available("r", 2));
  EXPECT_EQ(world.KnownWorkers(), 2u);
  const auto lose_everything = [&] {
    for (const api::BackupPod& row : world.Rows("r")) {
      world.cluster.Remove(kube::kBackupPods, kNs, row.metadata.name);
      world.cluster.Remove(kube::kPods, kNs, row.metadata.name);
    }
  };
  lose_everything();
  world.Run(seconds(1));
  ASSERT_TRUE(Available("r", 2));
  EXPECT_EQ(world.KnownWorkers(), 2u);
  world.cluster.Remove(kube::kComputeRequests, kNs, "r");
  lose_everything();
  world.Run(seconds(2));
  EXPECT_EQ(world.KnownWorkers(), 0u);
}

// A restart loses nothing and repeats nothing: what ran goes on under its epoch.
// Each pod's samples take some 20 KB: those of pods long gone must not add up.
TEST_F(ReconcileTest, UsageOfPodsThatHaveGoneIsForgotten) {
  world.AddBasics();
  for (int i = 0; i < 5; ++i) {
    world.AddRequest("r", 2, 2, 600);
    ASSERT_TRUE(Available("r", 2));
    world.Run(seconds(2));
    world.cluster.UserDelete(kube::kComputeRequests, kNs, "r");
    ASSERT_TRUE(world.RunUntil([&] { return !world.Request("r"); }));
    world.Run(std::chrono::minutes(25));  // longer than twice what is kept
  }
  EXPECT_LE(world.PodsWithUsage(), 2u);
}

TEST_F(ReconcileTest, RestartedControllerFindsItsWorkersAtWork) {
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

TEST_F(ReconcileTest, NewLeaderTakesNothingAwayBeforeAWholeIdleTime) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 20);
  ASSERT_TRUE(Available("r", 1));
  world.Run(seconds(15));
  world.Restart();
  world.Run(seconds(18));
  EXPECT_EQ(world.InState("r", api::kAvailable), 1);
  EXPECT_TRUE(world.RunUntil([&] { return world.LivePods() == 0; }));
}

// The whole story, with the controller killed at each of its writes, once before the write is
// applied and once after. Everything ends as it should, with each Pod created once and each
// operation done once.
class CrashTest : public testing::TestWithParam<bool> {};

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

INSTANTIATE_TEST_SUITE_P(BeforeAndAfterTheWrite, CrashTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Applied" : "NotApplied"; });

}  // namespace
}  // namespace longshore::controller
