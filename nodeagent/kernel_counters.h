// SPDX-License-Identifier: Apache-2.0
//
// What the collector needs from the BPF side, as an interface: bpf_host.h is the real one, tests of
// the attribution use a fake kernel. One thread only, except Wake().
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "common/base/result.h"

namespace longshore::nodeagent {

// The two cgroup trees that the kernel side attributes by. Their ids collide, so an id means
// nothing without its tree. Where both are one hierarchy (cgroup v2), only kCpu is used.
enum class Tree { kCpu, kIo };

// Cumulative counts of one index, summed over the CPUs.
struct Counters {
  uint64_t cpu_ns = 0;
  uint64_t run_queue_wait_ns = 0;
  uint64_t slices = 0;
  uint64_t read_bytes = 0, write_bytes = 0;
  uint64_t read_ops = 0, write_ops = 0;

  Counters& operator+=(const Counters& other);
};

// Where a cgroup is counted.
struct Member {
  uint32_t index = 0;
  uint32_t depth = 0;       // below `kubepods`
  bool owns_index = false;  // false: counted with an ancestor or in the overflow index
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
  uint64_t no_index = 0;   // counted in the node's sum, but for no pod
  uint64_t events = 0;     // cgroup events that found the ring full
  uint64_t owner = 0;      // block I/O without a cgroup
  uint64_t switches = 0;   // time slices whose beginning is unknown
  uint64_t internal = 0;   // a map refused an operation
  uint64_t recursion = 0;  // program runs that the kernel skipped

  uint64_t Total() const { return no_index + events + owner + switches + internal + recursion; }
};

class KernelCounters {
 public:
  virtual ~KernelCounters() = default;

  // Sleeps until the deadline, an urgent event, or Wake(). True: there is an event to drain now.
  virtual bool WaitUntil(std::chrono::steady_clock::time_point deadline) = 0;
  virtual void Wake() = 0;  // thread-safe
  virtual void DrainEvents(std::vector<CgroupEvent>& out) = 0;

  // Makes a cgroup counted; children made after this are members by themselves. Errors:
  // kResourceExhausted when the member map is full.
  virtual Result<Member> AddMember(Tree tree, uint64_t id, const Member& parent, bool is_root) = 0;
  // Takes it out, clears and frees the index that it owns. Read the counters before.
  virtual void RemoveMember(Tree tree, uint64_t id, const Member& member) = 0;
  // Ids of all members, for finding those whose event was lost.
  virtual std::vector<std::pair<uint64_t, Member>> ListMembers(Tree tree) = 0;

  // Adds what the tasks that run at this moment have used so far.
  virtual void Flush() = 0;
  virtual Counters Read(uint32_t index) const = 0;
  virtual Counters ReadOverflow() const = 0;
  virtual LostUpdates Lost() const = 0;
};

}  // namespace longshore::nodeagent
