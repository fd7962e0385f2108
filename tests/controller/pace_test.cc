// SPDX-License-Identifier: Apache-2.0
//
// How fast pods are made: at most ten a second, and one by one after a failure.
#include "controller/pace.h"

#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr MonotonicTime kStart = MonotonicTime(std::chrono::hours(5));

TEST(TokenBucketTest, GivesABurstAndThenOneAnInterval) {
  struct Case {
    const char* name;
    int burst;
    std::vector<int> asked_ms, ready_ms;
  };
  const Case cases[] = {
      {"no burst: one an interval", 1, {0, 0, 0}, {0, 100, 200}},
      {"a burst, then one an interval", 3, {0, 0, 0, 0, 0}, {0, 0, 0, 100, 200}},
      {"a token that is there is not waited for", 1, {0, 100, 350}, {0, 100, 350}},
      {"a rest fills it again", 2, {0, 0, 0, 1000, 1000, 1000}, {0, 0, 100, 1000, 1000, 1100}},
      {"and no further than the burst", 2, {0, 99000, 99000, 99000}, {0, 99000, 99000, 99100}},
      {"half a rest, half of it", 2, {0, 0, 0, 200, 200}, {0, 0, 100, 200, 300}},
  };
  for (const Case& one : cases) {
    TokenBucket bucket(milliseconds(100), one.burst);
    std::vector<int> ready;
    for (const int asked : one.asked_ms) {
      const auto at = bucket.Reserve(kStart + milliseconds(asked)) - kStart;
      ready.push_back(static_cast<int>(std::chrono::duration_cast<milliseconds>(at).count()));
    }
    EXPECT_EQ(ready, one.ready_ms) << one.name;
  }
}

class PaceTest : public WorldTest {
 protected:
  void SetUp() override { world.AddBasics(); }
  void RefusePods(const std::function<bool()>& refuse) {
    world.cluster.RefuseWrites([this, refuse](const kube::Resource& resource,
                                              const std::string& verb) -> std::optional<Error> {
      if (resource.plural != kube::kPods.plural || verb != "create") return std::nullopt;
      if (++tried_; !refuse()) return std::nullopt;
      return Error{Code::kResourceExhausted, "exceeded quota"};
    });
  }
  int tried_ = 0;  // creations of Pods
};

