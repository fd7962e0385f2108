// SPDX-License-Identifier: Apache-2.0
//
// The reconcilers in a miniature cluster: the story of a request and its pods, and what must hold
// when things go wrong in the middle of it.
#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::seconds;

using ReconcileTest = WorldTest;

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
  for (int second = 1; second <= 200; ++second) {
    // Silent after 5 s, at first besides one that always is; then each by turns.
    world.unmeasured = {pods[second / 8 % 2 + 1]};
    if (second < 100) world.unmeasured.insert(pods[0]);
    world.Run(seconds(1));
    if (std::exchange(told, active().message) != told) changes.push_back(second);
  }
  EXPECT_GE(changes.size(), 3u);
  for (size_t i = 1; i < changes.size(); ++i) EXPECT_GE(changes[i] - changes[i - 1], 60);
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

// A new leader has seen a whole idle time: of all requests in the same moment.
TEST_F(ReconcileTest, WhatBecomesTrueOfAllRequestsAtOnceIsWrittenOfOneAfterTheOther) {
  constexpr int kRequests = 150;
  world.AddBasics();
  const auto name = [](int i) { return "r-" + std::to_string(i); };
  for (int i = 0; i < kRequests; ++i) world.AddRequest(name(i), 0, 1, 30);
  world.Run(seconds(40));
  world.Restart();
  const auto say = [&](const std::string& reason) {
    int count = 0;
    for (int i = 0; i < kRequests; ++i) {
      count += world.Condition(name(i), "ScalingActive")->reason == reason ? 1 : 0;
    }
    return count;
  };
  world.Run(seconds(20));
  EXPECT_EQ(say("ControllerRestarted"), kRequests);
  int most = 0;
  for (int second = 0; second < 25; ++second) {
    const int before = world.cluster.writes();
    world.Run(seconds(1));
    most = std::max(most, world.cluster.writes() - before);
  }
  EXPECT_EQ(say("ControllerRestarted"), 0);
  EXPECT_LE(most, 65) << "30 at once, and 30 a second";
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

TEST_F(ReconcileTest, RowsOfARequestThatIsOverGo) {
  world.AddBasics();
  world.AddRequest("r", 2, 2, 600);
  world.cluster.Edit(kube::kComputeRequests, kNs, "r",
                     [](Json& object) { object["spec"]["lifetimeSeconds"] = 60; });
  ASSERT_TRUE(Available("r", 2));
  world.Run(std::chrono::minutes(5));
  EXPECT_EQ(world.LivePods(), 0);
  EXPECT_EQ(world.InState("r", api::kDeconstructed), 2) << "they tell what has been";
  world.Run(std::chrono::minutes(15));
  EXPECT_THAT(world.Rows("r"), testing::IsEmpty());
  EXPECT_TRUE(world.Request("r"));
}

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

}  // namespace
}  // namespace longshore::controller
