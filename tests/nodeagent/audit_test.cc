// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/audit.h"

#include <gtest/gtest.h>

namespace longshore::nodeagent {
namespace {

using std::chrono::seconds;

class SelfAuditTest : public ::testing::Test {
 protected:
  // One audit; `advance` is what the kernel counts between its two reads.
  std::optional<Audit> Run(uint64_t advance = 0) {
    now_ += seconds(60);
    EXPECT_TRUE(audit_.Due(now_));
    std::vector<PodPath> paths;
    for (const PodSample& pod : pods_) paths.push_back({pod.uid, pod.relative_path});
    audit_.Before(paths);
    for (auto& [path, totals] : kernel_) totals.cpu_ns += advance;
    return audit_.After(pods_, now_, WallTime{});
  }
  PodSample& Pod(const std::string& uid) {
    for (PodSample& pod : pods_) {
      if (pod.uid == uid) return pod;
    }
    PodSample made;
    made.uid = uid;
    made.relative_path = "/pod" + uid;
    pods_.push_back(made);
    kernel_["/pod" + uid] = {};
    return pods_.back();
  }
  void Use(const std::string& uid, uint64_t ours, uint64_t kernel) {
    Pod(uid).usage.counters.cpu_ns += ours;
    kernel_["/pod" + uid].cpu_ns += kernel;
  }

  std::map<std::string, SelfAudit::Totals> kernel_;
  std::vector<PodSample> pods_;
  MonotonicTime now_{std::chrono::hours(1)};
  SelfAudit audit_{[this](const std::string& path) -> std::optional<SelfAudit::Totals> {
    const auto found = kernel_.find(path);
    return found == kernel_.end() ? std::nullopt : std::optional(found->second);
  }};
};

TEST_F(SelfAuditTest, TheWorstPodIsNamedWithItsRelativeError) {
  Use("a", 5, 5);
  Use("b", 5, 5);
  EXPECT_FALSE(Run().has_value()) << "nothing to compare with yet";
  EXPECT_FALSE(audit_.Due(now_ + seconds(59)));
  Use("a", 1'000'000'000, 1'000'000'000);
  Use("b", 990'000'000, 1'000'000'000);
  const auto audit = Run();
  ASSERT_TRUE(audit.has_value());
  EXPECT_EQ(audit->pods, 2u);
  EXPECT_EQ(audit->worst_cpu_pod, "b");
  EXPECT_NEAR(audit->worst_cpu_error, 0.01, 1e-9);
  EXPECT_FALSE(audit->worst_io_bytes.has_value());
}

// Trap 22: the kernel's counter goes on while we read. Ours was taken between two reads of it, and
// only what lies outside of both is an error; counting too much is one as well.
TEST_F(SelfAuditTest, WhatTheKernelCountsBetweenItsTwoReadsIsNoError) {
  Use("a", 5, 5);
  Run(1000);
  Use("a", 1'000'000'500, 1'000'000'000);
  auto audit = Run(1000);
  ASSERT_TRUE(audit.has_value());
  EXPECT_EQ(audit->worst_cpu_error, 0);
  Use("a", 2'000'000'000, 1'000'000'000);
  audit = Run();
  ASSERT_TRUE(audit.has_value());
  EXPECT_NEAR(audit->worst_cpu_error, 1.0, 0.001);
}

// Of a pod that hardly ran, a microsecond would be a large part.
TEST_F(SelfAuditTest, IdlePodsDoNotSpoilTheFigure) {
  Use("a", 5, 5);
  Run();
  Use("a", 0, 1000);
  EXPECT_LE(Run()->worst_cpu_error, 1e-5);
}

TEST_F(SelfAuditTest, PodsThatCameOrWentSinceAreNotCompared) {
  Use("a", 5, 5);
  Use("gone", 5, 5);
  Run();
  kernel_.erase("/podgone");
  Use("new", 77, 1'000'000'000);
  EXPECT_EQ(Run()->pods, 1u);
  EXPECT_EQ(Run()->pods, 2u) << "the new one has a baseline now";
}

TEST_F(SelfAuditTest, IoIsComparedInBytesWhereTheKernelCountsIt) {
  Pod("a");
  kernel_["/poda"] = {5, 1000};
  Run();
  pods_[0].usage.counters.read_bytes = 4096;
  kernel_["/poda"] = {5, 1000 + 8192};
  EXPECT_EQ(Run()->worst_io_bytes, 4096u);
}

}  // namespace
}  // namespace longshore::nodeagent