// 120 pods: 50 at once, the rest at ten a second, and each request its part of them.
TEST_F(PaceTest, ManyRequestsAtOnceAreServedOneAfterTheOtherAndNoneIsForgotten) {
  constexpr int kRequests = 30;
  world.max_pods = 120;
  for (int i = 0; i < kRequests; ++i) {
    world.AddRequest("r" + std::to_string(i), 4, 4, 100'000);
  }
  const auto created = [&] { return static_cast<int>(world.cluster.created_pods().size()); };
  const MonotonicTime start = world.clock.Monotonic();
  world.Run(milliseconds(250));
  EXPECT_GE(created(), 45);
  const bool all = world.RunUntil(
      [&] {
        const auto passed = std::chrono::duration<double>(world.clock.Monotonic() - start).count();
        EXPECT_LE(created(), 50 + static_cast<int>(10 * passed) + 1);
        return created() == 120;
      },
      seconds(9));
  EXPECT_TRUE(all) << created() << " pods";
  EXPECT_GE(world.clock.Monotonic() - start, seconds(6));
  EXPECT_TRUE(world.RunUntil([&] {
    for (int i = 0; i < kRequests; ++i) {
      if (world.InState("r" + std::to_string(i), api::kAvailable) != 4) return false;
    }
    return true;
  }));
}

TEST_F(PaceTest, AfterARefusalOnePodAtATimeIsTriedAndAllWhenItIsLifted) {
  bool full = true;
  RefusePods([&] { return full; });
  world.AddRequest("r", 8, 8, 100'000);
  world.Run(seconds(30));
  EXPECT_EQ(world.Condition("r", "PodsProvisioned")->reason, "QuotaExceeded");
  EXPECT_THAT(world.cluster.events(), testing::Contains("QuotaExceeded"));
  EXPECT_LE(tried_, 16) << "eight that try by themselves make some eighty attempts";
  EXPECT_GE(tried_, 5);
  full = false;
  EXPECT_TRUE(Available(8));
}

// It is waited for: 0, 5, 10, 20, 40 s, then once a minute; twice at first, as its row has changed.
TEST_F(PaceTest, AQuotaIsLookedAtAgainLessAndLessOftenAndIsNoError) {
  bool full = true;
  RefusePods([&] { return full; });
  world.AddRequest("r", 1, 1, 100'000);
  world.Run(seconds(30));
  EXPECT_GE(tried_, 4);
  world.Run(std::chrono::minutes(5));
  EXPECT_LE(tried_, 12);
  EXPECT_EQ(world.ReconcileErrors(), 0u);
  EXPECT_EQ(world.Rows("r")[0].status.message,
            "exceeded quota; raise the namespace's ResourceQuota, or lower spec.pods.max of the "
            "request or spec.resources of the PodPolicy");
  full = false;
  EXPECT_TRUE(
      world.RunUntil([&] { return world.InState("r", api::kAvailable) == 1; }, seconds(70)));
}

TEST_F(PaceTest, WhyAPodIsRefusedIsSaidWithWhatHelps) {
  struct Case {
    Code code;
    const char* reason;
    const char* remedy;
  };
  const Case cases[] = {
      {Code::kPermissionDenied, "NotPermitted", "no; bind ClusterRole longshore-backup-namespace"},
      {Code::kInvalidArgument, "PodRejected", "no; correct the PodPolicy or the SourceImage"},
      {Code::kUnavailable, "APIUnavailable", "no"},
  };
  for (const Case& one : cases) {
    world.cluster.RefuseWrites(
        [&](const kube::Resource& resource, const std::string& verb) -> std::optional<Error> {
          if (resource.plural != kube::kPods.plural || verb != "create") return std::nullopt;
          return Error{one.code, "no"};
        });
    const uint64_t before = world.ReconcileErrors();
    world.AddRequest(one.reason, 1, 1, 100'000);
    world.Run(seconds(5));
    EXPECT_EQ(world.ReconcileErrors() > before, one.code == Code::kUnavailable)
        << "what is refused is no error of ours: " << one.reason;
    const api::BackupPod row = world.Rows(one.reason).at(0);
    EXPECT_EQ(row.status.reason, one.reason);
    EXPECT_THAT(row.status.message, testing::StartsWith(one.remedy));
  }
}

TEST_F(PaceTest, ANewControllerIsRefusedOnceOrTwiceAndIsSlowAgain) {
  RefusePods([] { return true; });
  world.AddRequest("r", 8, 8, 100'000);
  world.Run(seconds(30));
  tried_ = 0;
  world.Restart();
  world.Run(milliseconds(250));
  EXPECT_GE(tried_, 1);
  EXPECT_LE(tried_, 5) << "in a quarter of a second, not all eight";
}

TEST_F(PaceTest, AfterAnImageThatCannotBePulledOnePodAtATimeIsStartedThenTwoThenFour) {
  world.kubelets_work = false;
  world.AddRequest("r", 1, 8, 100'000);
  world.Run(seconds(1));
  world.cluster.Edit(kube::kPods, kNs, world.PodNames()[0], [](Json& object) {
    object["spec"]["nodeName"] = "node-1";
    object["status"]["containerStatuses"] = {
        {{"state", {{"waiting", {{"reason", "ErrImagePull"}, {"message", "no such manifest"}}}}}}};
  });
  world.Run(seconds(40));
  ASSERT_EQ(world.Condition("r", "PodsProvisioned")->reason, "ImagePullFailed");
  world.cluster.Edit(kube::kComputeRequests, kNs, "r",
                     [](Json& object) { object["spec"]["pods"]["initial"] = 8; });
  world.Run(seconds(15));
  EXPECT_EQ(world.LivePods(), 2) << "one more is tried";
  std::vector<int> steps;
  for (int i = 0; i < 5; ++i) {
    world.kubelets_work = true;
    world.Run(milliseconds(250));  // all that are there start, their workers dial in
    world.kubelets_work = false;
    world.Run(seconds(2));
    steps.push_back(world.LivePods());
  }
  EXPECT_EQ(steps.back(), 8);
  EXPECT_LT(steps.front(), 8) << "not all at once";
  world.kubelets_work = true;
  EXPECT_TRUE(Available(8));
}

}  // namespace
}  // namespace longshore::controller
