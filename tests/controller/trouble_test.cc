// SPDX-License-Identifier: Apache-2.0
//
// Pods that cannot start, cannot be heard or are deleted by hand, and what the crew does meanwhile.
#include "controller/pod_reconciler.h"
#include "tests/controller/scenario.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::minutes;
using std::chrono::seconds;
using ::testing::HasSubstr;

class TroubleTest : public Scenario {
 protected:
  // The namespace has room for so many Pods, of which none is ours yet.
  void Quota(size_t pods) {
    world.cluster.RefuseWrites([this, pods](const kube::Resource& resource,
                                            const std::string& verb) -> std::optional<Error> {
      if (resource.plural != kube::kPods.plural || verb != "create") return std::nullopt;
      if (world.cluster.Objects(kube::kPods).size() < pods) return std::nullopt;
      return Error{Code::kResourceExhausted, "exceeded quota"};
    });
  }
  void AnnouncesReady(int times) {
    EXPECT_EQ(world.Announced("RequestReady").size(), static_cast<size_t>(times));
  }
  std::string OnlyPod() const { return world.PodNames().at(0); }
  void LoseNodeOf(const std::string& pod) {
    const auto object = world.cluster.Object(kube::kPods, kNs, pod);
    const std::string node(kube::StringAt(*object, "/spec/nodeName"));
    world.LoseNode(node, /*dies=*/false);
  }
};

TEST_F(TroubleTest, PodsThatQuotaForbidsDoNotKeepIdleOnesFromGoing) {
  world.AddBasics();
  Quota(2);
  world.AddRequest("r", 4, 4, 20);
  ASSERT_TRUE(Available(2));
  EXPECT_TRUE(world.RunUntil([&] { return world.LivePods() == 0; }, seconds(300)));
  EXPECT_EQ(world.Request("r")->status.desired_pods, 0);
}

TEST_F(TroubleTest, OnePodInTroubleDoesNotKeepTheCrewFromGrowing) {
  world.AddBasics();
  Quota(2);
  world.AddRequest("r", 3, 5, 100'000);
  ASSERT_TRUE(Available(2));
  world.Run(seconds(12));
  EXPECT_EQ(world.Request("r")->status.desired_pods, 3);
  for (const std::string& pod : world.PodNames()) world.cpu[pod] = 190;
  EXPECT_TRUE(
      world.RunUntil([&] { return world.Request("r")->status.desired_pods > 3; }, seconds(30)));
  // Two of four that cannot start are enough to know.
  world.Run(minutes(3));
  EXPECT_EQ(world.Request("r")->status.desired_pods, 4);
}

// A pull that hangs, or a kubelet that is away: neither says a word by itself.
TEST_F(TroubleTest, AContainerThatDoesNotComeIsSaid) {
  world.AddBasics();
  world.kubelets_work = false;
  world.AddRequest("r", 1, 1, 600);
  const auto says = [&] { return world.Condition("r", "PodsProvisioned"); };
  world.Run(seconds(1));
  world.cluster.Edit(kube::kPods, kNs, OnlyPod(),
                     [](Json& object) { object["spec"]["nodeName"] = "node-1"; });
  world.Run(seconds(19));
  EXPECT_EQ(says()->reason, "CreatingPods");
  ASSERT_TRUE(world.RunUntil([&] { return says()->reason == "ContainerCreating"; }, seconds(25)));
  EXPECT_THAT(says()->message, HasSubstr("still makes its container (pulls the image"));
  EXPECT_THAT(world.cluster.events(), testing::Contains("ContainerCreating"));
  world.kubelets_work = true;
  EXPECT_TRUE(Available(1));
}

// It may yet come: the next step waits for it, as for any that is on its way.
TEST_F(TroubleTest, ASlowPullDoesNotMakeTheCrewGrowOn) {
  Begin(1, 8);
  const std::string first = OnlyPod();
  world.Run(seconds(12));
  world.kubelets_work = false;
  world.cpu[first] = 130;
  const auto desired = [&] { return world.Request("r")->status.desired_pods; };
  ASSERT_TRUE(world.RunUntil([&] { return desired() > 1; }, seconds(30)));
  const int wanted = desired();
  world.Run(seconds(1));
  for (const std::string& pod : world.PodNames()) {
    world.cluster.Edit(kube::kPods, kNs, pod,
                       [](Json& object) { object["spec"]["nodeName"] = "node-1"; });
  }
  const auto says = [&] { return world.Condition("r", "PodsProvisioned")->reason; };
  ASSERT_TRUE(world.RunUntil([&] { return says() == "ContainerCreating"; }, seconds(45)));
  world.Run(seconds(60));
  EXPECT_EQ(desired(), wanted);
}

// A pull that hangs says nothing, and without an end to the wait for it the crew would never grow.
TEST_F(TroubleTest, APullThatHangsHoldsTheCrewUpUntilItsDeadlineOnly) {
  Begin(2, 8);
  const auto first = world.PodNames();
  world.Run(seconds(12));
  world.kubelets_work = false;
  for (const std::string& pod : first) world.cpu[pod] = 130;
  const auto desired = [&] { return world.Request("r")->status.desired_pods; };
  ASSERT_TRUE(world.RunUntil([&] { return desired() == 3; }, seconds(30)));
  world.Run(seconds(1));
  for (const std::string& pod : world.PodNames()) {
    world.cluster.Edit(kube::kPods, kNs, pod,
                       [](Json& object) { object["spec"]["nodeName"] = "node-1"; });
  }
  world.Run(minutes(9));
  EXPECT_EQ(desired(), 3);
  ASSERT_TRUE(world.RunUntil([&] { return desired() == 4; }, minutes(2)));
  const auto condition = world.Condition("r", "PodsProvisioned");
  EXPECT_EQ(condition->reason, "StartDeadlineExceeded");
  EXPECT_THAT(condition->message, HasSubstr("has made no container in 10m00s"));
}

TEST_F(TroubleTest, ReadyIsAnnouncedOnceThoughADecisionCameBetween) {
  world.AddBasics();
  world.kubelets_work = false;
  world.AddRequest("r", 1, 3, 100'000);
  world.cluster.Edit(kube::kComputeRequests, kNs, "r",
                     [](Json& object) { object["spec"]["scaling"]["demandPolicy"] = "Follow"; });
  world.Run(seconds(1));
  world.AddOperation("a", "r");
  world.AddOperation("b", "r");
  world.Run(seconds(2));
  AnnouncesReady(0);
  world.kubelets_work = true;
  EXPECT_TRUE(Reaches("a", api::kSucceeded));
  EXPECT_TRUE(Reaches("b", api::kSucceeded));
  AnnouncesReady(1);
  // One that falls silent and comes back is no news.
  world.Run(seconds(12));
  world.Break(*world.WorkerOf(OnlyPod()), std::chrono::milliseconds(0), seconds(8));
  world.Run(seconds(16));
  world.Restart();
  world.Run(seconds(8));
  AnnouncesReady(1);
}

TEST_F(TroubleTest, TheRowOfABusyPodGoesWhenItsWorkIsDone) {
  Begin(1, 1);
  Start(30);
  const std::string pod = PodOf("op"), uid = world.WorkerOf(pod)->uid;
  world.cluster.UserDelete(kube::kBackupPods, kNs, pod);
  world.Run(seconds(10));
  EXPECT_EQ(State("op"), api::kRunning);
  EXPECT_THAT(world.cluster.deleted_pods(), testing::IsEmpty());
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_EQ(AttemptOf("op"), 1);
  ASSERT_TRUE(Available(1)) << "another has come for it";
  EXPECT_NE(world.WorkerOf(OnlyPod())->uid, uid);
  world.cluster.ForgetCreated();  // the second one has the name of the first
  const auto told = world.Announced("PodDeconstructed");
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].data["reason"], kReasonRowDeleted);
}

