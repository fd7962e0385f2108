// SPDX-License-Identifier: Apache-2.0
//
// Recorded usage against a policy.
#include "common/scaling/replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/scaling/made_up.h"

namespace longshore::scaling {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;

// So many seconds of one busy pod (or a free one) with that much CPU.
void Add(std::vector<TraceStep>& trace, int count, double cpu, bool busy = true, int queued = 0) {
  for (int i = 0; i < count; ++i) {
    const WallTime time = trace.empty() ? kWall : trace.back().time + seconds(1);
    trace.push_back({time, queued, {{"p", busy, {{Signal::kCpu, cpu}}}}});
  }
}

// cpu: up 120m for 3 s, down 30m; idle after 10 s.
ReplayInput Replayed(std::vector<TraceStep> trace, int max = 4) {
  ReplayInput in;
  in.pods = {0, 1, max};
  in.policy.rules = {{Signal::kCpu, 120, 30, seconds(3)}};
  in.policy.idle = seconds(10);
  in.trace = std::move(trace);
  return in;
}

TEST(ReplayTest, DecidesAsTheControllerWouldHave) {
  std::vector<TraceStep> trace;
  Add(trace, 20, 50);
  Add(trace, 30, 150);
  Add(trace, 40, 5, false);
  const ReplayResult result = Replay(Replayed(trace));
  ASSERT_GE(result.decisions.size(), 2u);
  const api::ScalingDecision& first = result.decisions[0];
  EXPECT_EQ(first.cause, api::kCauseThreshold);
  EXPECT_EQ(first.to, 2);
  EXPECT_EQ(first.time, FormatTime(kWall + seconds(22))) << "the third second over up";
  EXPECT_EQ(result.decisions.back().cause, api::kCauseIdle);
  EXPECT_EQ(result.decisions.back().to, 0);
  EXPECT_DOUBLE_EQ(result.recorded_pod_seconds, 89);
}

TEST(ReplayTest, WhatWaitsIsWorkForTheNewPodsAndSharesTheLoad) {
  std::vector<TraceStep> trace;
  Add(trace, 60, 400, true, 3);
  const ReplayResult result = Replay(Replayed(trace, 10));
  EXPECT_EQ(result.most_pods, 4) << "400m over four pods is 100m each: under up";
  for (const auto& decision : result.decisions) EXPECT_EQ(decision.cause, api::kCauseThreshold);
}

TEST(ReplayTest, APolicyThatFollowsDemandCostsMoreAndActsAtOnce) {
  std::vector<TraceStep> trace;
  Add(trace, 60, 50, true, 3);
  ReplayInput in = Replayed(trace, 10);
  const double before = Replay(in).pod_seconds;
  in.policy.follow_demand = true;
  const ReplayResult result = Replay(in);
  ASSERT_EQ(result.decisions.size(), 1u);
  EXPECT_EQ(result.decisions[0].to, 4);
  EXPECT_EQ(result.decisions[0].time, FormatTime(kWall + seconds(1)));
  EXPECT_GT(result.pod_seconds, 3.5 * before);
}

TEST(ReplayTest, APolicyThatRequiresDemandAddsNothingWithoutWork) {
  for (const int queued : {0, 1}) {
    std::vector<TraceStep> trace;
    Add(trace, 60, 400, true, queued);
    ReplayInput in = Replayed(trace, 10);
    EXPECT_EQ(Replay(in).most_pods, 2 + 2 * queued) << "twice as many as have work";
    in.policy.require_demand = true;
    EXPECT_EQ(Replay(in).most_pods, 1 + queued);
  }
}

TEST(ReplayTest, ACrewOfNoneGetsAPodWhenWorkWaits) {
  std::vector<TraceStep> trace;
  for (int i = 0; i < 20; ++i) trace.push_back({kWall + seconds(i), i < 10 ? 0 : 1, {}});
  ReplayInput in = Replayed(trace);
  in.pods.initial = 0;
  const ReplayResult result = Replay(in);
  ASSERT_EQ(result.decisions.size(), 1u);
  EXPECT_EQ(result.decisions[0].cause, api::kCauseRequested);
  EXPECT_EQ(result.decisions[0].time, FormatTime(kWall + seconds(10)));
}

TEST(ReadTraceTest, ReadsWhatIsRecorded) {
  const auto trace = ReadTrace(
      R"({"time":"2026-01-01T00:00:00Z","queued":2,"pod":"a","state":"Assigned",)"
      R"("usage":{"cpu":"412m","readBytes":"2048","ioLatency":"20m","ioPressure":"35%","new":"1"}})"
      "\n"
      R"({"time":"2026-01-01T00:00:00Z","queued":2,"pod":"b","state":"Available","usage":{}})"
      "\n\n"
      R"({"time":"2026-01-01T00:00:01Z","queued":0})");
  ASSERT_TRUE(trace) << trace.error().ToString();
  ASSERT_EQ(trace->size(), 2u);
  const TraceStep& step = trace->front();
  EXPECT_EQ(step.queued, 2);
  ASSERT_EQ(step.pods.size(), 2u);
  EXPECT_TRUE(step.pods[0].busy);
  EXPECT_FALSE(step.pods[1].busy);
  EXPECT_DOUBLE_EQ(step.pods[0].values.at(Signal::kCpu), 412);
  EXPECT_DOUBLE_EQ(step.pods[0].values.at(Signal::kReadBytes), 2048);
  EXPECT_DOUBLE_EQ(step.pods[0].values.at(Signal::kIoLatency), 20);
  EXPECT_DOUBLE_EQ(step.pods[0].values.at(Signal::kIoPressure), 35);
  EXPECT_TRUE(trace->back().pods.empty());
}

TEST(ReadTraceTest, NamesTheLineThatIsWrong) {
  const auto message = [](const std::string& text) {
    const auto trace = ReadTrace(text);
    return trace ? std::string() : trace.error().message;
  };
  const std::string first = R"({"time":"2026-01-01T00:00:09Z"})"
                            "\n";
  EXPECT_THAT(message(""), HasSubstr("at least two"));
  EXPECT_THAT(message(first + "nonsense"), HasSubstr("line 2"));
  EXPECT_THAT(message(first + R"({"time":"soon"})"), HasSubstr("line 2"));
  EXPECT_THAT(message(first + R"({"time":"2026-01-01T00:00:08Z"})"), HasSubstr("goes back"));
  EXPECT_THAT(message(first + R"({"time":"2026-01-01T00:00:10Z","pod":"a","usage":{"cpu":"x"}})"),
              HasSubstr("line 2: usage.cpu: not a quantity"));
  // What would be taken for none, or for an enormous number, would make another trace of it.
  const auto of_line = [&](const std::string& fields) {
    return message(first + R"({"time":"2026-01-01T00:00:10Z",)" + fields + "}");
  };
  for (const char* bad : {"-1", "1.5", "\"2\"", "null", "1000001", "4294967297"}) {
    EXPECT_THAT(
        of_line(R"("queued":)" + std::string(bad)),
        HasSubstr("line 2: queued: must be how many operations waited, a whole number from 0 "
                  "to 1000000"))
        << bad;
  }
  EXPECT_EQ(of_line(R"("queued":1000000,"pod":"a","usage":null)"), "");
  EXPECT_THAT(of_line(R"("pod":"a","usage":{"cpu":412})"), HasSubstr("usage.cpu: must be text"));
  EXPECT_THAT(of_line(R"("pod":"a","usage":{"cpu":"-1m"})"), HasSubstr("must not be negative"));
  EXPECT_THAT(of_line(R"("pod":"a","usage":[])"), HasSubstr("usage: must be an object"));
}

}  // namespace
}  // namespace longshore::scaling
