// SPDX-License-Identifier: Apache-2.0
//
// What CgroupTree finds when it walks the directories: pods from before us, and what events did not
// tell or found no room.
#include "tests/nodeagent/cgroup_tree_fixture.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::milliseconds;

// What was used before we came is taken from the kernel's totals, and only once.
TEST_F(CgroupTreeTest, APodOlderThanUsStartsFromTheKernelsTotals) {
  Make("podA");
  Make(Tree::kIo, "podA");
  Write("cpu/kubepods/podA/cpu.stat", "usage_usec 5000\nuser_usec 1\n");
  Write("io/kubepods/podA/blkio.throttle.io_service_bytes_recursive",
        "254:0 Read 100\nTotal 100\n");
  Walk();
  Uses(Make("podA"), 11);
  Walk();
  const auto pods = Pods();
  EXPECT_EQ(pods.at("A").totals.counters.cpu_ns, 5'000'011u);
  EXPECT_EQ(pods.at("A").totals.counters.read_bytes, 100u);
  EXPECT_EQ(tree_->sum().cpu_ns, 11u) << "the node counts since the programs were attached";
}

// What a container had used before us is its own, not only its pod's.
TEST_F(CgroupTreeTest, AContainerOlderThanUsStartsFromTheKernelsTotals) {
  Make("podA/" + kFirstId);
  Make(Tree::kIo, "podA/" + kFirstId);
  Write("cpu/kubepods/podA/cpu.stat", "usage_usec 5000\n");
  Write("cpu/kubepods/podA/" + kFirstId + "/cpu.stat", "usage_usec 4000\n");
  Walk();
  Uses(Make("podA/" + kFirstId), 11);
  const auto pods = Pods();
  EXPECT_EQ(pods.at("A").totals.counters.cpu_ns, 5'000'011u);
  EXPECT_EQ(pods.at("A").containers.at(0).totals.counters.cpu_ns, 4'000'011u);
}

TEST_F(CgroupTreeTest, AWalkFindsWhatEventsDidNotTell) {
  Walk();
  const uint64_t pod = Make("burstable/podL");
  Walk();
  Uses(pod, 8);
  EXPECT_EQ(Pods().at("L").totals.counters.cpu_ns, 8u);
  Remove("burstable/podL");
  Walk();
  EXPECT_FALSE(PodsAfter(milliseconds(100)).at("L").final);
  EXPECT_TRUE(PodsAfter(milliseconds(2500)).at("L").final);
}

// Listing a directory is what a walk costs. Where no event was lost, its number of children tells
// whether it is worth it; else all are listed.
TEST_F(CgroupTreeTest, AWalkListsWhatHasAnotherNumberOfChildrenOrAllAfterALoss) {
  Make("podA");
  Make("podC");
  Walk();
  struct stat status{};
  ASSERT_EQ(::stat(layout_.cpu.directory.c_str(), &status), 0);
  if (status.st_nlink != 4) GTEST_SKIP() << "this file system counts no links of directories";
  Make("podB");
  Remove("podA");
  Walk();
  EXPECT_FALSE(Pods().contains("B")) << "no event: this cannot be";
  kernel_.lost.events = 1;
  Walk();
  EXPECT_TRUE(Pods().contains("B"));
  EXPECT_TRUE(PodsAfter(milliseconds(2500)).at("A").final);
  Make("podD");
  Make("podC/deep");
  Walk();
  EXPECT_TRUE(Pods().contains("D"));
  EXPECT_TRUE(kernel_.members.contains({Tree::kCpu, Make("podC/deep")}));
}

// All CPUs are interrupted, and all counters read, only for pods that begin with the kernel's
// total.
TEST_F(CgroupTreeTest, AWalkThatFindsNothingNewFlushesNothing) {
  Make("podA");
  Walk();
  EXPECT_EQ(kernel_.flushes, 1);
  Walk();
  EXPECT_EQ(kernel_.flushes, 1);
  Make("podA/c1");
  Walk();
  EXPECT_EQ(kernel_.flushes, 2);
}

