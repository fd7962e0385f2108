// SPDX-License-Identifier: Apache-2.0
#include "extender/verdict_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshore::extender {
namespace {

messages::PlacementVerdict Verdict(const std::string& pod, const std::string& verb,
                                   const std::string& uid = "u", int64_t time = 0) {
  messages::PlacementVerdict verdict;
  verdict.set_pod_namespace("b");
  verdict.set_pod_name(pod);
  verdict.set_pod_uid(uid);
  verdict.set_verb(verb);
  verdict.set_time_unix_us(time);
  return verdict;
}

TEST(VerdictLogTest, KeepsTheLastOfEachVerb) {
  VerdictLog log(10);
  log.Add(Verdict("p", "filter", "u", 1));
  log.Add(Verdict("p", "prioritize", "u", 2));
  log.Add(Verdict("p", "filter", "u", 3));
  const auto verdicts = log.OfPod("b", "p");
  ASSERT_EQ(verdicts.size(), 2u);
  EXPECT_EQ(verdicts[0].time_unix_us(), 3);
  EXPECT_EQ(verdicts[1].verb(), "prioritize");
  EXPECT_TRUE(log.OfPod("other", "p").empty());
}

TEST(VerdictLogTest, ForgetsThePodHeardOfLongestAgo) {
  VerdictLog log(2);
  log.Add(Verdict("a", "filter"));
  log.Add(Verdict("b", "filter"));
  log.Add(Verdict("a", "prioritize"));
  log.Add(Verdict("c", "filter"));
  EXPECT_EQ(log.OfPod("b", "a").size(), 2u);
  EXPECT_TRUE(log.OfPod("b", "b").empty());
  EXPECT_EQ(log.All().size(), 3u);
  EXPECT_EQ(log.All().back().pod_name(), "c");
}

std::shared_ptr<const VerdictDraft> CallOf(const std::string& pod, const std::string& verb,
                                           size_t nodes = 1) {
  auto call = std::make_shared<VerdictDraft>();
  call->verdict.set_pod_namespace("b");
  call->verdict.set_pod_name(pod);
  call->verdict.set_pod_uid("uid-" + pod);
  call->verdict.set_verb(verb);
  call->all.resize(nodes);
  return call;
}

TEST(VerdictLogTest, KeepsTheLastCallsWhole) {
  VerdictLog log(10);
  log.Keep(CallOf("p", "filter"));
  log.Keep(CallOf("p", "prioritize"));
  const auto last = CallOf("p", "filter", 3);
  log.Keep(last);
  const auto calls = log.CallsOf("b", "p");
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_EQ(calls[0], last);
  EXPECT_TRUE(log.CallsOf("other", "p").empty());
  for (size_t i = 0; i < VerdictLog::kMostCalls; ++i) {
    log.Keep(CallOf("q" + std::to_string(i), "filter"));
  }
  EXPECT_TRUE(log.CallsOf("b", "p").empty());
  EXPECT_EQ(log.CallsOf("b", "q0").size(), 1u);
  log.Keep(CallOf("large", "filter", VerdictLog::kMostNodes));
  EXPECT_TRUE(log.CallsOf("b", "q63").empty());
  EXPECT_EQ(log.CallsOf("b", "large").size(), 1u);
  log.Keep(CallOf("larger", "filter", VerdictLog::kMostNodes + 1));  // kept alone, all the same
  EXPECT_EQ(log.CallsOf("b", "larger").size(), 1u);
}

TEST(VerdictLogTest, ANewPodUnderAnOldNameStartsAfresh) {
  VerdictLog log(2);
  log.Add(Verdict("a", "filter", "u1"));
  log.Add(Verdict("a", "prioritize", "u2"));
  const auto verdicts = log.OfPod("b", "a");
  ASSERT_EQ(verdicts.size(), 1u);
  EXPECT_EQ(verdicts[0].pod_uid(), "u2");
}

}  // namespace
}  // namespace longshore::extender
