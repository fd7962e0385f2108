// SPDX-License-Identifier: Apache-2.0
//
// A CgroupTree over directories that stand for cgroups (there, too, the inode number is the id),
// with the kernel side faked. A test lets cgroups come and go by events, or makes directories that
// a walk finds. Where no tree is named, it is that of the CPU.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "nodeagent/cgroup_tree.h"
#include "tests/nodeagent/fake_kernel.h"

namespace longshore::nodeagent {

inline const std::string kFirstId(64, 'a'), kSecondId(64, 'b');  // of containers

class CgroupTreeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::remove_all(base_);
    std::filesystem::create_directories(base_ / "cpu/kubepods");
    std::filesystem::create_directories(base_ / "io/kubepods");
    layout_.cpu = {(base_ / "cpu/kubepods").string(), 0, true};
    layout_.io = {(base_ / "io/kubepods").string(), 7, false};
    Restart();
  }
  void TearDown() override { std::filesystem::remove_all(base_); }

  void Restart() {
    tree_ = std::make_unique<CgroupTree>(layout_, kernel_, std::chrono::milliseconds(2000));
  }

  // A directory below kubepods, of which no event tells; its id.
  uint64_t Make(Tree tree, const std::string& path) {
    const CgroupPlace& place = tree == Tree::kCpu ? layout_.cpu : layout_.io;
    const std::filesystem::path full = std::filesystem::path(place.directory) / path;
    std::filesystem::create_directories(full);
    struct stat status{};
    EXPECT_EQ(::stat(full.c_str(), &status), 0);
    return status.st_ino;
  }
  uint64_t Make(const std::string& path) { return Make(Tree::kCpu, path); }
  uint64_t Root(Tree tree) { return Make(tree, "."); }
  void Remove(const std::string& path) {
    std::filesystem::remove_all(std::filesystem::path(layout_.cpu.directory) / path);
  }
  void Write(const std::string& file, const std::string& text) {
    std::ofstream(base_ / file) << text;
  }

  // Told by an event: a cgroup of that id and name, below another one or kubepods.
  void Comes(uint64_t id, const std::string& name, uint64_t parent) {
    kernel_.MakeCgroup(Tree::kCpu, parent, id, name);
  }
  void Comes(uint64_t id, const std::string& name) { Comes(id, name, Root(Tree::kCpu)); }
  void Goes(uint64_t id) { kernel_.RemoveCgroup(Tree::kCpu, id); }
  void Uses(uint64_t id, uint64_t cpu_ns) { kernel_.UseCpu(Tree::kCpu, id, cpu_ns); }
  uint32_t IndexOf(uint64_t id) { return kernel_.IndexOf(Tree::kCpu, id); }

  void Walk() {
    const Status walked = tree_->Walk(now_);
    ASSERT_TRUE(walked.has_value()) << walked.error().ToString();
  }
  // The pods after time has passed, by UID.
  std::map<std::string, PodTotals> PodsAfter(std::chrono::milliseconds time) {
    now_ += time;
    std::vector<CgroupEvent> events;
    kernel_.DrainEvents(events);
    for (const CgroupEvent& event : events) tree_->Apply(event, now_);
    tree_->Expire(now_);
    std::map<std::string, PodTotals> pods;
    for (PodTotals& totals : tree_->Totals()) pods[totals.uid] = totals;
    return pods;
  }
  std::map<std::string, PodTotals> Pods() { return PodsAfter(std::chrono::milliseconds(0)); }

  const std::filesystem::path base_ =
      std::filesystem::temp_directory_path() / ("longshore-tree-" + std::to_string(::getpid()));
  CgroupLayout layout_;
  FakeKernel kernel_;
  std::unique_ptr<CgroupTree> tree_;
  CgroupTree::TimePoint now_{std::chrono::seconds(100)};
};

}  // namespace longshore::nodeagent
