// SPDX-License-Identifier: Apache-2.0
//
// Attribution with the kernel side faked; directories stand for cgroups (there, too, the inode
// number is the id).
#include "nodeagent/cgroup_tree.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/nodeagent/fake_kernel.h"

namespace longshore::nodeagent {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

class CgroupTreeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    base_ = fs::temp_directory_path() / ("longshore-tree-" + std::to_string(::getpid()));
    fs::remove_all(base_);
    fs::create_directories(base_ / "cpu/kubepods");
    fs::create_directories(base_ / "io/kubepods");
    layout_.cpu = {(base_ / "cpu/kubepods").string(), 0, true};
    layout_.io = {(base_ / "io/kubepods").string(), 7, false};
    Restart();
  }
  void TearDown() override { fs::remove_all(base_); }

  void Restart() { tree_ = std::make_unique<CgroupTree>(layout_, kernel_, milliseconds(2000)); }
  uint64_t Make(Tree tree, const std::string& path) {
    const fs::path full =
        fs::path(tree == Tree::kCpu ? layout_.cpu.directory : layout_.io.directory) / path;
    fs::create_directories(full);
    struct stat status{};
    EXPECT_EQ(::stat(full.c_str(), &status), 0);
    return status.st_ino;
  }
  uint64_t Root(Tree tree) { return Make(tree, "."); }
  void Write(const std::string& file, const std::string& text) {
    std::ofstream(base_ / file) << text;
  }
  void Walk() {
    const Status walked = tree_->Walk(now_);
    ASSERT_TRUE(walked.has_value()) << walked.error().ToString();
  }
  void Drain() {
    std::vector<CgroupEvent> events;
    kernel_.DrainEvents(events);
    for (const CgroupEvent& event : events) tree_->Apply(event, now_);
  }
  // The pods after time has passed.
  std::map<std::string, PodTotals> PodsAfter(milliseconds time) {
    now_ += time;
    Drain();
    tree_->Expire(now_);
    std::map<std::string, PodTotals> pods;
    for (PodTotals& totals : tree_->Totals()) pods[totals.uid] = totals;
    return pods;
  }

  fs::path base_;
  CgroupLayout layout_;
  FakeKernel kernel_;
  std::unique_ptr<CgroupTree> tree_;
  CgroupTree::TimePoint now_{std::chrono::seconds(100)};
};

TEST_F(CgroupTreeTest, AContainersTimeBelongsToItsPod) {
  Make(Tree::kCpu, "burstable/podA/c1");
  const uint64_t c2 = Make(Tree::kCpu, "burstable/podA/c2");
  const uint64_t b = Make(Tree::kCpu, "podB");
  Walk();
  kernel_.UseCpu(Tree::kCpu, c2, 500);
  kernel_.UseCpu(Tree::kCpu, b, 70);
  const auto pods = PodsAfter(milliseconds(0));
  ASSERT_EQ(pods.size(), 2u);
  EXPECT_EQ(pods.at("A").totals.counters.cpu_ns, 500u);
  EXPECT_EQ(pods.at("A").totals.relative_path, "/burstable/podA");
  EXPECT_EQ(pods.at("B").totals.counters.cpu_ns, 70u);
  EXPECT_EQ(tree_->sum().cpu_ns, 570u);
}

// Equal ids in the two hierarchies are two different cgroups.
TEST_F(CgroupTreeTest, T10_IdsOfDifferentTreesNeverMix) {
  Walk();
  kernel_.MakeCgroup(Tree::kCpu, Root(Tree::kCpu), 4242, "podA");
  kernel_.MakeCgroup(Tree::kIo, Root(Tree::kIo), 4242, "podB");
  kernel_.counters[kernel_.members.at({Tree::kIo, 4242}).index].read_bytes = 9;
  kernel_.UseCpu(Tree::kCpu, 4242, 5);
  const auto pods = PodsAfter(milliseconds(0));
  ASSERT_EQ(pods.size(), 2u);
  EXPECT_EQ(pods.at("A").totals.counters.cpu_ns, 5u);
  EXPECT_EQ(pods.at("A").totals.counters.read_bytes, 0u);
  EXPECT_EQ(pods.at("B").totals.counters.read_bytes, 9u);
}

