// SPDX-License-Identifier: Apache-2.0
#include "common/placement/score_view.h"

#include <gtest/gtest.h>

namespace longshore::placement {
namespace {

NodeScore Explained() {
  NodeScore score;
  score.node = "n1";
  score.tier = Tier::kRack;
  score.feasible = false;
  score.score = 71;
  score.locality_points = 63;
  score.pressure_points = 2;
  score.room_points = 4;
  score.image_points = 2;
  score.reasons = {"one", "two"};
  score.inputs = {{.cpu_used_milli = 3000,
                   .cpu_capacity_milli = 4000,
                   .psi_cpu_permille = 10,
                   .psi_io_permille = 250,
                   .psi_memory_permille = 0,
                   .psi_valid = true,
                   .age_ms = 700},
                  -500,
                  int64_t{3} << 30,
                  12,
                  3,
                  true};
  return score;
}

TEST(ScoreViewTest, ShowsPointsAndWhatTheyWereGivenFor) {
  EXPECT_EQ(ScoreView(Explained()), *api::ParseJson(R"({
    "node": "n1", "tier": "Rack", "feasible": false, "score": 71, "localityPoints": 63,
    "pressurePoints": 2, "roomPoints": 4, "imagePoints": 2, "reasons": ["one", "two"],
    "inputs": {"pressureAgeMs": 700, "cpuPercent": 75, "cpuWaitingPercent": 1, "ioWaitingPercent": 25,
               "memoryWaitingPercent": 0, "cpuFreeMilli": -500, "memoryFreeBytes": 3221225472,
               "pods": 12, "reserved": 3, "hasImage": true}})"));
}

TEST(ScoreViewTest, WhatIsNotKnownIsNull) {
  NodeScore score = Explained();
  score.inputs->pressure = {};
  const api::Json inputs = ScoreView(score).at("inputs");
  for (const char* field : {"pressureAgeMs", "cpuPercent", "cpuWaitingPercent", "ioWaitingPercent",
                            "memoryWaitingPercent"}) {
    EXPECT_TRUE(inputs.at(field).is_null()) << field;
  }
  score.inputs.reset();
  EXPECT_FALSE(ScoreView(score).contains("inputs"));
}

// Between extender and leader nothing is lost.
TEST(ScoreViewTest, TravelsAsItIs) {
  NodeScore score = Explained();
  EXPECT_EQ(ScoreView(FromMessage(ToMessage(score))), ScoreView(score));
  score.inputs->pressure = {};
  EXPECT_EQ(ScoreView(FromMessage(ToMessage(score))), ScoreView(score));
  score.inputs.reset();
  score.tier = Tier::kUnknown;
  EXPECT_EQ(ScoreView(FromMessage(ToMessage(score))), ScoreView(score));
}

}  // namespace
}  // namespace longshore::placement
