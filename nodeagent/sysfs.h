// SPDX-License-Identifier: Apache-2.0
//
// What sysfs says of devices: counters of the node's network interfaces, names of its block devices
// and whether they lie on others. Called by collector.cc.
//
// A container's own /sys shows the interfaces of its network namespace, not the node's: for those
// the host's /sys has to be mounted. Block devices are the same in every /sys.
// Cost: 4 reads an interface and one a block device each sample; the lists are made anew once a
// minute.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "nodeagent/sample.h"
#include "nodeagent/text_scan.h"

namespace longshore::nodeagent {

inline constexpr std::chrono::seconds kSysfsRescan{60};

// Thread-compatible.
class NetworkInterfaces {
 public:
  explicit NetworkInterfaces(std::string sysfs) : sysfs_(std::move(sysfs)) {}
  // Those with a device below them; on a node that is a container itself, which has none, the
  // oldest few (its own are older than its pods'). At most 16. Empty where sysfs isn't mounted.
  std::vector<NetworkInterface> Read(MonotonicTime now);

 private:
  struct Entry {
    explicit Entry(OpenFiles& files)
        : receive(files), send(files), receive_drops(files), send_drops(files) {}
    uint64_t speed_bits_per_second = 0;
    KeptFile receive, send, receive_drops, send_drops;
  };
  void Scan();

  const std::string sysfs_;
  OpenFiles open_files_{64};
  std::map<std::string, Entry> entries_;  // by name
  std::optional<MonotonicTime> scanned_;
};

struct BlockDevice {
  std::string name;  // "vda"; empty: unknown
  bool stacked = false;
};

class BlockDevices {
 public:
  explicit BlockDevices(std::string sysfs) : sysfs_(std::move(sysfs)) {}
  const BlockDevice& Get(DeviceId id, MonotonicTime now);
  // Requests that the device has at this moment, by the kernel's own count: ours doesn't hear of
  // all completions. Nothing where sysfs isn't mounted.
  std::optional<uint64_t> InFlight(DeviceId id);

 private:
  BlockDevice Look(DeviceId id) const;
  std::string PathOf(DeviceId id) const { return sysfs_ + "/dev/block/" + id.ToString(); }

  const std::string sysfs_;
  std::map<DeviceId, BlockDevice> known_;  // of devices that did I/O; a number may be reused
  MonotonicTime forgotten_{};
  OpenFiles open_files_{64};
  std::map<DeviceId, KeptFile> in_flight_;
};

}  // namespace longshore::nodeagent
