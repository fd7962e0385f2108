// SPDX-License-Identifier: Apache-2.0
//
// Operations that neither get on nor end, and pods that must not be evicted while they work.
#include "controller/busy_budget.h"
#include "controller/pod_reconciler.h"
#include "controller/pod_template.h"
#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

class StuckTest : public WorldTest {
 protected:
  void SetUp() override {
    world.AddBasics();
    Limit(300);
    world.AddRequest("r", 2, 2, 100'000);
    ASSERT_TRUE(world.RunUntil([&] { return world.InState("r", api::kAvailable) == 2; }));
    world.seconds_of_work = 100'000;
    world.AddOperation("op", "r");
    ASSERT_TRUE(world.RunUntil([&] { return State() == api::kRunning; }));
  }
  void Limit(int no_progress_seconds) {
    world.cluster.Edit(kube::kPodPolicies, kNs, "standard", [&](Json& object) {
      object["spec"]["operationLimits"] = {{"noProgressSeconds", no_progress_seconds},
                                           {"snapshotSeconds", 7200}};
    });
  }
  std::string State() const { return world.Operation("op")->status.state; }
  FakeWorker& Worker() { return *world.WorkerOf(world.Operation("op")->status.pod); }
};

TEST_F(StuckTest, TheWorkerIsToldItsLimits) {
  EXPECT_EQ(Worker().assign.limits().no_progress_seconds(), 300u);
  EXPECT_EQ(Worker().assign.limits().snapshot_seconds(), 7200u);
}

TEST_F(StuckTest, AHungWorkerLosesItsPodAndTheOperationGoesOnElsewhere) {
  const std::string pod = Worker().pod;
  Worker().hung = true;
  world.Run(minutes(6));
  EXPECT_EQ(State(), api::kRunning) << "the worker has two minutes to end it by itself";
  world.seconds_of_work = 3;
  ASSERT_TRUE(world.RunUntil([&] { return State() == api::kSucceeded; }, minutes(3)));
  EXPECT_EQ(world.Operation("op")->status.attempt, 2);
  EXPECT_NE(world.Operation("op")->status.pod, pod);
  EXPECT_THAT(world.cluster.deleted_pods(), testing::ElementsAre(pod));
  EXPECT_THAT(world.cluster.events(), testing::Contains("Stalled"));
}

TEST_F(StuckTest, SoDoesOneThatIsNotHeardOf) {
  const std::string pod = Worker().pod;
  Worker().hung = true;
  Worker().connection = 9999;  // speaks into the void
  world.Run(minutes(6));
  EXPECT_EQ(State(), api::kRunning);
  world.kubelets_work = false;  // or it would run elsewhere before we look
  ASSERT_TRUE(world.RunUntil([&] { return !world.cluster.deleted_pods().empty(); }, minutes(3)));
  const auto row = Find<api::BackupPod>(world.cluster, kNs, pod);
  EXPECT_EQ(row->status.reason, kReasonStalled);
  EXPECT_THAT(row->status.message, HasSubstr("no progress for 42"));
  world.kubelets_work = true;
  world.seconds_of_work = 3;
  ASSERT_TRUE(world.RunUntil([&] { return State() == api::kSucceeded; }));
  EXPECT_EQ(world.Operation("op")->status.attempt, 2);
}

TEST_F(StuckTest, WhatGetsOnMayTakeAsLongAsItLikes) {
  world.bytes_of_work = 1'000'000'000;
  world.Run(minutes(60));
  EXPECT_EQ(State(), api::kRunning);
  EXPECT_THAT(world.cluster.deleted_pods(), testing::IsEmpty());
}

TEST_F(StuckTest, NoLimitEndsNothing) {
  Limit(0);
  Worker().hung = true;
  world.Run(minutes(120));
  EXPECT_EQ(State(), api::kRunning);
}

TEST_F(StuckTest, ANewLeaderCountsFromWhatItHasSeenItself) {
  Worker().hung = true;
  world.Run(minutes(6));
  world.Restart();
  world.Run(minutes(6));
  EXPECT_EQ(State(), api::kRunning);
  ASSERT_TRUE(world.RunUntil([&] { return State() != api::kRunning; }, minutes(2)));
}

// ---- evictions
// -----------------------------------------------------------------------------------

class BusyTest : public StuckTest {
 protected:
  bool Labelled(const std::string& pod) const {
    return kube::LabelOf(*world.cluster.Get(kube::kPods, kNs, pod), kLabelBusy) == "true";
  }
  int Asked() const {
    return world.cluster.Get(kube::kPodDisruptionBudgets, kNs, kBusyBudget)
        ->at("spec")
        .value("minAvailable", -1);
  }
};

TEST_F(BusyTest, OnlyPodsWithAnOperationAreKeptFromEviction) {
  const std::string busy = Worker().pod;
  for (const std::string& pod : world.PodNames()) EXPECT_EQ(Labelled(pod), pod == busy) << pod;
  EXPECT_EQ(Asked(), 1);
  Worker().steps_left = 0;
  ASSERT_TRUE(world.RunUntil([&] { return State() == api::kSucceeded; }));
  world.Run(seconds(1));
  EXPECT_FALSE(Labelled(busy));
  world.Run(seconds(10));  // until then it listens
  EXPECT_EQ(Asked(), 0);
}

TEST_F(BusyTest, ANewLeaderFindsWhatIsProtected) {
  world.Restart();
  world.AddOperation("second", "r");
  ASSERT_TRUE(
      world.RunUntil([&] { return world.Operation("second")->status.state == api::kRunning; }));
  world.Run(seconds(2));
  EXPECT_EQ(Asked(), 2);
  for (const std::string& pod : world.PodNames()) EXPECT_TRUE(Labelled(pod)) << pod;
}

// Fault: somebody deletes the budget, or asks it for less, while pods work.
TEST_F(BusyTest, ABudgetThatIsTakenAwayComesBack) {
  world.cluster.Remove(kube::kPodDisruptionBudgets, kNs, kBusyBudget);
  world.Run(seconds(31));
  ASSERT_NE(world.cluster.Get(kube::kPodDisruptionBudgets, kNs, kBusyBudget), nullptr);
  EXPECT_EQ(Asked(), 1);
  world.cluster.Edit(kube::kPodDisruptionBudgets, kNs, kBusyBudget,
                     [](Json& object) { object["spec"]["minAvailable"] = 0; });
  world.Run(seconds(31));
  EXPECT_EQ(Asked(), 1);
  EXPECT_THAT(world.violations, ::testing::Each(HasSubstr("a busy pod may be evicted")))
      << "meanwhile";
  world.violations.clear();
}

// The leader before it may have raised it for a label that is still on its way.
TEST_F(BusyTest, ANewLeaderLowersTheBudgetLateOnly) {
  world.Restart();
  world.cluster.Edit(kube::kPodDisruptionBudgets, kNs, kBusyBudget,
                     [](Json& object) { object["spec"]["minAvailable"] = 7; });
  world.Run(seconds(9));
  EXPECT_EQ(Asked(), 7);
  world.Run(seconds(36));
  EXPECT_EQ(Asked(), 1);
}

// Autoscalers leave the node of a busy pod alone, and may take that of an idle one.
TEST_F(BusyTest, AutoscalersAreToldWhichPodsMayGo) {
  const std::string busy = Worker().pod;
  const auto said = [&](const std::string& pod, const char* name) {
    const auto& all = world.cluster.Get(kube::kPods, kNs, pod)->at("metadata").at("annotations");
    return all.value(name, "");
  };
  for (const std::string& pod : world.PodNames()) {
    EXPECT_EQ(said(pod, kAnnotationSafeToEvict), pod == busy ? "false" : "true");
    EXPECT_EQ(said(pod, kAnnotationDoNotDisrupt), pod == busy ? "true" : "");
  }
  Worker().steps_left = 0;
  ASSERT_TRUE(world.RunUntil([&] { return State() == api::kSucceeded; }));
  world.Run(seconds(1));
  EXPECT_EQ(said(busy, kAnnotationSafeToEvict), "true");
  EXPECT_EQ(said(busy, kAnnotationDoNotDisrupt), "");
}

}  // namespace
}  // namespace longshore::controller
