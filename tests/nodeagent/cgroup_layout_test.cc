// SPDX-License-Identifier: Apache-2.0
//
// Discovery on copies of what /proc and /sys/fs/cgroup look like on v1, hybrid and v2 machines.
#include "nodeagent/cgroup_layout.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace longshore::nodeagent {
namespace {

namespace fs = std::filesystem;

class DiscoverLayoutTest : public ::testing::Test {
 protected:
  void SetUp() override {
    base_ = fs::temp_directory_path() /
            ("longshore-layout-" + std::to_string(::getpid()) + "-" +
             ::testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(base_ / "proc/self");
    fs::create_directories(Cgroups());
  }
  void TearDown() override { fs::remove_all(base_); }

  std::string Cgroups() const { return (base_ / "cgroup").string(); }
  void Mount(const std::string& name, const std::string& type, const std::string& options) {
    const std::string point = name.empty() ? Cgroups() : Cgroups() + "/" + name;
    fs::create_directories(point);
    mountinfo_ +=
        "36 25 0:31 / " + point + " rw,nosuid shared:9 - " + type + " cgroup " + options + "\n";
  }
  void MountHybrid() {
    mountinfo_ += "25 1 0:24 / " + Cgroups() + " rw - tmpfs tmpfs rw,mode=755\n";
    for (const char* name : {"cpu", "cpuacct", "memory", "blkio"}) {
      Mount(name, "cgroup", std::string("rw,") + name);
    }
    Mount("systemd", "cgroup", "rw,name=systemd");
    Mount("unified", "cgroup2", "rw");
  }
  void Make(const std::string& path) { fs::create_directories(Cgroups() + "/" + path); }
  Result<CgroupLayout> Discover(const std::string& root, const std::string& own) {
    std::ofstream(base_ / "proc/self/mountinfo") << mountinfo_;
    std::ofstream(base_ / "proc/self/cgroup") << own;
    LayoutOptions options;
    options.cgroup_root = root;
    options.cgroup_fs = Cgroups();
    options.proc = (base_ / "proc").string();
    return DiscoverLayout(options);
  }

  fs::path base_;
  std::string mountinfo_ = "20 1 0:19 / /sys rw - sysfs sysfs rw\n";
};

TEST_F(DiscoverLayoutTest, HybridTakesTasksFromV2AndBlockIoFromBlkio) {
  MountHybrid();
  for (const char* tree : {"unified", "cpuacct", "memory", "blkio"}) {
    Make(std::string(tree) + "/node-1/kubepods/burstable/podX/c");
  }
  std::ofstream(Cgroups() + "/unified/node-1/cpu.pressure") << "some\n";
  const std::string own = "/node-1/kubepods/burstable/podX/c\n";
  const auto layout = Discover("auto", "9:name=systemd:" + own + "7:blkio:" + own +
                                           "4:memory:" + own + "2:cpuacct:" + own + "0::" + own);
  ASSERT_TRUE(layout.has_value()) << layout.error().ToString();
  EXPECT_EQ(layout->root, "/node-1");
  EXPECT_EQ(layout->cpu.directory, Cgroups() + "/unified/node-1/kubepods");
  EXPECT_TRUE(layout->cpu.v2);
  EXPECT_EQ(layout->cpu.hierarchy, 0u);
  EXPECT_EQ(layout->io.directory, Cgroups() + "/blkio/node-1/kubepods");
  EXPECT_FALSE(layout->io.v2);
  EXPECT_EQ(layout->io.hierarchy, 7u);
  EXPECT_EQ(layout->memory.directory, Cgroups() + "/memory/node-1/kubepods");
  EXPECT_EQ(layout->pressure_directory, Cgroups() + "/unified/node-1");
}

// A kubelet that is kept out of blkio, as in some nested set-ups. Its cgroups' ids there would be
// looked up among those of v2, where they are other pods'.
TEST_F(DiscoverLayoutTest, HybridWithoutPodsInBlkioAttributesNoBlockIo) {
  MountHybrid();
  Make("unified/kubepods");
  Make("blkio");
  const auto layout = Discover("/", "7:blkio:/\n4:memory:/\n2:cpuacct:/\n0::/\n");
  ASSERT_TRUE(layout.has_value()) << layout.error().ToString();
  EXPECT_EQ(layout->cpu.hierarchy, 0u);
  EXPECT_EQ(layout->io.directory, "");
  EXPECT_EQ(layout->io.hierarchy, kNoHierarchy);
}

TEST_F(DiscoverLayoutTest, V1AloneTakesTasksFromCpuacctWhereverItIsMounted) {
  Mount("cpu,cpuacct", "cgroup", "rw,cpu,cpuacct");
  Mount("blkio", "cgroup", "rw,blkio");
  Make("cpu,cpuacct/kubepods");
  const auto layout = Discover("/", "4:cpu,cpuacct:/\n3:blkio:/\n");
  ASSERT_TRUE(layout.has_value()) << layout.error().ToString();
  EXPECT_EQ(layout->root, "/");
  EXPECT_EQ(layout->cpu.directory, Cgroups() + "/cpu,cpuacct/kubepods");
  EXPECT_FALSE(layout->cpu.v2);
  EXPECT_EQ(layout->cpu.hierarchy, 4u);
  EXPECT_EQ(layout->io.directory, "") << "no pods in the blkio tree";
  EXPECT_EQ(layout->memory.directory, "");
  EXPECT_EQ(layout->pressure_directory, "");
}

TEST_F(DiscoverLayoutTest, V2IsOneTreeForEverything) {
  Mount("", "cgroup2", "rw,nsdelegate");
  Make("kubepods.slice/kubepods-burstable.slice");
  const auto layout = Discover("/", "0::/user.slice\n");
  ASSERT_TRUE(layout.has_value()) << layout.error().ToString();
  EXPECT_EQ(layout->cpu.directory, Cgroups() + "/kubepods.slice");
  EXPECT_EQ(layout->io.directory, layout->cpu.directory);
  EXPECT_EQ(layout->io.hierarchy, layout->cpu.hierarchy);
  EXPECT_EQ(layout->memory.directory, layout->cpu.directory);
  EXPECT_TRUE(layout->memory.v2);
}

// A private cgroup namespace shows our own cgroup as "/"; the mounted tree has our pid in it.
TEST_F(DiscoverLayoutTest, V2InAPrivateNamespaceIsFoundByOurPid) {
  Mount("", "cgroup2", "rw");
  Make("kubepods.slice/kubepods-podA.slice/c1");
  Make("kubepods.slice/kubepods-podB.slice/c2");
  std::ofstream(Cgroups() + "/kubepods.slice/kubepods-podA.slice/c1/cgroup.procs") << "0\n0\n";
  std::ofstream(Cgroups() + "/kubepods.slice/kubepods-podB.slice/c2/cgroup.procs")
      << ::getpid() << "\n";
  const auto layout = Discover("auto", "0::/\n");
  ASSERT_TRUE(layout.has_value()) << layout.error().ToString();
  EXPECT_EQ(layout->cpu.directory, Cgroups() + "/kubepods.slice");
}

TEST_F(DiscoverLayoutTest, OfTwoMountsAtOnePointTheUpperOneIsSeen) {
  Mount("", "cgroup", "rw,cpuacct");
  Mount("", "cgroup2", "rw");
  Make("kubepods");
  const auto layout = Discover("/", "0::/\n");
  ASSERT_TRUE(layout.has_value());
  EXPECT_TRUE(layout->cpu.v2);
}

TEST_F(DiscoverLayoutTest, TheRootMayBeKubepodsItself) {
  Mount("", "cgroup2", "rw");
  Make("a/kubepods");
  const auto layout = Discover("/a/kubepods", "0::/\n");
  ASSERT_TRUE(layout.has_value()) << layout.error().ToString();
  EXPECT_EQ(layout->root, "/a");
}

TEST_F(DiscoverLayoutTest, SaysWhatItMisses) {
  EXPECT_EQ(Discover("/", "0::/\n").error().code, Code::kFailedPrecondition);
  Mount("", "cgroup2", "rw");
  const auto absent = Discover("/node-9", "0::/\n");
  ASSERT_FALSE(absent.has_value());
  EXPECT_EQ(absent.error().code, Code::kNotFound);
  EXPECT_NE(absent.error().message.find("/node-9"), std::string::npos);
  const auto outside = Discover("auto", "0::/user.slice\n");
  ASSERT_FALSE(outside.has_value());
  EXPECT_EQ(outside.error().code, Code::kNotFound);
  EXPECT_NE(outside.error().message.find("cgroup-root"), std::string::npos);
}

TEST(ParseProcCgroupTest, KeepsColonsOfThePathAndSkipsRubbish) {
  const auto lines = ParseProcCgroup("3:cpu,cpuacct:/a:cri-containerd:1\nrubbish\nx:y:/z\n0::/b\n");
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].hierarchy, 3u);
  EXPECT_TRUE(lines[0].controllers.contains("cpuacct"));
  EXPECT_EQ(lines[0].path, "/a:cri-containerd:1");
  EXPECT_TRUE(lines[1].controllers.empty());
}

}  // namespace
}  // namespace longshore::nodeagent