// A pod that came and went between two samples is reported, in full, `final` exactly once.
TEST_F(CgroupTreeTest, AShortLivedPodIsReportedInFullAndOnce) {
  Walk();
  const uint64_t root = Root(Tree::kCpu);
  kernel_.MakeCgroup(Tree::kCpu, root, 11, "podS");
  kernel_.MakeCgroup(Tree::kCpu, 11, 12, "c1");
  kernel_.UseCpu(Tree::kCpu, 12, 3'000'000);
  kernel_.counters[kernel_.IndexOf(Tree::kCpu, 12)].dirtied_bytes = 9;
  kernel_.RemoveCgroup(Tree::kCpu, 12);
  kernel_.RemoveCgroup(Tree::kCpu, 11);
  auto pods = PodsAfter(milliseconds(500));
  ASSERT_EQ(pods.size(), 1u);
  EXPECT_FALSE(pods.at("S").final) << "still within its tombstone";
  kernel_.UseCpu(Tree::kCpu, 12, 7);  // a dying task's last slice
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
  kernel_.MakeCgroup(Tree::kCpu, Root(Tree::kCpu), 11, "podS");
  kernel_.MakeCgroup(Tree::kCpu, 11, 12, "c1");
  kernel_.UseCpu(Tree::kCpu, 12, 40);
  PodsAfter(milliseconds(10));
  kernel_.RemoveCgroup(Tree::kCpu, 12);
  PodsAfter(milliseconds(10));
  const auto pods = PodsAfter(milliseconds(3000));
  EXPECT_FALSE(pods.at("S").final);
  EXPECT_EQ(pods.at("S").totals.counters.cpu_ns, 40u);
}

TEST_F(CgroupTreeTest, APodEndsOnlyWhenItIsGoneInBothTrees) {
  Walk();
  kernel_.MakeCgroup(Tree::kCpu, Root(Tree::kCpu), 11, "podS");
  kernel_.MakeCgroup(Tree::kIo, Root(Tree::kIo), 21, "podS");
  kernel_.RemoveCgroup(Tree::kCpu, 11);
  PodsAfter(milliseconds(0));
  EXPECT_FALSE(PodsAfter(milliseconds(5000)).at("S").final);
  kernel_.RemoveCgroup(Tree::kIo, 21);
  PodsAfter(milliseconds(0));
  EXPECT_TRUE(PodsAfter(milliseconds(5000)).at("S").final);
}

// What was used before we came is taken from the kernel's totals, and only once.
TEST_F(CgroupTreeTest, APodOlderThanUsStartsFromTheKernelsTotals) {
  Make(Tree::kCpu, "podA");
  Make(Tree::kIo, "podA");
  Write("cpu/kubepods/podA/cpu.stat", "usage_usec 5000\nuser_usec 1\n");
  Write("io/kubepods/podA/blkio.throttle.io_service_bytes_recursive",
        "254:0 Read 100\nTotal 100\n");
  Walk();
  kernel_.UseCpu(Tree::kCpu, Make(Tree::kCpu, "podA"), 11);
  Walk();
  const auto pods = PodsAfter(milliseconds(0));
  EXPECT_EQ(pods.at("A").totals.counters.cpu_ns, 5'000'011u);
  EXPECT_EQ(pods.at("A").totals.counters.read_bytes, 100u);
  EXPECT_EQ(tree_->sum().cpu_ns, 11u) << "the node counts since the programs were attached";
}

TEST_F(CgroupTreeTest, AWalkFindsWhatEventsDidNotTell) {
  Walk();
  const uint64_t pod = Make(Tree::kCpu, "burstable/podL");
  Walk();
  kernel_.UseCpu(Tree::kCpu, pod, 8);
  EXPECT_EQ(PodsAfter(milliseconds(0)).at("L").totals.counters.cpu_ns, 8u);
  fs::remove_all(base_ / "cpu/kubepods/burstable/podL");
  Walk();
  EXPECT_FALSE(PodsAfter(milliseconds(100)).at("L").final);
  EXPECT_TRUE(PodsAfter(milliseconds(2500)).at("L").final);
}

