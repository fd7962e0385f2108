// SPDX-License-Identifier: Apache-2.0
//
// docs/failure-scenarios.md: what goes wrong with pods, their workers, nodes and agents.
#include "tests/controller/scenario.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

// Whoever loses the race is told by the worker's gate, and nothing is cut off.
TEST_F(Scenario, F12_WorkThatComesInTheMomentOfShrinkingIsDone) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 10);
  ASSERT_TRUE(Available(1));
  for (int i = 0; i < 30; ++i) {
    SCOPED_TRACE(i);
    // Around the end of the idle time, in another quarter of a second each time.
    world.Run(std::chrono::milliseconds(8000 + 250 * i));
    const std::string name = "op" + std::to_string(i);
    world.AddOperation(name, "r");
    ASSERT_TRUE(Reaches(name, api::kSucceeded));
    EXPECT_EQ(AttemptOf(name), 1);
  }
}

TEST_F(Scenario, F13_ALostReplyIsAskedForAndNotGuessed) {
  Begin(1, 1);
  world.seconds_of_work = 30;
  FakeWorker& worker = *world.WorkerOf(world.Rows("r")[0].metadata.name);
  world.drop_from_workers = true;
  world.AddOperation("op", "r");
  world.Run(seconds(3));
  EXPECT_EQ(State("op"), api::kPreparing);
  EXPECT_EQ(worker.began, 1) << "it works; only its answer was lost";
  world.drop_from_workers = false;
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_EQ(AttemptOf("op"), 1);
  EXPECT_EQ(worker.began, 1);
}

TEST_F(Scenario, F14_AManagerThatIsAwayForAnHourFindsItsResult) {
  Begin(1, 1);
  Start(20);
  world.Run(minutes(60));
  EXPECT_EQ(State("op"), api::kSucceeded);
  EXPECT_EQ(world.InState("r", api::kAvailable), 1) << "the pod was freed by what it did";
}

