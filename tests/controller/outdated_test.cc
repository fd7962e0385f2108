// SPDX-License-Identifier: Apache-2.0
//
// Pods that would be made otherwise now, since their image or their policy has been changed.
#include "controller/pod_reconciler.h"
#include "controller/pod_template.h"
#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::seconds;

constexpr char kNewImage[] = "postgresql@sha256:2";

class OutdatedTest : public WorldTest {
 protected:
  void SetUp() override { world.AddBasics(); }
  void SetImage() {
    world.cluster.Edit(kube::kSourceImages, "", "postgresql-17",
                       [](Json& object) { object["spec"]["image"] = kNewImage; });
  }
  void SetPolicy(const char* field, int64_t value) {
    world.cluster.Edit(kube::kPodPolicies, kNs, "standard",
                       [&](Json& object) { object["spec"][field] = value; });
  }
  // So many pods, none of which can pull its image.
  void BeginWithoutImage(int pods) {
    world.kubelets_work = false;
    world.AddRequest("r", pods, pods, 100'000);
    world.Run(seconds(1));
    for (const std::string& pod : world.PodNames()) world.without_image.insert(pod);
    world.kubelets_work = true;
    world.Run(seconds(40));
    ASSERT_EQ(world.Condition("r", "PodsProvisioned")->reason, "ImagePullFailed");
  }
  // Of the rows that have not ended.
  bool AllOfNewImage() {
    const auto rows = world.Rows("r");
    return std::all_of(rows.begin(), rows.end(), [](const api::BackupPod& row) {
      return api::Ended(row.status.state) || row.spec.image == kNewImage;
    });
  }
  int PodsAsUser(int64_t user) {
    int count = 0;
    for (const kube::ObjectPtr& pod : world.cluster.Objects(kube::kPods)) {
      if ((*pod)["spec"]["securityContext"]["runAsUser"] == user) ++count;
    }
    return count;
  }
  int Deconstructed(const char* reason) {
    const auto rows = world.Rows("r");
    return static_cast<int>(std::count_if(rows.begin(), rows.end(), [&](const auto& row) {
      return row.status.state == api::kDeconstructed && row.status.reason == reason;
    }));
  }
};

// Work that waits is waiting for just that.
TEST_F(OutdatedTest, PodsThatCannotStartTakeTheCorrectedImage) {
  BeginWithoutImage(2);
  world.AddOperation("op", "r");
  world.Run(seconds(5));
  SetImage();
  EXPECT_TRUE(world.RunUntil([&] { return StateOf("op") == api::kSucceeded; }));
  EXPECT_TRUE(Available(2));
  EXPECT_TRUE(AllOfNewImage());
}

TEST_F(OutdatedTest, RowsWhosePodsAreRefusedTakeTheCorrectedImage) {
  world.cluster.RefuseWrites(
      [](const kube::Resource& resource, const std::string& verb) -> std::optional<Error> {
        if (resource.plural != kube::kPods.plural || verb != "create") return std::nullopt;
        return Error{Code::kInvalidArgument, "images of that registry are not allowed"};
      });
  world.AddRequest("r", 3, 3, 100'000);
  world.Run(seconds(40));
  ASSERT_EQ(world.Condition("r", "PodsProvisioned")->reason, "PodRejected");
  const auto& events = world.cluster.events();
  EXPECT_EQ(std::count(events.begin(), events.end(), "PodRejected"), 1);
  SetImage();
  EXPECT_TRUE(world.RunUntil([&] { return AllOfNewImage(); })) << "those held back too";
  world.cluster.RefuseWrites(nullptr);
  EXPECT_TRUE(Available("r", 3, seconds(120)));
}

// The one that goes counts until it has gone (audit.h).
TEST_F(OutdatedTest, ReplacementsStayWithinTheCapOfTheNamespace) {
  world.max_pods = 2;
  SetPolicy("maxPodsPerNamespace", 2);
  world.AddRequest("r", 2, 4, 100'000);
  ASSERT_TRUE(Available(2));
  SetImage();
  EXPECT_TRUE(world.RunUntil(
      [&] { return AllOfNewImage() && world.InState("r", api::kAvailable) == 2; }, seconds(120)));
}

TEST_F(OutdatedTest, AChangedPolicyReachesIdlePodsOneAtATimeAndBusyOnesWhenTheyAreFree) {
  world.AddRequest("r", 3, 3, 100'000);
  ASSERT_TRUE(Available(3));
  world.seconds_of_work = 120;
  world.AddOperation("op", "r");
  ASSERT_TRUE(world.RunUntil([&] { return StateOf("op") == api::kRunning; }));
  SetPolicy("runAsUser", 1000);
  EXPECT_TRUE(world.RunUntil([&] {
    EXPECT_GE(world.InState("r", api::kAvailable) + world.InState("r", api::kAssigned), 2);
    return PodsAsUser(1000) == 2 && world.InState("r", api::kAvailable) == 2;
  }));
  world.Run(seconds(30));
  EXPECT_EQ(StateOf("op"), api::kRunning);
  EXPECT_EQ(Deconstructed(kReasonPolicyChanged), 2);
  EXPECT_TRUE(world.RunUntil([&] { return PodsAsUser(1000) == 3; }, seconds(120)));
  EXPECT_EQ(StateOf("op"), api::kSucceeded);
  EXPECT_TRUE(Available(3));
  EXPECT_EQ(world.cluster.created_pods().size(), 6u) << "and that was all";
}

TEST_F(OutdatedTest, PodsThatCannotStartTakeTheCorrectedPolicy) {
  BeginWithoutImage(2);
  SetPolicy("runAsUser", 1000);
  EXPECT_TRUE(Available(2));
  EXPECT_EQ(Deconstructed(kReasonPolicyChanged), 2);
}

TEST_F(OutdatedTest, CapsAndControllersOfAnotherVersionReplaceNothing) {
  world.AddRequest("r", 2, 2, 100'000);
  ASSERT_TRUE(Available(2));
  SetPolicy("maxPodsPerNode", 9);
  SetPolicy("maxPodsPerNamespace", 9);
  world.Run(seconds(30));
  EXPECT_EQ(world.cluster.created_pods().size(), 2u);
  for (const std::string& pod : world.PodNames()) {  // made before there was the label
    world.cluster.Edit(kube::kPods, kNs, pod,
                       [](Json& object) { object["metadata"]["labels"].erase(kLabelPolicyHash); });
  }
  SetPolicy("runAsUser", 1000);
  world.Run(seconds(30));
  EXPECT_EQ(world.cluster.created_pods().size(), 2u);
}

}  // namespace
}  // namespace longshore::controller
