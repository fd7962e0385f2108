// SPDX-License-Identifier: Apache-2.0
//
// The kernel side of an agent, for tests that compare it with the kernel's own counters: programs,
// events and attribution, without sampling of files and without a network. And what the kernel
// says of a task.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "nodeagent/bpf_host.h"
#include "nodeagent/cgroup_tree.h"
#include "tests/nodeagent/kernel_side_test.h"
#include "tests/nodeagent/test_cgroups.h"

namespace longshore::nodeagent {

using std::chrono::milliseconds;

BpfConfig ConfigFor(const CgroupLayout& layout);

class KernelAgent {
 public:
  explicit KernelAgent(const CgroupLayout& layout) : KernelAgent(layout, ConfigFor(layout)) {}
  KernelAgent(const CgroupLayout& layout, const BpfConfig& config);

  // Handles events for so long, then takes all totals.
  void After(milliseconds time);
  // As of the last After(); of pods that ended, the last that was said.
  const PodTotals& Pod(const std::string& uid) { return latest_[uid]; }
  const Counters& Of(const std::string& uid) { return latest_[uid].totals.counters; }
  int Finals(const std::string& uid) { return finals_[uid]; }
  BpfHost& host() { return *host_; }
  CgroupTree& tree() { return *tree_; }
  bool Measures(const std::string& signal) const;

 private:
  std::unique_ptr<BpfHost> host_;
  std::unique_ptr<CgroupTree> tree_;
  std::map<std::string, PodTotals> latest_;
  std::map<std::string, int> finals_;
};

// A process in a pod that does its work and then sleeps, so that all it has used is settled.
class Worker {
 public:
  Worker(TestCgroups& cgroups, const std::string& path, const std::function<void()>& work);
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Until it sleeps, off its CPU. False when it ended instead (its work failed), or has neither
  // slept nor ended after a minute: that fails the test with what the kernel says of it.
  bool Finish();
  bool ended() const;  // before its time: its work failed
  // What the kernel accounts to the task: the fields of Counters that stem from tasks.
  Counters Truth() const;
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
  int done_[2];
};

// The task's part of what was counted, and nothing else, so that both can be compared whole.
Counters TaskPart(const Counters& counted);

// Runs on this CPU only; ends the (child) process when it cannot.
void PinOrExit(int cpu);
// Sets the real-time class, in which nothing ordinary takes the CPU from a task.
void FifoOrExit();

}  // namespace longshore::nodeagent
