// SPDX-License-Identifier: Apache-2.0
//
// What the collector needs from the BPF side, as an interface: bpf_host.h is the real one, tests of
// the attribution use a fake kernel. One thread only, except Wake().
#pragma once

#include <array>
#include <chrono>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/result.h"

namespace longshore::nodeagent {

// The two cgroup trees that the kernel side attributes by. Their ids collide, so an id means
// nothing without its tree. Where both are one hierarchy (cgroup v2), only kCpu is used.
enum class Tree { kCpu, kIo };

// Durations by powers of two: bucket i counts those of 2^i to 2^(i+1) - 1 microseconds, the first
// also all shorter ones and the last all longer ones.
struct Histogram {
  static constexpr size_t kBuckets = 20;
  std::array<uint64_t, kBuckets> buckets{};

  uint64_t Count() const;
  // An upper bound of the given quantile (0 to 1): the end of the bucket it falls into, kUnbounded
  // for the last one, which holds kLongest and all above. Nothing when the histogram is empty.
  static constexpr auto kUnbounded = std::chrono::microseconds::max();
  static constexpr std::chrono::microseconds kLongest{uint64_t{1} << (kBuckets - 1)};
  std::optional<std::chrono::microseconds> Quantile(double q) const;
  Histogram& operator+=(const Histogram& other);
  // What came since `earlier`; a bucket that fell counts as zero.
  Histogram Since(const Histogram& earlier) const;
  bool operator==(const Histogram&) const = default;
};

// Cumulative counts of one index, summed over the CPUs.
struct Counters {
  uint64_t cpu_ns = 0;
  uint64_t run_queue_wait_ns = 0;
  uint64_t voluntary_switches = 0, involuntary_switches = 0;
  // Block I/O charged to the cgroup, counted when the request is issued.
  uint64_t read_bytes = 0, write_bytes = 0;
  uint64_t read_ops = 0, write_ops = 0;
  // What the kernel accounts to the tasks themselves (task_io_accounting).
  uint64_t file_read_bytes = 0, file_write_bytes = 0;  // rchar, wchar
  uint64_t file_reads = 0, file_writes = 0;            // syscr, syscw
  uint64_t fetched_bytes = 0;  // read_bytes: page cache misses, direct reads
  uint64_t dirtied_bytes = 0;  // write_bytes: written into the page cache, or directly
  // cancelled_write_bytes: deleted before it was written back, whoever had dirtied it
  uint64_t cancelled_bytes = 0;
  uint64_t major_faults = 0;
  uint64_t fsyncs = 0, fsync_ns = 0;
  uint64_t reclaim_stall_ns = 0;
  uint64_t oom_kills = 0;  // that were seen; what a pod is said to have is in Usage
  uint64_t network_receive_bytes = 0, network_send_bytes = 0;
  Histogram run_queue_wait;  // by slice, waits of zero left out
  Histogram fsync;

  Counters& operator+=(const Counters& other);
  bool operator==(const Counters&) const = default;
};

// Block I/O of one index on one device.
struct DeviceCounters {
  uint64_t read_bytes = 0, write_bytes = 0;
  uint64_t read_ops = 0, write_ops = 0, flushes = 0;
  uint64_t queue_ns = 0, device_ns = 0;  // of the operations whose completion was seen
  Histogram queue;                       // from request made to request issued
  Histogram read, write, flush;          // from issued to completed

