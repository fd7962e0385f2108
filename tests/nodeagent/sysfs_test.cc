// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/sysfs.h"

#include <gtest/gtest.h>

#include "tests/nodeagent/file_tree.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::seconds;

const MonotonicTime kStart{std::chrono::hours(1)};

void AddInterface(FileTree& sysfs, const std::string& name, int index, bool device,
                  const std::string& speed = "10000") {
  const std::string base = "class/net/" + name;
  sysfs.Write(base + "/ifindex", std::to_string(index) + "\n");
  sysfs.Write(base + "/speed", speed + "\n");
  sysfs.Write(base + "/statistics/rx_bytes", "1000\n");
  sysfs.Write(base + "/statistics/tx_bytes", "2000\n");
  sysfs.Write(base + "/statistics/rx_dropped", "3\n");
  sysfs.Write(base + "/statistics/tx_dropped", "4\n");
  if (device) sysfs.Write(base + "/device/vendor", "0x1af4\n");
}

// Pods' ends of veth pairs and bridges carry the same bytes again: only hardware counts.
TEST(NetworkInterfacesTest, AreThoseWithADeviceBelowThem) {
  FileTree sysfs;
  AddInterface(sysfs, "lo", 1, false);
  AddInterface(sysfs, "eth0", 2, true);
  AddInterface(sysfs, "veth1", 3, false);
  NetworkInterfaces interfaces(sysfs.path());
  const auto read = interfaces.Read(kStart);
  ASSERT_EQ(read.size(), 1u);
  EXPECT_EQ(read[0].name, "eth0");
  EXPECT_EQ(read[0].receive_bytes, 1000u);
  EXPECT_EQ(read[0].send_bytes, 2000u);
  EXPECT_EQ(read[0].drops, 7u);
  EXPECT_EQ(read[0].speed_bits_per_second, 10'000'000'000u);
}

// A node that is a container has no hardware; its own interface is older than its pods'.
TEST(NetworkInterfacesTest, WithoutHardwareTheOldestFewAreTaken) {
  FileTree sysfs;
  for (int i = 0; i < 100; ++i) AddInterface(sysfs, "veth" + std::to_string(i), 10 + i, false);
  AddInterface(sysfs, "eth0", 2, false, "-1");
  NetworkInterfaces interfaces(sysfs.path());
  const auto read = interfaces.Read(kStart);
  ASSERT_EQ(read.size(), 4u);
  EXPECT_EQ(read[0].name, "eth0");
  EXPECT_EQ(read[0].speed_bits_per_second, 0u) << "unknown";
}

TEST(NetworkInterfacesTest, ComeAndGoWithinAMinute) {
  FileTree sysfs;
  AddInterface(sysfs, "eth0", 2, true);
  NetworkInterfaces interfaces(sysfs.path());
  EXPECT_EQ(interfaces.Read(kStart).size(), 1u);
  AddInterface(sysfs, "eth1", 3, true);
  sysfs.Remove("class/net/eth0");
  EXPECT_EQ(interfaces.Read(kStart + seconds(61)).size(), 1u);
  EXPECT_EQ(interfaces.Read(kStart + seconds(62))[0].name, "eth1");
}

TEST(NetworkInterfacesTest, NoneWhereSysfsIsNotMounted) {
  FileTree empty;
  EXPECT_TRUE(NetworkInterfaces(empty.path("/none")).Read(kStart).empty());
}

// Trap 14: I/O on a loop device or a volume of LVM is seen once more on the disk below it.
TEST(BlockDevicesTest, ThoseThatLieOnOthersAreTold) {
  FileTree sysfs;
  for (const char* name : {"vda", "loop0", "dm-3", "md127", "cache0"}) {
    sysfs.Write("devices/block/" + std::string(name) + "/size", "1\n");
  }
  sysfs.Write("devices/block/cache0/slaves/vda/size", "1\n");
  sysfs.Link("devices/block/vda", "dev/block/254:0");
  sysfs.Link("devices/block/loop0", "dev/block/7:0");
  sysfs.Link("devices/block/dm-3", "dev/block/253:3");
  sysfs.Link("devices/block/md127", "dev/block/9:127");
  sysfs.Link("devices/block/cache0", "dev/block/240:0");
  BlockDevices devices(sysfs.path());
  EXPECT_EQ(devices.Get({254, 0}, kStart).name, "vda");
  EXPECT_FALSE(devices.Get({254, 0}, kStart).stacked);
  EXPECT_EQ(devices.Get({253, 3}, kStart).name, "dm-3");
  for (const DeviceId id : {DeviceId{7, 0}, {253, 3}, {9, 127}, {240, 0}}) {
    EXPECT_TRUE(devices.Get(id, kStart).stacked) << id.ToString();
  }
}

// What was issued and is not done, by the kernel's own count: ours does not hear of all
// completions.
TEST(BlockDevicesTest, T19_RequestsInFlightAreTheKernelsCount) {
  FileTree sysfs;
  sysfs.Write("devices/block/vda/inflight", "       3        4\n");
  sysfs.Link("devices/block/vda", "dev/block/254:0");
  BlockDevices devices(sysfs.path());
  EXPECT_EQ(devices.InFlight({254, 0}), 7u);
  EXPECT_EQ(devices.InFlight({254, 16}), std::nullopt) << "no such device";
  sysfs.Write("devices/block/vda/inflight", "       0        1\n");
  EXPECT_EQ(devices.InFlight({254, 0}), 1u);
}

TEST(BlockDevicesTest, WithoutSysfsNumbersThatNeverChangeAreKnown) {
  FileTree empty;
  BlockDevices devices(empty.path());
  EXPECT_TRUE(devices.Get({7, 1}, kStart).stacked);
  EXPECT_FALSE(devices.Get({8, 0}, kStart).stacked);
  EXPECT_EQ(devices.Get({8, 0}, kStart).name, "");
}

// A number that was freed may be another device's soon.
TEST(BlockDevicesTest, ANameIsLookedUpAnewEachMinute) {
  FileTree sysfs;
  BlockDevices devices(sysfs.path());
  EXPECT_EQ(devices.Get({8, 0}, kStart).name, "");
  sysfs.Write("devices/block/sda/size", "1\n");
  sysfs.Link("devices/block/sda", "dev/block/8:0");
  EXPECT_EQ(devices.Get({8, 0}, kStart + seconds(61)).name, "sda");
}

}  // namespace
}  // namespace longshore::nodeagent
