// SPDX-License-Identifier: Apache-2.0
//
// A kubelet's cgroup root of our own for kernel tests: /NAME-PID/kubepods in every hierarchy that
// is mounted here, removed at the end with all that is in it. Touches no other cgroup.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "nodeagent/cgroup_layout.h"

namespace longshore::nodeagent {

class TestCgroups {
 public:
  // With the CPU controller its cgroups can have quotas, but where real-time groups are configured
  // no process in them may have a real-time class.
  explicit TestCgroups(const std::string& name, bool with_cpu = false);
  ~TestCgroups();
  TestCgroups(const TestCgroups&) = delete;
  TestCgroups& operator=(const TestCgroups&) = delete;

  // Why kernel tests cannot run here; empty when they can.
  static std::string WhyNot();

  const std::string& root() const { return root_; }  // "/NAME-PID"
  // `path` below kubepods, e.g. "burstable/podX/c1", in every hierarchy; parents too.
  void Make(const std::string& path);
  void Remove(const std::string& path);
  // A process that runs `work` there and ends, at the latest with the thread that called this.
  // `work` must not allocate where the test has other threads.
  pid_t Run(const std::string& path, const std::function<void()>& work);
  // Moves a process from outside.
  void Move(const std::string& path, pid_t pid);

  CgroupLayout Layout() const;
  // A file of the cgroup in the hierarchy with this controller ("" is v2), as text.
  std::string Read(const std::string& controller, const std::string& path,
                   const std::string& file) const;
  // False when there is no such file, or it refuses the text.
  bool Write(const std::string& controller, const std::string& path, const std::string& file,
             const std::string& text) const;

 private:
  std::string Directory(const CgroupMount& mount, const std::string& path) const;

  const bool with_cpu_;
  std::string root_;
  std::vector<CgroupMount> mounts_;
};

// Of a container's cgroup, as runtimes with the cgroupfs driver name it: 64 hex digits.
std::string ContainerName(int number = 0);

// fork(), and the child ends at the latest with the thread that called this: a test that dies
// leaves nothing that uses a CPU or holds its output open.
pid_t ForkBound();
// Uses the CPU for so long, as its own clock counts it.
void Spin(std::chrono::milliseconds cpu_time);
// Waits for a child; returns its exit status.
int WaitFor(pid_t pid);

}  // namespace longshore::nodeagent
