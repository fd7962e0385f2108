// SPDX-License-Identifier: Apache-2.0
//
// What CgroupTree tells beside the sum of a pod: its containers, its devices, and who preempted it.
#include "tests/nodeagent/cgroup_tree_fixture.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::milliseconds;

constexpr DeviceId kDisk{254, 0};

DeviceCounters Written(uint64_t bytes) {
  DeviceCounters counters;
  counters.write_bytes = bytes;
  counters.write_ops = 1;
  return counters;
}

// A container's cgroups, in both trees and nested ones, are one row; the pod is their sum.
TEST_F(CgroupTreeTest, ContainersAreToldApartAndAddUpToTheirPod) {
  Walk();
  Comes(11, "podA");
  Comes(12, "cri-containerd-" + kFirstId + ".scope", 11);
  Comes(13, "cri-containerd-" + kSecondId + ".scope", 11);
  Comes(14, "init.scope", 12);
  kernel_.MakeCgroup(Tree::kIo, Root(Tree::kIo), 21, "podA");
  kernel_.MakeCgroup(Tree::kIo, 21, 22, "cri-containerd-" + kFirstId + ".scope");
  Uses(11, 1);
  Uses(12, 10);
  Uses(13, 100);
  Uses(14, 1000);
  kernel_.devices.push_back({kernel_.IndexOf(Tree::kIo, 22), kDisk, Written(7)});
  kernel_.devices.push_back({0, kDisk, Written(50)});
  const auto pods = Pods();
  const PodTotals& pod = pods.at("A");
  EXPECT_EQ(pod.totals.counters.cpu_ns, 1111u);
  EXPECT_EQ(pod.totals.devices.at(kDisk).write_bytes, 7u);
  ASSERT_EQ(pod.containers.size(), 2u);
  EXPECT_EQ(pod.containers[0].id, kFirstId);
  EXPECT_EQ(pod.containers[0].totals.counters.cpu_ns, 1010u);
  EXPECT_EQ(pod.containers[0].totals.devices.at(kDisk).write_bytes, 7u);
  EXPECT_EQ(pod.containers[0].totals.relative_path, "/podA/cri-containerd-" + kFirstId + ".scope");
  EXPECT_EQ(pod.containers[1].totals.counters.cpu_ns, 100u);
  EXPECT_TRUE(pod.containers[1].totals.devices.empty());
  EXPECT_EQ(tree_->NodeDevices().at(kDisk).write_bytes, 57u) << "whoever caused it";
}

// A container that was restarted: the old one's row goes, what it used stays with the pod.
TEST_F(CgroupTreeTest, AnEndedContainerLeavesItsTimeAndItsDeviceBytesWithThePod) {
  Walk();
  Comes(11, "podA");
  Comes(12, kFirstId, 11);
  Uses(12, 10);
  kernel_.devices.push_back({IndexOf(12), kDisk, Written(7)});
  Goes(12);
  Comes(13, kSecondId, 11);
  EXPECT_EQ(PodsAfter(milliseconds(10)).at("A").containers.size(), 2u);
  const auto pods = PodsAfter(milliseconds(3000));
  ASSERT_EQ(pods.at("A").containers.size(), 1u);
  EXPECT_EQ(pods.at("A").containers[0].id, kSecondId);
  EXPECT_EQ(pods.at("A").totals.counters.cpu_ns, 10u);
  EXPECT_EQ(pods.at("A").totals.devices.at(kDisk).write_bytes, 7u);
  EXPECT_EQ(tree_->NodeDevices().at(kDisk).write_bytes, 7u);
}

