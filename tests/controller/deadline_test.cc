// SPDX-License-Identifier: Apache-2.0
//
// A request with a deadline, in the miniature cluster.
#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::seconds;
using testing::HasSubstr;

constexpr int64_t kBytes = 600'000;  // of an operation, in 60 s

class DeadlineTest : public WorldTest {
 protected:
  void SetUp() override {
    world.AddBasics();
    world.seconds_of_work = 60;
    world.bytes_of_work = kBytes;
    world.next_copy.set_bytes(kBytes);
  }
  void SetDeadline(seconds in) {
    world.cluster.Edit(kube::kComputeRequests, kNs, "r", [&](Json& object) {
      object["spec"]["deadline"] = FormatTimeSeconds(world.clock.Now() + in);
    });
  }
  std::string Says() {
    const api::Condition* condition = world.Condition("r", "DeadlineAtRisk");
    return condition == nullptr ? "" : condition->status + " " + condition->reason;
  }
  bool Comes(const std::string& wanted, seconds limit = seconds(60)) {
    return world.RunUntil([&] { return Says() == wanted; }, limit);
  }
  int Desired() { return world.Request("r")->status.desired_pods; }
  // Copies of the part that the operations are of: their size is known then.
  void CopyOnce() {
    world.AddOperation("first", "r");
    ASSERT_TRUE(world.RunUntil(
        [&] { return world.Operation("first")->status.state == api::kSucceeded; }, seconds(120)));
  }
  void Queue(int count, const std::string& prefix = "op-") {
    for (int i = 0; i < count; ++i) world.AddOperation(prefix + std::to_string(i), "r");
  }
};

// The same time on each day: when it has passed, what comes then has until the next.
TEST_F(DeadlineTest, ADailyDeadlineIsHeldOnEachDay) {
  world.AddRequest("r", 1, 6, 100'000);
  CopyOnce();
  const auto set_daily = [&](seconds in) -> WallTime {
    const WallTime at = std::chrono::floor<std::chrono::minutes>(world.clock.Now() + in);
    world.cluster.Edit(kube::kComputeRequests, kNs, "r", [&](Json& object) {
      object["spec"]["dailyDeadline"] = FormatTimeSeconds(at).substr(11, 5) + "Z";
    });
    return at;
  };
  set_daily(std::chrono::hours(23));
  EXPECT_TRUE(Comes("False OnTrack", seconds(15)));
  Queue(6);
  const WallTime today = set_daily(seconds(185 + 60));
  ASSERT_TRUE(Comes("True PredictedLate", seconds(30)));
  ASSERT_TRUE(world.RunUntil([&] { return Desired() >= 2; }, seconds(30)));
  EXPECT_EQ(world.Request("r")->status.last_decision.cause, "DeadlineAtRisk");
  EXPECT_TRUE(Comes("False OnTrack", seconds(300)));
  ASSERT_TRUE(world.RunUntil([&] { return world.clock.Now() > today; }, seconds(300)));
  for (int i = 0; i < 6; ++i) EXPECT_EQ(StateOf("op-" + std::to_string(i)), api::kSucceeded);
  const auto message = [&] { return world.Condition("r", "DeadlineAtRisk")->message; };
  EXPECT_EQ(message(), "no operation is left");
  Queue(6, "next-");
  EXPECT_TRUE(world.RunUntil([&] { return message() != "no operation is left"; }, seconds(6)));
  EXPECT_THAT(message(), HasSubstr("in time"));
  EXPECT_EQ(Says(), "False OnTrack");
  const auto finish = ParseTime(world.Request("r")->status.predicted_finish_time);
  ASSERT_TRUE(finish);
  EXPECT_GT(*finish, today);
}

TEST_F(DeadlineTest, CrewGrowsAsFarAsTheDeadlineTakesAndNoFurther) {
  world.AddRequest("r", 1, 6, 600);
  EXPECT_TRUE(Comes("False NotConfigured"));
  CopyOnce();
  Queue(6);
  SetDeadline(seconds(185));  // 360 s of work for one pod, 450 s with the reserve
  ASSERT_TRUE(Comes("True PredictedLate", seconds(15)));
  EXPECT_FALSE(world.Request("r")->status.predicted_finish_time.empty());
  ASSERT_TRUE(world.RunUntil([&] { return Desired() == 3; }, seconds(30)));
  EXPECT_EQ(world.Request("r")->status.last_decision.cause, "DeadlineAtRisk");
  EXPECT_TRUE(Comes("False OnTrack", seconds(30)));
  EXPECT_EQ(Desired(), 3);
  const auto& events = world.cluster.events();
  EXPECT_EQ(std::count(events.begin(), events.end(), "PredictedLate"), 1);
}

TEST_F(DeadlineTest, ADeadlineThatIsOverIsSaidBeforeThereIsWork) {
  world.AddRequest("r", 1, 2, 600);
  SetDeadline(seconds(-60));
  ASSERT_TRUE(Comes("False OnTrack", seconds(15)));
  EXPECT_THAT(world.Condition("r", "DeadlineAtRisk")->message,
              HasSubstr("the deadline is over: set another"));
  Queue(1);
  EXPECT_TRUE(Comes("True Infeasible", seconds(6)));
}

TEST_F(DeadlineTest, SaysAtOnceThatACapMakesItInfeasible) {
  world.AddRequest("r", 1, 2, 600);
  CopyOnce();
  Queue(6);
  SetDeadline(seconds(185));
  ASSERT_TRUE(Comes("True Infeasible", seconds(15)));
  EXPECT_THAT(world.Condition("r", "DeadlineAtRisk")->message,
              HasSubstr("3 pods would make it, but spec.pods.max is 2: raise it"));
  EXPECT_TRUE(world.RunUntil([&] { return Desired() == 2; }, seconds(30)))
      << "what can be done is done";
  EXPECT_EQ(world.Condition("r", "ScalingLimited")->reason, "MaxPods");
}

TEST_F(DeadlineTest, UnknownSizesAreNoEstimateAndBringNoPods) {
  world.AddRequest("r", 1, 6, 600);
  world.bytes_of_work = 0;
  Queue(6);
  SetDeadline(seconds(100));
  ASSERT_TRUE(Comes("Unknown NoEstimate"));
  world.Run(seconds(40));
  EXPECT_EQ(Says(), "Unknown NoEstimate");
  EXPECT_EQ(Desired(), 1);
  EXPECT_EQ(world.Request("r")->status.predicted_finish_time, "");
}

TEST_F(DeadlineTest, AnEstimateThatHoldsIsWrittenOnce) {
  world.AddRequest("r", 1, 6, 600);
  CopyOnce();
  Queue(1);
  SetDeadline(seconds(600));
  ASSERT_TRUE(Comes("False OnTrack"));
  world.Run(seconds(12));
  const std::string version = world.Request("r")->metadata.resource_version;
  world.Run(seconds(25));
  EXPECT_EQ(world.Request("r")->metadata.resource_version, version);
}

}  // namespace
}  // namespace longshore::controller