// Listing a directory is what a walk costs. Where no event was lost, its number of children tells
// whether it is worth it; else all are listed.
TEST_F(CgroupTreeTest, AWalkListsWhatHasAnotherNumberOfChildrenOrAllAfterALoss) {
  Make(Tree::kCpu, "podA");
  Make(Tree::kCpu, "podC");
  Walk();
  struct stat status{};
  ASSERT_EQ(::stat(layout_.cpu.directory.c_str(), &status), 0);
  if (status.st_nlink != 4) GTEST_SKIP() << "this file system counts no links of directories";
  Make(Tree::kCpu, "podB");
  fs::remove_all(base_ / "cpu/kubepods/podA");
  Walk();
  EXPECT_FALSE(PodsAfter(milliseconds(0)).contains("B")) << "no event: this cannot be";
  kernel_.lost.events = 1;
  Walk();
  EXPECT_TRUE(PodsAfter(milliseconds(0)).contains("B"));
  EXPECT_TRUE(PodsAfter(milliseconds(2500)).at("A").final);
  Make(Tree::kCpu, "podD");
  Make(Tree::kCpu, "podC/deep");
  Walk();
  EXPECT_TRUE(PodsAfter(milliseconds(0)).contains("D"));
  EXPECT_TRUE(kernel_.members.contains({Tree::kCpu, Make(Tree::kCpu, "podC/deep")}));
}

// All CPUs are interrupted, and all counters read, only for pods that begin with the kernel's
// total.
TEST_F(CgroupTreeTest, AWalkThatFindsNothingNewFlushesNothing) {
  Make(Tree::kCpu, "podA");
  Walk();
  EXPECT_EQ(kernel_.flushes, 1);
  Walk();
  EXPECT_EQ(kernel_.flushes, 1);
  Make(Tree::kCpu, "podA/c1");
  Walk();
  EXPECT_EQ(kernel_.flushes, 2);
}

// Both its events were lost: nobody knows the name, but its time stays in the node's sum and its
// index is freed. An event that is only late isn't taken for a lost one.
TEST_F(CgroupTreeTest, AMemberThatNobodyKnowsIsSummedAndFreed) {
  Walk();
  kernel_.MakeCgroup(Tree::kCpu, Root(Tree::kCpu), 77, "podX", /*lose_event=*/true);
  kernel_.UseCpu(Tree::kCpu, 77, 123);
  Walk();
  EXPECT_TRUE(kernel_.members.contains({Tree::kCpu, 77}));
  Walk();
  EXPECT_FALSE(kernel_.members.contains({Tree::kCpu, 77}));
  EXPECT_TRUE(PodsAfter(milliseconds(0)).empty());
  EXPECT_EQ(tree_->sum().cpu_ns, 123u);
}

TEST_F(CgroupTreeTest, CgroupsInsideAContainerShareItsIndex) {
  Make(Tree::kCpu, "burstable/podN/c1/init/deep");
  const uint64_t container = Make(Tree::kCpu, "burstable/podN/c1");
  Walk();
  kernel_.UseCpu(Tree::kCpu, container, 9);
  EXPECT_EQ(PodsAfter(milliseconds(0)).at("N").totals.counters.cpu_ns, 9u) << "not once per level";
}

TEST_F(CgroupTreeTest, WithoutRoomForMembersTheyAreCountedAsUncounted) {
  Walk();
  Make(Tree::kCpu, "podA");
  kernel_.refuse_members = true;
  Walk();
  EXPECT_EQ(tree_->uncounted(), 1u);
  EXPECT_TRUE(PodsAfter(milliseconds(0)).empty());
}

// A container that could not even become a member: what its pod used is not known either.
TEST_F(CgroupTreeTest, APodOfWhichAContainerIsNoMemberIsUnknown) {
  Make(Tree::kCpu, "podA");
  Walk();
  Make(Tree::kCpu, "podA/c1");
  kernel_.refuse_members = true;
  Walk();
  EXPECT_TRUE(PodsAfter(milliseconds(0)).empty());
  kernel_.refuse_members = false;
  Walk();
  EXPECT_EQ(PodsAfter(milliseconds(0)).size(), 1u);
}

