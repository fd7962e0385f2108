// SPDX-License-Identifier: Apache-2.0
//
// What the node agent costs, how exact it is, and how others compare: one `name value unit` line
// per figure. Ratios are taken within one run; run it on an idle machine, as root, through
// hack/bench.
#include "tests/bench/nodeagent_bench.h"

#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>

#include "common/base/files.h"
#include "common/base/log.h"

namespace longshore::nodeagent {

void Print(const std::string& name, double value, const char* unit) {
  std::printf("%s %.5g %s\n", name.c_str(), value, unit);
  std::fflush(stdout);
}

double Median(std::vector<double> values) {
  LS_CHECK(!values.empty());
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void PinTo(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(std::min<long>(cpu, ::sysconf(_SC_NPROCESSORS_ONLN) - 1), &set);
  LS_CHECK(::sched_setaffinity(0, sizeof set, &set) == 0);
}

BenchFile::BenchFile() {
  const char* base = std::getenv("TMPDIR");
  path_ = std::string(base != nullptr ? base : "/var/tmp") + "/longshore-bench-" +
          std::to_string(::getpid());
  const UniqueFd fd(::open(path_.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const std::string block(4096, 'x');
  for (int i = 0; i < 1024; ++i) LS_CHECK(::write(fd.get(), block.data(), block.size()) == 4096);
  LS_CHECK(::fsync(fd.get()) == 0);
}

BenchFile::~BenchFile() { ::unlink(path_.c_str()); }

double PingPong(TestCgroups& cgroups, const std::string& path, int rounds, int work) {
  int there[2], back[2], result[2];
  LS_CHECK(::pipe(there) == 0 && ::pipe(back) == 0 && ::pipe(result) == 0);
  char byte = 0;
  const auto bounce = [&](int from, int to, bool first) {
    PinTo(0);
    for (int i = 0; i < rounds; ++i) {
      for (int n = 0; n < work; ++n) asm volatile("");
      if (first && ::write(to, &byte, 1) != 1) ::_exit(1);
      if (::read(from, &byte, 1) != 1) ::_exit(1);
      if (!first && ::write(to, &byte, 1) != 1) ::_exit(1);
    }
  };
  const pid_t echo = cgroups.Run(path, [&] { bounce(there[0], back[1], false); });
  const pid_t caller = cgroups.Run(path, [&] {
    const auto begin = std::chrono::steady_clock::now();
    bounce(back[0], there[1], true);
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    const double nanoseconds = took.count() / rounds;
    if (::write(result[1], &nanoseconds, sizeof nanoseconds) != sizeof nanoseconds) ::_exit(1);
  });
  LS_CHECK(WaitFor(caller) == 0 && WaitFor(echo) == 0);
  double nanoseconds = 0;
  LS_CHECK(::read(result[0], &nanoseconds, sizeof nanoseconds) == sizeof nanoseconds);
  for (const int fd : {there[0], there[1], back[0], back[1], result[0], result[1]}) ::close(fd);
  return nanoseconds;
}

namespace {

int Run(int argc, char** argv) {
  CLI::App app("Costs and accuracy of the node agent.", "nodeagent_bench");
  Contenders contenders;
  std::string floor_root;
  app.add_option("--agent", contenders.agent, "longshore-nodeagent");
  app.add_option("--cadvisor", contenders.cadvisor, "tests/bench/cadvisor, built");
  app.add_option("--rounds", contenders.rounds, "of each contender");
  app.add_option("--files-floor", floor_root, "be the contender that reads files below this root");
  CLI11_PARSE(app, argc, argv);
  if (!floor_root.empty()) return RunFilesFloor(floor_root);
  if (contenders.agent.empty() || contenders.cadvisor.empty()) {
    std::fprintf(stderr, "nodeagent_bench: --agent and --cadvisor are needed\n");
    return 2;
  }
  if (const std::string why_not = TestCgroups::WhyNot(); !why_not.empty()) {
    std::fprintf(stderr, "nodeagent_bench: %s\n", why_not.c_str());
    return 1;
  }
  SetLogLevel(LogLevel::kWarn);
  TestCgroups cgroups("bench");
  MeasureCosts(cgroups);
  MeasureAccuracy(cgroups);
  MeasureContenders(cgroups, contenders);
  return 0;
}

}  // namespace
}  // namespace longshore::nodeagent

int main(int argc, char** argv) { return longshore::nodeagent::Run(argc, argv); }
