// SPDX-License-Identifier: Apache-2.0
//
// A request that is resized while its pods run (PATCH, `longshore request scale`).
#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::seconds;

class ResizeTest : public WorldTest {
 protected:
  bool Running(const std::vector<std::string>& operations) {
    return world.RunUntil([&] {
      for (const std::string& name : operations) {
        if (world.Operation(name)->status.state != api::kRunning) return false;
      }
      return true;
    });
  }
  void Resize(int initial) {
    world.cluster.Edit(kube::kComputeRequests, kNs, "r",
                       [&](Json& object) { object["spec"]["pods"]["initial"] = initial; });
  }
};

TEST_F(ResizeTest, ChangedInitialBringsPodsAndTakesFreeOnesAway) {
  world.AddBasics();
  world.AddRequest("r", 1, 4, 600);
  ASSERT_TRUE(Available(1));
  Resize(3);
  ASSERT_TRUE(Available(3));
  EXPECT_EQ(world.Request("r")->status.last_decision.cause, "Resized");
  EXPECT_EQ(world.Announced("PodsAvailable").back().data["cause"], "Resized");
  Resize(1);
  ASSERT_TRUE(world.RunUntil([&] { return world.LivePods() == 1; }, seconds(10)));
  EXPECT_EQ(world.Request("r")->status.desired_pods, 1);
  // It is a wish for now: later decisions are not undone by it.
  world.Run(seconds(30));
  EXPECT_EQ(world.Request("r")->status.desired_pods, 1);
}

TEST_F(ResizeTest, LoweredInitialLeavesBusyPodsTheirOperation) {
  world.AddBasics();
  world.AddRequest("r", 3, 4, 600);
  ASSERT_TRUE(Available(3));
  world.seconds_of_work = 20;
  for (const char* name : {"a", "b"}) world.AddOperation(name, "r");
  ASSERT_TRUE(Running({"a", "b"}));
  Resize(1);
  world.Run(seconds(5));
  EXPECT_EQ(world.LivePods(), 2) << "the free one has gone, the busy ones work";
  ASSERT_TRUE(world.RunUntil([&] { return world.LivePods() == 1; }));
  for (const char* name : {"a", "b"}) {
    EXPECT_EQ(world.Operation(name)->status.state, api::kSucceeded);
    EXPECT_EQ(world.Operation(name)->status.attempt, 1);
  }
}

// Usage has the word after it: what grew is not taken back because initial is what it was.
TEST_F(ResizeTest, UnchangedInitialDoesNotUndoGrowth) {
  world.AddBasics();
  world.AddRequest("r", 1, 2, 600);
  ASSERT_TRUE(Available(1));
  world.cpu[world.Rows("r")[0].metadata.name] = 180;
  ASSERT_TRUE(Available(2));
  world.Restart();
  world.Run(seconds(20));
  EXPECT_EQ(world.InState("r", api::kAvailable), 2);
}

}  // namespace
}  // namespace longshore::controller