// More cgroups than indices: nothing is said of a pod that got none, least of all that it used
// nothing. When one is free it goes on from the kernel's total.
TEST_F(CgroupTreeTest, APodWithoutAnIndexIsUnknownUntilAWalkFindsItOne) {
  kernel_ = FakeKernel(5);  // from 2 on: the roots of the trees and one more
  Walk();
  const uint64_t a = Make(Tree::kCpu, "podA"), b = Make(Tree::kCpu, "podB");
  kernel_.MakeCgroup(Tree::kCpu, Root(Tree::kCpu), a, "podA");
  kernel_.MakeCgroup(Tree::kCpu, Root(Tree::kCpu), b, "podB");
  kernel_.UseCpu(Tree::kCpu, b, 7);
  auto pods = PodsAfter(milliseconds(0));
  EXPECT_TRUE(pods.contains("A"));
  EXPECT_FALSE(pods.contains("B"));
  EXPECT_EQ(tree_->sum().cpu_ns, 7u);
  Write("cpu/kubepods/podB/cpu.stat", "usage_usec 5\n");
  Walk();
  EXPECT_FALSE(PodsAfter(milliseconds(0)).contains("B")) << "there is none yet";
  fs::remove_all(base_ / "cpu/kubepods/podA");
  kernel_.RemoveCgroup(Tree::kCpu, a);
  PodsAfter(milliseconds(0));
  EXPECT_TRUE(PodsAfter(milliseconds(3000)).at("A").final);
  Walk();
  EXPECT_EQ(PodsAfter(milliseconds(0)).at("B").totals.counters.cpu_ns, 5000u);
  kernel_.UseCpu(Tree::kCpu, b, 11);
  EXPECT_EQ(PodsAfter(milliseconds(0)).at("B").totals.counters.cpu_ns, 5011u);
}

TEST_F(CgroupTreeTest, APodThatNeverGotAnIndexHasNoLastRecord) {
  kernel_ = FakeKernel(4);
  Walk();
  kernel_.MakeCgroup(Tree::kCpu, Root(Tree::kCpu), 11, "podA");
  kernel_.UseCpu(Tree::kCpu, 11, 7);
  kernel_.RemoveCgroup(Tree::kCpu, 11);
  EXPECT_TRUE(PodsAfter(milliseconds(0)).empty());
  EXPECT_TRUE(PodsAfter(milliseconds(3000)).empty());
  EXPECT_EQ(tree_->pods(), 0u);
  EXPECT_EQ(tree_->sum().cpu_ns, 7u);
}

// One of a pod's containers is not counted: the pod's sum would be too low.
TEST_F(CgroupTreeTest, APodOfWhichAContainerHasNoIndexIsUnknown) {
  kernel_ = FakeKernel(5);
  Walk();
  kernel_.MakeCgroup(Tree::kCpu, Root(Tree::kCpu), 11, "podA");
  kernel_.UseCpu(Tree::kCpu, 11, 3);
  EXPECT_TRUE(PodsAfter(milliseconds(0)).contains("A"));
  kernel_.MakeCgroup(Tree::kCpu, 11, 12, std::string(64, 'a'));
  kernel_.UseCpu(Tree::kCpu, 12, 4);
  EXPECT_FALSE(PodsAfter(milliseconds(0)).contains("A"));
}

TEST_F(CgroupTreeTest, AGoneKubepodsIsAnErrorThatNamesIt) {
  fs::remove_all(base_ / "cpu/kubepods");
  const Status walked = tree_->Walk(now_);
  ASSERT_FALSE(walked.has_value());
  EXPECT_EQ(walked.error().code, Code::kNotFound);
  EXPECT_NE(walked.error().message.find("cpu/kubepods"), std::string::npos);
}

