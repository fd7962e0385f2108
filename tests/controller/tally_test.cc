// SPDX-License-Identifier: Apache-2.0
//
// What the reconcilers count, in the miniature cluster.
#include "tests/common/metrics/exposed.h"
#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

using std::chrono::seconds;

class TallyTest : public WorldTest {
 protected:
  TallyTest() { world.AddBasics(); }
  double Value(const std::string& series) {
    return metrics::ValueOf(world.registry.Text(), "longshore_controller_" + series);
  }
};

TEST_F(TallyTest, ACrossingIsTimedToItsDecisionAndToThePodThatItBrought) {
  world.AddRequest("r", 1, 2, 600);
  ASSERT_TRUE(Available(1));
  EXPECT_EQ(Value("planned_to_available_seconds_count"), 1);
  EXPECT_EQ(Value("crossing_to_announced_seconds_count"), 0) << "it was asked for";
  world.cpu[world.PodNames()[0]] = 180;
  ASSERT_TRUE(Available(2));
  EXPECT_EQ(Value("crossing_to_decision_seconds_count"), 1);
  EXPECT_EQ(Value("sample_to_decision_seconds_count"), 1);
  EXPECT_EQ(Value("crossing_to_announced_seconds_count"), 1);
  // The window of two samples is no time of ours, starting a pod is none of the decision's.
  EXPECT_LE(Value("sample_to_decision_seconds_sum"), 0.5);
  EXPECT_GE(Value("crossing_to_decision_seconds_sum"), 1);
  EXPECT_GT(Value("crossing_to_announced_seconds_sum"), Value("crossing_to_decision_seconds_sum"));
}

// What comes back after a silence was not provisioned anew.
TEST_F(TallyTest, APodThatIsBackAfterASilenceIsNotTimedAgain) {
  world.AddRequest("r", 1, 1, 600);
  ASSERT_TRUE(Available(1));
  world.Run(seconds(15));  // a new leader listens
  world.drop_from_workers = true;
  ASSERT_TRUE(Available(0));
  world.drop_from_workers = false;
  ASSERT_TRUE(Available(1));
  EXPECT_EQ(world.Announced("PodsAvailable").back().data["cause"], "Reconnected");
  EXPECT_EQ(Value("planned_to_available_seconds_count"), 1);
}

TEST_F(TallyTest, ALimitIsCountedOnceForEachTimeThatACrewRunsIntoIt) {
  world.AddRequest("r", 1, 1, 600);
  ASSERT_TRUE(Available(1));
  const auto limited = [&](const char* reason) {
    return world.RunUntil([&] { return world.Condition("r", "ScalingLimited")->reason == reason; });
  };
  double& cpu = world.cpu[world.PodNames()[0]];
  for (int i = 1; i <= 2; ++i) {
    cpu = 180;
    ASSERT_TRUE(limited("MaxPods"));
    world.Run(seconds(10));
    EXPECT_EQ(Value("scaling_limited_total{limit=\"MaxPods\"}"), i);
    cpu = 5;
    ASSERT_TRUE(limited("WithinRange"));
  }
}

TEST_F(TallyTest, EachKeyOfTheQueueIsTimedByItsKind) {
  world.AddRequest("r", 1, 1, 600);
  world.AddOperation("a", "r");
  ASSERT_TRUE(
      world.RunUntil([&] { return world.Operation("a")->status.state == api::kSucceeded; }));
  for (const char* kind : {"request", "pod", "operation"}) {
    EXPECT_GE(Value(std::string("reconcile_duration_seconds_count{kind=\"") + kind + "\"}"), 1)
        << kind;
  }
}

}  // namespace
}  // namespace longshore::controller