TEST_F(TroubleTest, AnIdlePodWhoseRowIsDeletedIsReplaced) {
  Begin(1, 1);
  const std::string pod = OnlyPod(), uid = world.WorkerOf(pod)->uid;
  world.cluster.UserDelete(kube::kBackupPods, kNs, pod);
  ASSERT_TRUE(world.RunUntil([&] {
    const auto names = world.PodNames();
    return names.size() == 1 && world.WorkerOf(names[0]) && world.WorkerOf(names[0])->uid != uid;
  }));
  EXPECT_TRUE(Available(1));
  EXPECT_EQ(world.Announced("PodsWithdrawn").size(), 1u);
  world.cluster.ForgetCreated();  // the second one has the name of the first
}

// Its finalizer was taken off: the cluster collects the Pod, which finishes what it has.
TEST_F(TroubleTest, ARowThatIsRemovedByForceGetsNoSecondPodWhileTheFirstRuns) {
  Begin(1, 1);
  Start(30);
  const std::string pod = PodOf("op");
  world.cluster.Remove(kube::kBackupPods, kNs, pod);
  world.cluster.UserDelete(kube::kPods, kNs, pod);
  world.Run(seconds(20));
  EXPECT_EQ(world.LivePods(), 1);
  EXPECT_EQ(world.cluster.created_pods().size(), 1u) << "the leaving Pod is not adopted either";
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_EQ(AttemptOf("op"), 1) << "what it did before it left counts";
  EXPECT_TRUE(Available(1));
  world.cluster.ForgetCreated();  // the second one has the name of the first
}

TEST_F(TroubleTest, ALostNodeHoldsUpNeitherCrewNorOperationForEver) {
  Begin(1, 2);
  world.Run(seconds(12));
  Start(10'000);
  const std::string pod = PodOf("op");
  LoseNodeOf(pod);
  world.Run(minutes(1));
  EXPECT_EQ(State("op"), api::kRunning);
  world.cluster.UserDelete(kube::kPods, kNs, pod);  // by the taint manager
  world.seconds_of_work = 3;
  ASSERT_TRUE(Reaches("op", api::kInterrupted, seconds(300)));
  const auto row = Find<api::BackupPod>(world.cluster, kNs, pod);
  EXPECT_EQ(row->status.state, api::kLost);
  EXPECT_EQ(row->status.reason, kReasonNodeLost);
  EXPECT_THAT(row->status.message, HasSubstr("out-of-service"));
  world.Run(minutes(10));
  EXPECT_EQ(State("op"), api::kInterrupted) << "nobody knows that it does not work";
  EXPECT_EQ(world.InState("r", api::kAvailable), 1) << "another one has come for it";
  EXPECT_EQ(world.LivePods(), 2);
  // Somebody deletes the Node: its Pods are collected.
  world.lost_nodes.clear();
  world.cluster.Remove(kube::kPods, kNs, pod);
  EXPECT_TRUE(Reaches("op", api::kSucceeded));
  EXPECT_EQ(AttemptOf("op"), 2);
}

TEST_F(TroubleTest, AnIdlePodOfALostNodeIsReplacedWithinMax) {
  Begin(1, 2);
  world.Run(seconds(12));
  const std::string pod = OnlyPod();
  LoseNodeOf(pod);
  EXPECT_TRUE(world.RunUntil(
      [&] {
        return world.InState("r", api::kAvailable) == 1 && world.InState("r", api::kLost) == 1;
      },
      minutes(10)));
  EXPECT_EQ(world.LivePods(), 2);
}

}  // namespace
}  // namespace longshore::controller