// An index that was freed and went to another pod's cgroup brings nothing of the first with it.
TEST_F(CgroupTreeTest, AReusedIndexNeverMixesPods) {
  Walk();
  tree_->Watch({"V", "W"});
  Comes(11, "podV");
  Comes(12, "podX");
  Pods();
  const uint32_t victim = IndexOf(11), offender = IndexOf(12);
  kernel_.preemptions.push_back({victim, offender, 3, 900});
  kernel_.devices.push_back({offender, kDisk, Written(7)});
  Uses(12, 5);
  Goes(12);
  PodsAfter(milliseconds(10));
  ASSERT_EQ(tree_->Preemptions().size(), 1u);
  EXPECT_EQ(tree_->Preemptions()[0].offender, "X");
  EXPECT_TRUE(PodsAfter(milliseconds(3000)).at("X").final);
  Comes(13, "podY");
  const auto pods = PodsAfter(milliseconds(10));
  ASSERT_EQ(IndexOf(13), offender) << "the test means to reuse it";
  EXPECT_EQ(pods.at("Y").totals.counters, Counters{});
  EXPECT_TRUE(pods.at("Y").totals.devices.empty());
  EXPECT_TRUE(tree_->Preemptions().empty()) << "X is gone, and Y did nothing";
  EXPECT_EQ(tree_->NodeDevices().at(kDisk).write_bytes, 7u);
}

// Preemptions are told by pod: containers are summed, those of one pod among themselves left out,
// and whoever is no pod of ours is the system.
TEST_F(CgroupTreeTest, PreemptionsAreSummedByPod) {
  Walk();
  Comes(11, "podV");
  Comes(12, kFirstId, 11);
  Comes(13, kSecondId, 11);
  Comes(14, "podX");
  Comes(15, kFirstId, 14);
  Pods();
  EXPECT_FALSE(kernel_.watched[IndexOf(12)]);
  tree_->Watch({"V"});
  const auto index = [&](uint64_t id) { return IndexOf(id); };
  EXPECT_TRUE(kernel_.watched[index(12)]);
  EXPECT_TRUE(kernel_.watched[index(13)]);
  EXPECT_FALSE(kernel_.watched[index(15)]);
  kernel_.preemptions = {{index(12), index(15), 1, 10},
                         {index(13), index(15), 2, 20},
                         {index(12), index(14), 4, 40},
                         {index(12), index(13), 8, 80},
                         {index(13), 0, 16, 160}};
  const auto rows = tree_->Preemptions();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].offender, "");
  EXPECT_EQ(rows[0].count, 16u);
  EXPECT_EQ(rows[1].victim, "V");
  EXPECT_EQ(rows[1].offender, "X");
  EXPECT_EQ(rows[1].count, 7u);
  EXPECT_EQ(rows[1].offender_ns, 70u);
  // A container that ends doesn't take its numbers along, and they don't double.
  Goes(13);
  Pods();
  PodsAfter(milliseconds(3000));
  EXPECT_EQ(tree_->Preemptions().at(1).count, 7u);
  EXPECT_EQ(tree_->Preemptions().at(0).count, 16u);
  tree_->Watch({});
  EXPECT_TRUE(tree_->Preemptions().empty());
  EXPECT_FALSE(kernel_.watched[index(12)]);
}

// The table of pairs is read once for all that end together, and a pair of which both ends do is
// counted once.
TEST_F(CgroupTreeTest, ThePreemptionsOfCgroupsThatEndTogetherAreReadAndCountedOnce) {
  Walk();
  tree_->Watch({"V"});
  Comes(11, "podV");
  Comes(12, kFirstId, 11);
  Comes(13, "podX");
  Comes(14, kFirstId, 13);
  Pods();
  kernel_.preemptions = {{IndexOf(12), IndexOf(14), 3, 30}};
  Goes(12);
  Goes(14);
  Pods();
  const int before = kernel_.preemption_reads;
  PodsAfter(milliseconds(3000));
  EXPECT_EQ(kernel_.preemption_reads, before + 1);
  ASSERT_EQ(tree_->Preemptions().size(), 1u);
  EXPECT_EQ(tree_->Preemptions()[0].count, 3u);
  EXPECT_EQ(tree_->Preemptions()[0].offender, "X");
}

// The leader may name a pod before its cgroup exists.
TEST_F(CgroupTreeTest, AWatchedPodIsWatchedFromItsFirstEventOn) {
  Walk();
  tree_->Watch({"L"});
  Comes(11, "podL");
  Comes(12, kFirstId, 11);
  Pods();
  EXPECT_TRUE(kernel_.watched[IndexOf(12)]);
}

}  // namespace
}  // namespace longshore::nodeagent
