// SPDX-License-Identifier: Apache-2.0
//
// Operations in a miniature cluster: which pod has them, how they end, and who may use a pod that
// was acquired.
#include "controller/pod_names.h"
#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::seconds;

using OperationReconcileTest = WorldTest;

TEST_F(OperationReconcileTest, OperationsRunOnFreePodsAndFreeThemAgain) {
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

// Its pods have the image, the volumes and the credentials of their own source.
TEST_F(OperationReconcileTest, AnOperationOfAnotherSourceThanItsRequestsFailsAtOnce) {
  world.AddBasics();
  world.AddRequest("r", 1, 1, 600);
  ASSERT_TRUE(Available("r", 1));
  world.AddOperation("a", "r");
  world.cluster.Edit(kube::kOperations, kNs, "a",
                     [](Json& object) { object["spec"]["sourceRef"]["name"] = "invoices"; });
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("a") == api::kFailed; }, seconds(5)));
  EXPECT_EQ(world.Operation("a")->status.error->error_class, "Configuration");
  EXPECT_THAT(
      world.Operation("a")->status.error->message,
      testing::HasSubstr("is backup/invoices, but request backup/r is for source backup/orders"));
  EXPECT_EQ(world.InState("r", api::kAvailable), 1);
}

// Progress is written now and then, so what ended is settled: no phase, and what the copy holds.
TEST_F(OperationReconcileTest, EndedOperationShowsItsCopysSizeAndNoPhase) {
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

TEST_F(OperationReconcileTest, LostPodInterruptsItsOperationWhichSucceedsElsewhere) {
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
TEST_F(OperationReconcileTest, RestartedContainerInterruptsItsOperation) {
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

TEST_F(OperationReconcileTest, CancelEndsWaitingAndRunningOperations) {
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

TEST_F(OperationReconcileTest, FailedOperationIsRetriedOnlyWhenThatCanHelp) {
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
TEST_F(OperationReconcileTest, AWorkersWordsAreNotTakenAsTheyAre) {
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

TEST_F(OperationReconcileTest, MissingSecretAtAssignmentFailsTheOperationAndReturnsThePod) {
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

TEST_F(OperationReconcileTest, AcquiredPodIsFreeAgainWhenItsLeaseExpires) {
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
TEST_F(OperationReconcileTest, AcquiredPodRunsItsHoldersOperationsOnly) {
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

}  // namespace
}  // namespace longshore::controller