  Histogram Latency() const;  // of all of them
  DeviceCounters& operator+=(const DeviceCounters& other);
  bool operator==(const DeviceCounters&) const = default;
};

// A block device's number, as in "MAJOR:MINOR".
struct DeviceId {
  uint32_t major = 0, minor = 0;
  auto operator<=>(const DeviceId&) const = default;
  std::string ToString() const;
};

struct DeviceRow {
  uint32_t index = 0;  // 0: everybody who is not below our root
  DeviceId device;
  DeviceCounters counters;
};

// Tasks of `victim` that were runnable and had to leave their CPU to one of `offender`.
struct PreemptionRow {
  uint32_t victim = 0, offender = 0;  // indices; offender 0: the system, another kubelet's pods
  uint64_t count = 0;
  uint64_t offender_ns = 0;  // what the offender then ran for
};

// What our programs of one purpose cost.
inline constexpr uint64_t kRunsPerSample = 1024;  // one of so many is timed
struct ProgramCost {
  std::string_view program;
  uint64_t runs = 0;
  uint64_t sampled_runs = 0;
  uint64_t sampled_ns = 0;
};

// Where a cgroup is counted.
struct Member {
  uint32_t index = 0;
  uint32_t depth = 0;       // below `kubepods`
  bool owns_index = false;  // false: counted with an ancestor or in the overflow index
  bool overflowed = false;  // found no index: counted in the node's sum only
  bool existed = false;     // the kernel side knew it already
};

struct CgroupEvent {
  enum class Kind { kMade, kRemoved, kTaskMoved };
  Kind kind = Kind::kMade;
  Tree tree = Tree::kCpu;
  uint64_t id = 0, parent_id = 0;
  Member member;
  std::string name;
};

// Cumulative since loading, by reason.
struct LostUpdates {
  uint64_t no_index = 0;     // counted in the node's sum, but for no pod
  uint64_t events = 0;       // cgroup events that found the ring full
  uint64_t owner = 0;        // block I/O without a cgroup
  uint64_t switches = 0;     // time slices whose beginning is unknown
  uint64_t internal = 0;     // a map refused an operation
  uint64_t devices = 0;      // block I/O that found the table of devices full; counted in sum only
  uint64_t preemptions = 0;  // that found the table of pairs full
  uint64_t stalls = 0;       // fsyncs and reclaims that found the table of tasks in them full
  uint64_t recursion = 0;    // program runs that the kernel skipped; up to 10 s old

  uint64_t Total() const {
    return no_index + events + owner + switches + internal + devices + preemptions + stalls +
           recursion;
  }
};

class KernelCounters {
 public:
  virtual ~KernelCounters() = default;

  // Sleeps until the deadline, an urgent event, or Wake(). True: there is an event to drain now.
  virtual bool WaitUntil(std::chrono::steady_clock::time_point deadline) = 0;
  virtual void Wake() = 0;  // thread-safe
  virtual void DrainEvents(std::vector<CgroupEvent>& out) = 0;

  // Makes a cgroup counted; children made after this are members by themselves. One that found no
  // index before gets one if one is free by now. Errors: kResourceExhausted when the member map is
  // full.
  virtual Result<Member> AddMember(Tree tree, uint64_t id, const Member& parent, bool is_root) = 0;
  // Takes it out, clears and frees the index that it owns. Read the counters before.
  virtual void RemoveMember(Tree tree, uint64_t id, const Member& member) = 0;
  // Ids of all members, for finding those whose event was lost.
  virtual std::vector<std::pair<uint64_t, Member>> ListMembers(Tree tree) = 0;

  // Adds what the tasks that run at this moment have used so far.
  virtual void Flush() = 0;
  virtual Counters Read(uint32_t index) const = 0;
  virtual Counters ReadOverflow() const = 0;
  // CPU time of all tasks that are in no pod of ours, kernel threads too.
  virtual uint64_t ReadSystemCpuNs() const = 0;
  virtual LostUpdates Lost() const = 0;

  // All (index, device) pairs with any I/O. Empty where block I/O isn't measured.
  virtual std::vector<DeviceRow> ReadDevices() const = 0;
  // Whether preemptions of this index are counted; forgotten when the index is freed.
  virtual void Watch(uint32_t index, bool watched) = 0;
  virtual std::vector<PreemptionRow> ReadPreemptions() const = 0;
  virtual std::vector<ProgramCost> Costs() const = 0;
};

}  // namespace longshore::nodeagent