// On cgroup v2 there is one tree for all; io_nodes of a second would count everything twice.
TEST_F(CgroupTreeTest, OneHierarchyIsWalkedOnce) {
  layout_.io = layout_.cpu;
  Restart();
  const uint64_t pod = Make(Tree::kCpu, "podA");
  Walk();
  kernel_.UseCpu(Tree::kCpu, pod, 6);
  EXPECT_EQ(PodsAfter(milliseconds(0)).at("A").totals.counters.cpu_ns, 6u);
  EXPECT_TRUE(kernel_.ListMembers(Tree::kIo).empty());
}

const std::string kFirstId(64, 'a'), kSecondId(64, 'b');
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
  kernel_.MakeCgroup(Tree::kCpu, Root(Tree::kCpu), 11, "podA");
  kernel_.MakeCgroup(Tree::kCpu, 11, 12, "cri-containerd-" + kFirstId + ".scope");
  kernel_.MakeCgroup(Tree::kCpu, 11, 13, "cri-containerd-" + kSecondId + ".scope");
  kernel_.MakeCgroup(Tree::kCpu, 12, 14, "init.scope");
  kernel_.MakeCgroup(Tree::kIo, Root(Tree::kIo), 21, "podA");
  kernel_.MakeCgroup(Tree::kIo, 21, 22, "cri-containerd-" + kFirstId + ".scope");
  kernel_.UseCpu(Tree::kCpu, 11, 1);
  kernel_.UseCpu(Tree::kCpu, 12, 10);
  kernel_.UseCpu(Tree::kCpu, 13, 100);
  kernel_.UseCpu(Tree::kCpu, 14, 1000);
  kernel_.devices.push_back({kernel_.IndexOf(Tree::kIo, 22), kDisk, Written(7)});
  kernel_.devices.push_back({0, kDisk, Written(50)});
  const auto pods = PodsAfter(milliseconds(0));
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
  kernel_.MakeCgroup(Tree::kCpu, Root(Tree::kCpu), 11, "podA");
  kernel_.MakeCgroup(Tree::kCpu, 11, 12, kFirstId);
  kernel_.UseCpu(Tree::kCpu, 12, 10);
  kernel_.devices.push_back({kernel_.IndexOf(Tree::kCpu, 12), kDisk, Written(7)});
  kernel_.RemoveCgroup(Tree::kCpu, 12);
  kernel_.MakeCgroup(Tree::kCpu, 11, 13, kSecondId);
  EXPECT_EQ(PodsAfter(milliseconds(10)).at("A").containers.size(), 2u);
  const auto pods = PodsAfter(milliseconds(3000));
  ASSERT_EQ(pods.at("A").containers.size(), 1u);
  EXPECT_EQ(pods.at("A").containers[0].id, kSecondId);
  EXPECT_EQ(pods.at("A").totals.counters.cpu_ns, 10u);
  EXPECT_EQ(pods.at("A").totals.devices.at(kDisk).write_bytes, 7u);
  EXPECT_EQ(tree_->NodeDevices().at(kDisk).write_bytes, 7u);
}

// What a container had used before us is its own, not only its pod's.
TEST_F(CgroupTreeTest, AContainerOlderThanUsStartsFromTheKernelsTotals) {
  Make(Tree::kCpu, "podA/" + kFirstId);
  Make(Tree::kIo, "podA/" + kFirstId);
  Write("cpu/kubepods/podA/cpu.stat", "usage_usec 5000\n");
  Write("cpu/kubepods/podA/" + kFirstId + "/cpu.stat", "usage_usec 4000\n");
  Walk();
  kernel_.UseCpu(Tree::kCpu, Make(Tree::kCpu, "podA/" + kFirstId), 11);
  const auto pods = PodsAfter(milliseconds(0));
  EXPECT_EQ(pods.at("A").totals.counters.cpu_ns, 5'000'011u);
  EXPECT_EQ(pods.at("A").containers.at(0).totals.counters.cpu_ns, 4'000'011u);
}