// Both its events were lost: nobody knows the name, but its time stays in the node's sum and its
// index is freed. An event that is only late isn't taken for a lost one.
TEST_F(CgroupTreeTest, AMemberThatNobodyKnowsIsSummedAndFreed) {
  Walk();
  kernel_.MakeCgroup(Tree::kCpu, Root(Tree::kCpu), 77, "podX", /*lose_event=*/true);
  Uses(77, 123);
  Walk();
  EXPECT_TRUE(kernel_.members.contains({Tree::kCpu, 77}));
  Walk();
  EXPECT_FALSE(kernel_.members.contains({Tree::kCpu, 77}));
  EXPECT_TRUE(Pods().empty());
  EXPECT_EQ(tree_->sum().cpu_ns, 123u);
}

TEST_F(CgroupTreeTest, CgroupsInsideAContainerShareItsIndex) {
  Make("burstable/podN/c1/init/deep");
  const uint64_t container = Make("burstable/podN/c1");
  Walk();
  Uses(container, 9);
  EXPECT_EQ(Pods().at("N").totals.counters.cpu_ns, 9u) << "not once per level";
}

TEST_F(CgroupTreeTest, WithoutRoomForMembersTheyAreCountedAsUncounted) {
  Walk();
  Make("podA");
  kernel_.refuse_members = true;
  Walk();
  EXPECT_EQ(tree_->uncounted(), 1u);
  EXPECT_TRUE(Pods().empty());
}

// A container that could not even become a member: what its pod used is not known either.
TEST_F(CgroupTreeTest, APodOfWhichAContainerIsNoMemberIsUnknown) {
  Make("podA");
  Walk();
  Make("podA/c1");
  kernel_.refuse_members = true;
  Walk();
  EXPECT_TRUE(Pods().empty());
  kernel_.refuse_members = false;
  Walk();
  EXPECT_EQ(Pods().size(), 1u);
}

// More cgroups than indices: nothing is said of a pod that got none, least of all that it used
// nothing. When one is free it goes on from the kernel's total.
TEST_F(CgroupTreeTest, APodWithoutAnIndexIsUnknownUntilAWalkFindsItOne) {
  kernel_ = FakeKernel(5);  // from 2 on: the roots of the trees and one more
  Walk();
  const uint64_t a = Make("podA"), b = Make("podB");
  Comes(a, "podA");
  Comes(b, "podB");
  Uses(b, 7);
  auto pods = Pods();
  EXPECT_TRUE(pods.contains("A"));
  EXPECT_FALSE(pods.contains("B"));
  EXPECT_EQ(tree_->sum().cpu_ns, 7u);
  Write("cpu/kubepods/podB/cpu.stat", "usage_usec 5\n");
  Walk();
  EXPECT_FALSE(Pods().contains("B")) << "there is none yet";
  Remove("podA");
  Goes(a);
  Pods();
  EXPECT_TRUE(PodsAfter(milliseconds(3000)).at("A").final);
  Walk();
  EXPECT_EQ(Pods().at("B").totals.counters.cpu_ns, 5000u);
  Uses(b, 11);
  EXPECT_EQ(Pods().at("B").totals.counters.cpu_ns, 5011u);
}

TEST_F(CgroupTreeTest, AGoneKubepodsIsAnErrorThatNamesIt) {
  std::filesystem::remove_all(layout_.cpu.directory);
  const Status walked = tree_->Walk(now_);
  ASSERT_FALSE(walked.has_value());
  EXPECT_EQ(walked.error().code, Code::kNotFound);
  EXPECT_NE(walked.error().message.find("cpu/kubepods"), std::string::npos);
}

// On cgroup v2 there is one tree for all; io_nodes of a second would count everything twice.
TEST_F(CgroupTreeTest, OneHierarchyIsWalkedOnce) {
  layout_.io = layout_.cpu;
  Restart();
  const uint64_t pod = Make("podA");
  Walk();
  Uses(pod, 6);
  EXPECT_EQ(Pods().at("A").totals.counters.cpu_ns, 6u);
  EXPECT_TRUE(kernel_.ListMembers(Tree::kIo).empty());
}

}  // namespace
}  // namespace longshore::nodeagent