TEST_F(Scenario, F15_ALostNodeIsWithdrawnAndItsWorkBeginsAnewOnlyWhenItsPodHasGone) {
  Begin(2, 2);
  world.Run(seconds(12));  // past the grace of a new leader
  Start(10'000);
  const std::string pod = PodOf("op");
  FakeWorker& worker = *world.WorkerOf(pod);
  worker.connection = 9999;  // unreachable, and at work
  world.Run(minutes(5));
  EXPECT_EQ(State("op"), api::kRunning) << "nobody knows that it does not work";
  // The node is deleted; its Pods are collected.
  world.cluster.Edit(kube::kPods, kNs, pod, [](Json& object) {
    object["status"]["conditions"].push_back(
        {{"type", "DisruptionTarget"}, {"status", "True"}, {"reason", "DeletionByPodGC"}});
  });
  world.seconds_of_work = 3;
  world.cluster.Remove(kube::kPods, kNs, pod);
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_EQ(AttemptOf("op"), 2);
  EXPECT_NE(PodOf("op"), pod);
}

class EndingTest : public Scenario, public testing::WithParamInterface<const char*> {};

TEST_P(EndingTest, F16_WhatOthersEndIsInterruptedWithTheirReason) {
  Begin(1, 2);
  Start(10);
  const std::string pod = PodOf("op");
  world.WorkerOf(pod)->hung = true;
  world.cluster.Edit(kube::kPods, kNs, pod, [&](Json& object) {
    object["status"]["phase"] = "Failed";
    object["status"]["conditions"] = {
        {{"type", "DisruptionTarget"}, {"status", "True"}, {"reason", GetParam()}}};
  });
  std::string said;
  EXPECT_TRUE(world.RunUntil([&] {
    const auto operation = world.Operation("op");
    if (operation->status.error) said = operation->status.error->message;
    return operation->status.state == api::kSucceeded;
  }));
  EXPECT_THAT(said, HasSubstr(GetParam()));
  EXPECT_EQ(AttemptOf("op"), 2);
  EXPECT_THAT(world.cluster.deleted_pods(), testing::ElementsAre(pod)) << "what was dead already";
  for (const api::BackupPod& row : world.Rows("r")) {
    if (row.metadata.name == pod) {
      EXPECT_EQ(row.status.reason, GetParam());
    }
  }
}
// The worker has time to say that it was cut off, but does not know by whom.
TEST_P(EndingTest, F16_AWorkerThatIsCutOffIsToldOfWithTheirReason) {
  Begin(1, 2);
  const messages::OperationResult good = world.next_result;
  world.next_result.Clear();
  world.next_result.set_error_class("Interrupted");
  world.next_result.set_error_message("the pod was told to stop");
  world.next_result.set_retryable(true);
  Start(5);
  const std::string pod = PodOf("op");
  world.cluster.Edit(kube::kPods, kNs, pod, [&](Json& object) {
    object["status"]["conditions"] = {{{"type", "DisruptionTarget"},
                                       {"status", "True"},
                                       {"reason", GetParam()},
                                       {"message", "make room"}}};
  });
  world.cluster.UserDelete(kube::kPods, kNs, pod);
  std::string said;
  ASSERT_TRUE(world.RunUntil([&] {
    const auto operation = world.Operation("op");
    if (operation->status.error) said = operation->status.error->message;
    return !said.empty();
  }));
  EXPECT_EQ(said, std::string("the pod was told to stop: ") + GetParam() + ": make room");
  world.next_result = good;
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_EQ(AttemptOf("op"), 2);
  EXPECT_NE(PodOf("op"), pod);
}
INSTANTIATE_TEST_SUITE_P(Reasons, EndingTest,
                         testing::Values("PreemptionByScheduler", "DeletionByTaintManager",
                                         "EvictionByEvictionAPI", "TerminationByKubelet"));

TEST_F(Scenario, F17_AnImageThatCannotBePulledIsSaidAndGoesOnWhenItCan) {
  world.AddBasics();
  world.kubelets_work = false;
  world.AddRequest("r", 1, 1, 100'000);
  world.Run(seconds(1));
  world.cluster.Edit(kube::kPods, kNs, world.PodNames()[0], [](Json& object) {
    object["spec"]["nodeName"] = "node-1";
    object["status"]["containerStatuses"] = {
        {{"state",
          {{"waiting", {{"reason", "ImagePullBackOff"}, {"message", "no such manifest"}}}}}}};
  });
  world.Run(seconds(45));
  EXPECT_EQ(world.Condition("r", "PodsProvisioned")->reason, "ImagePullFailed");
  EXPECT_THAT(world.Condition("r", "PodsProvisioned")->message, HasSubstr("no such manifest"));
  EXPECT_EQ(world.LivePods(), 1) << "no storm of pods";
  world.kubelets_work = true;
  EXPECT_TRUE(Available(1));
}

TEST_F(Scenario, F19_CountersThatGoBackwardsDecideNothing) {
  Begin(1, 4);
  world.Run(seconds(5));
  const std::string pod = world.Rows("r")[0].metadata.name;
  world.cpu[pod] = -5000;  // millicores: each sample is less than the one before it
  world.Run(seconds(30));
  EXPECT_EQ(world.LivePods(), 1);
  world.agents_report = false;
  world.Run(seconds(30));
  EXPECT_EQ(world.LivePods(), 1);
  EXPECT_EQ(world.Condition("r", "ScalingActive")->reason, "SignalsMissing");
}

TEST_F(Scenario, F20_ARestartedContainerIsOfferedAfterItsHelloOnly) {
  Begin(1, 1);
  Start(10);
  FakeWorker& worker = *world.WorkerOf(PodOf("op"));
  worker.last_epoch = worker.running_epoch = 0;  // OOM: the process is a new one
  worker.connection = 9999;
  world.Run(seconds(2));
  EXPECT_EQ(world.InState("r", api::kAvailable), 0);
  worker.connection = 0;
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_EQ(AttemptOf("op"), 2);
  EXPECT_EQ(world.LivePods(), 1) << "no second pod for it";
}

// The process is a new one, and the kubelet says so a second later.
TEST_F(Scenario, F20_AContainerThatWasKilledForMemoryIsToldOfWithTheRemedy) {
  Begin(1, 1);
  Start(10);
  const std::string pod = PodOf("op");
  FakeWorker& worker = *world.WorkerOf(pod);
  worker.last_epoch = worker.running_epoch = 0;
  worker.connection = 0;
  world.Run(seconds(1));
  EXPECT_EQ(State("op"), api::kRunning) << "how it ended is not known yet";
  world.TellOfMemoryKill(pod);
  std::string said, of_row;
  ASSERT_TRUE(world.RunUntil([&] {
    const auto operation = world.Operation("op");
    if (operation->status.error) said = operation->status.error->message;
    for (const api::BackupPod& row : world.Rows("r")) {
      if (row.status.reason == "OOMKilled") of_row = row.status.message;
    }
    return operation->status.state == api::kSucceeded;
  }));
  for (const std::string& text : {said, of_row}) {
    EXPECT_THAT(text, HasSubstr("the worker's container restarted"));
    EXPECT_THAT(text, HasSubstr("raise spec.resources.limits.memory of the PodPolicy"));
  }
  EXPECT_EQ(AttemptOf("op"), 2);
}

TEST_F(Scenario, F20_WhatNobodyWaitsForIsStoppedBeforeItsPodIsOffered) {
  Begin(1, 1);
  Start(1000);
  FakeWorker& worker = *world.WorkerOf(PodOf("op"));
  world.Break(worker, std::chrono::milliseconds(0), seconds(10));
  world.Run(seconds(1));
  world.cluster.Remove(kube::kOperations, kNs, "op");
  world.Run(seconds(5));
  EXPECT_EQ(world.InState("r", api::kProvisioning), 1);
  EXPECT_TRUE(Available(1)) << "it has dialled in again";
  EXPECT_FALSE(worker.holds());
}

TEST_F(Scenario, F22_ALoadThatSwingsRoundTheThresholdDoesNotFlap) {
  world.AddBasics();
  world.AddRequest("r", 1, 4, 30);
  ASSERT_TRUE(Available(1));
  world.Run(seconds(6));
  // Up is 120 millicores (60 % of 200): 114 and 126, a second each, never two in a row over it.
  for (int second = 0; second < 120; ++second) {
    for (const std::string& pod : world.PodNames()) world.cpu[pod] = second % 2 == 0 ? 114 : 126;
    world.Run(seconds(1));
  }
  EXPECT_EQ(world.cluster.created_pods().size(), 1u);
  EXPECT_THAT(world.cluster.deleted_pods(), testing::IsEmpty());
}

TEST_F(Scenario, F24_AnImageThatChangesUnderWorkTouchesNoBusyPod) {
  Begin(2, 2);
  Start(30);
  world.cluster.Edit(kube::kSourceImages, "", "postgresql-17",
                     [](Json& object) { object["spec"]["image"] = "postgresql@sha256:2"; });
  world.Run(seconds(10));
  EXPECT_EQ(State("op"), api::kRunning);
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_EQ(AttemptOf("op"), 1);
  EXPECT_TRUE(world.RunUntil([&] {
    int renewed = 0;
    for (const api::BackupPod& row : world.Rows("r")) {
      renewed += row.status.state == api::kAvailable && row.spec.image == "postgresql@sha256:2";
    }
    return renewed == 2;
  })) << "idle ones are replaced";
  world.Run(seconds(30));
  EXPECT_EQ(world.cluster.created_pods().size(), 4u);
}

TEST_F(Scenario, F26_AnOperationThatIsAllowedToTakeForeverIsNeverCut) {
  Begin(1, 1);
  world.cluster.Edit(kube::kPodPolicies, kNs, "standard", [](Json& object) {
    object["spec"]["operationLimits"] = {{"noProgressSeconds", 0}};
  });
  Start(1'000'000);
  world.cluster.UserDelete(kube::kComputeRequests, kNs, "r");
  world.Run(minutes(60));
  EXPECT_EQ(State("op"), api::kRunning);
  EXPECT_TRUE(world.Request("r"));
  EXPECT_THAT(world.cluster.deleted_pods(), testing::IsEmpty());
}

}  // namespace
}  // namespace longshore::controller