// An index that was freed and went to another pod's cgroup brings nothing of the first with it.
TEST_F(CgroupTreeTest, AReusedIndexNeverMixesPods) {
  Walk();
  const uint64_t root = Root(Tree::kCpu);
  tree_->Watch({"V", "W"});
  kernel_.MakeCgroup(Tree::kCpu, root, 11, "podV");
  kernel_.MakeCgroup(Tree::kCpu, root, 12, "podX");
  PodsAfter(milliseconds(0));
  const uint32_t victim = kernel_.IndexOf(Tree::kCpu, 11),
                 offender = kernel_.IndexOf(Tree::kCpu, 12);
  kernel_.preemptions.push_back({victim, offender, 3, 900});
  kernel_.devices.push_back({offender, kDisk, Written(7)});
  kernel_.UseCpu(Tree::kCpu, 12, 5);
  kernel_.RemoveCgroup(Tree::kCpu, 12);
  PodsAfter(milliseconds(10));
  ASSERT_EQ(tree_->Preemptions().size(), 1u);
  EXPECT_EQ(tree_->Preemptions()[0].offender, "X");
  EXPECT_TRUE(PodsAfter(milliseconds(3000)).at("X").final);
  kernel_.MakeCgroup(Tree::kCpu, root, 13, "podY");
  const auto pods = PodsAfter(milliseconds(10));
  ASSERT_EQ(kernel_.IndexOf(Tree::kCpu, 13), offender) << "the test means to reuse it";
  EXPECT_EQ(pods.at("Y").totals.counters, Counters{});
  EXPECT_TRUE(pods.at("Y").totals.devices.empty());
  EXPECT_TRUE(tree_->Preemptions().empty()) << "X is gone, and Y did nothing";
  EXPECT_EQ(tree_->NodeDevices().at(kDisk).write_bytes, 7u);
}

// Preemptions are told by pod: containers are summed, those of one pod among themselves left out,
// and whoever is no pod of ours is the system.
TEST_F(CgroupTreeTest, PreemptionsAreSummedByPod) {
  Walk();
  const uint64_t root = Root(Tree::kCpu);
  kernel_.MakeCgroup(Tree::kCpu, root, 11, "podV");
  kernel_.MakeCgroup(Tree::kCpu, 11, 12, kFirstId);
  kernel_.MakeCgroup(Tree::kCpu, 11, 13, kSecondId);
  kernel_.MakeCgroup(Tree::kCpu, root, 14, "podX");
  kernel_.MakeCgroup(Tree::kCpu, 14, 15, kFirstId);
  PodsAfter(milliseconds(0));
  EXPECT_FALSE(kernel_.watched[kernel_.IndexOf(Tree::kCpu, 12)]);
  tree_->Watch({"V"});
  const auto index = [&](uint64_t id) { return kernel_.IndexOf(Tree::kCpu, id); };
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
  kernel_.RemoveCgroup(Tree::kCpu, 13);
  PodsAfter(milliseconds(0));
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
  const uint64_t root = Root(Tree::kCpu);
  tree_->Watch({"V"});
  kernel_.MakeCgroup(Tree::kCpu, root, 11, "podV");
  kernel_.MakeCgroup(Tree::kCpu, 11, 12, kFirstId);
  kernel_.MakeCgroup(Tree::kCpu, root, 13, "podX");
  kernel_.MakeCgroup(Tree::kCpu, 13, 14, kFirstId);
  PodsAfter(milliseconds(0));
  kernel_.preemptions = {{kernel_.IndexOf(Tree::kCpu, 12), kernel_.IndexOf(Tree::kCpu, 14), 3, 30}};
  kernel_.RemoveCgroup(Tree::kCpu, 12);
  kernel_.RemoveCgroup(Tree::kCpu, 14);
  PodsAfter(milliseconds(0));
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
  kernel_.MakeCgroup(Tree::kCpu, Root(Tree::kCpu), 11, "podL");
  kernel_.MakeCgroup(Tree::kCpu, 11, 12, kFirstId);
  PodsAfter(milliseconds(0));
  EXPECT_TRUE(kernel_.watched[kernel_.IndexOf(Tree::kCpu, 12)]);
}

}  // namespace
}  // namespace longshore::nodeagent
