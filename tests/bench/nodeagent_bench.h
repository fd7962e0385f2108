// SPDX-License-Identifier: Apache-2.0
//
// The parts of nodeagent_bench. Each prints its figures as `name value unit` lines.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/nodeagent/test_cgroups.h"

namespace longshore::nodeagent {

void Print(const std::string& name, double value, const char* unit);
double Median(std::vector<double> values);
// Only on this CPU from now on; on the only one where there is but one.
void PinTo(int cpu);
// A file of 4 MiB on a block device, below $TMPDIR or /var/tmp; gone with the object.
class BenchFile {
 public:
  BenchFile();
  ~BenchFile();
  BenchFile(const BenchFile&) = delete;
  BenchFile& operator=(const BenchFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Two processes in the cgroup hand a byte to and fro on one CPU: two switches a round. Each first
// counts to `work`. Returns nanoseconds per round.
double PingPong(TestCgroups& cgroups, const std::string& path, int rounds, int work = 0);

// What a context switch and a block I/O cost.
void MeasureCosts(TestCgroups& cgroups);
// What is counted ÷ what the kernel counts.
void MeasureAccuracy(TestCgroups& cgroups);

struct Contenders {
  std::string agent;     // the program longshore-nodeagent
  std::string cadvisor;  // tests/bench/cadvisor, built
  int rounds = 3;
};
// CPU and memory of the agent and of others, one after the other over the same 100 pods.
void MeasureContenders(TestCgroups& cgroups, const Contenders& contenders);
// One of the others: reads the same signals from cgroup files, each second, until it is ended. See
// nodeagent_floor.cc.
int RunFilesFloor(const std::string& cgroup_root);

}  // namespace longshore::nodeagent
