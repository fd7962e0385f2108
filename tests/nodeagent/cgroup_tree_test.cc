// SPDX-License-Identifier: Apache-2.0
//
// Pods as events tell of them, and what belongs to whom.
#include "tests/nodeagent/cgroup_tree_fixture.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::milliseconds;

TEST_F(CgroupTreeTest, AContainersTimeBelongsToItsPod) {
  Make("burstable/podA/c1");
  const uint64_t c2 = Make("burstable/podA/c2");
  const uint64_t b = Make("podB");
  Walk();
  Uses(c2, 500);
  Uses(b, 70);
  const auto pods = Pods();
  ASSERT_EQ(pods.size(), 2u);
  EXPECT_EQ(pods.at("A").totals.counters.cpu_ns, 500u);
  EXPECT_EQ(pods.at("A").totals.relative_path, "/burstable/podA");
  EXPECT_EQ(pods.at("B").totals.counters.cpu_ns, 70u);
  EXPECT_EQ(tree_->sum().cpu_ns, 570u);
}

// Equal ids in the two hierarchies are two different cgroups.
TEST_F(CgroupTreeTest, T10_IdsOfDifferentTreesNeverMix) {
  Walk();
  Comes(4242, "podA");
  kernel_.MakeCgroup(Tree::kIo, Root(Tree::kIo), 4242, "podB");
  kernel_.counters[kernel_.members.at({Tree::kIo, 4242}).index].read_bytes = 9;
  Uses(4242, 5);
  const auto pods = Pods();
  ASSERT_EQ(pods.size(), 2u);
  EXPECT_EQ(pods.at("A").totals.counters.cpu_ns, 5u);
  EXPECT_EQ(pods.at("A").totals.counters.read_bytes, 0u);
  EXPECT_EQ(pods.at("B").totals.counters.read_bytes, 9u);
}

// A pod that came and went between two samples is reported, in full, `final` exactly once.
TEST_F(CgroupTreeTest, AShortLivedPodIsReportedInFullAndOnce) {
  Walk();
  Comes(11, "podS");
  Comes(12, "c1", 11);
  Uses(12, 3'000'000);
  kernel_.counters[IndexOf(12)].dirtied_bytes = 9;
  Goes(12);
  Goes(11);
  auto pods = PodsAfter(milliseconds(500));
  ASSERT_EQ(pods.size(), 1u);
  EXPECT_FALSE(pods.at("S").final) << "still within its tombstone";
  Uses(12, 7);  // a dying task's last slice
  pods = PodsAfter(milliseconds(2500));
  ASSERT_EQ(pods.size(), 1u);
  EXPECT_TRUE(pods.at("S").final);
  EXPECT_EQ(pods.at("S").totals.counters.cpu_ns, 3'000'007u);
  EXPECT_TRUE(PodsAfter(milliseconds(1000)).empty());
  EXPECT_EQ(tree_->sum().cpu_ns, 3'000'007u) << "the node's sum never falls";
  EXPECT_EQ(tree_->sum().dirtied_bytes, 9u) << "of all counters";
  EXPECT_EQ(kernel_.members.size(), 2u) << "only the two roots";
}

TEST_F(CgroupTreeTest, AContainerThatGoesLeavesItsTimeWithThePod) {
  Walk();
  Comes(11, "podS");
  Comes(12, "c1", 11);
  Uses(12, 40);
  PodsAfter(milliseconds(10));
  Goes(12);
  PodsAfter(milliseconds(10));
  const auto pods = PodsAfter(milliseconds(3000));
  EXPECT_FALSE(pods.at("S").final);
  EXPECT_EQ(pods.at("S").totals.counters.cpu_ns, 40u);
}

TEST_F(CgroupTreeTest, APodEndsOnlyWhenItIsGoneInBothTrees) {
  Walk();
  Comes(11, "podS");
  kernel_.MakeCgroup(Tree::kIo, Root(Tree::kIo), 21, "podS");
  Goes(11);
  Pods();
  EXPECT_FALSE(PodsAfter(milliseconds(5000)).at("S").final);
  kernel_.RemoveCgroup(Tree::kIo, 21);
  Pods();
  EXPECT_TRUE(PodsAfter(milliseconds(5000)).at("S").final);
}

TEST_F(CgroupTreeTest, APodThatNeverGotAnIndexHasNoLastRecord) {
  kernel_ = FakeKernel(4);
  Walk();
  Comes(11, "podA");
  Uses(11, 7);
  Goes(11);
  EXPECT_TRUE(Pods().empty());
  EXPECT_TRUE(PodsAfter(milliseconds(3000)).empty());
  EXPECT_EQ(tree_->pods(), 0u);
  EXPECT_EQ(tree_->sum().cpu_ns, 7u);
}

// One of a pod's containers is not counted: the pod's sum would be too low.
TEST_F(CgroupTreeTest, APodOfWhichAContainerHasNoIndexIsUnknown) {
  kernel_ = FakeKernel(5);
  Walk();
  Comes(11, "podA");
  Uses(11, 3);
  EXPECT_TRUE(Pods().contains("A"));
  Comes(12, kFirstId, 11);
  Uses(12, 4);
  EXPECT_FALSE(Pods().contains("A"));
}

}  // namespace
}  // namespace longshore::nodeagent
