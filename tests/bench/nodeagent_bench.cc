// SPDX-License-Identifier: Apache-2.0
//
// What the node agent costs, one `name value unit` line per figure. Ratios are taken within one
// run; run it on an idle machine, as root. Costs of a program are what the kernel's own statistics
// say, minus those of an empty program on the same tracepoint in the same run.
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/files.h"
#include "nodeagent/bpf_host.h"
#include "nodeagent/collector.h"
#include "nodeagent/report.h"
#include "tests/nodeagent/test_cgroups.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

void Print(const char* name, double value, const char* unit) {
  std::printf("%s %.4g %s\n", name, value, unit);
  std::fflush(stdout);
}

double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

void PinTo(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  LS_CHECK(::sched_setaffinity(0, sizeof set, &set) == 0);
}

// Two processes in the pod's cgroup hand a byte to and fro on one CPU: two switches a round.
// Returns nanoseconds per round.
double PingPong(TestCgroups& cgroups, int rounds) {
  int there[2], back[2], result[2];
  LS_CHECK(::pipe(there) == 0 && ::pipe(back) == 0 && ::pipe(result) == 0);
  char byte = 0;
  const auto bounce = [&](int from, int to, bool first) {
    PinTo(0);
    for (int i = 0; i < rounds; ++i) {
      if (first && ::write(to, &byte, 1) != 1) ::_exit(1);
      if (::read(from, &byte, 1) != 1) ::_exit(1);
      if (!first && ::write(to, &byte, 1) != 1) ::_exit(1);
    }
  };
  const pid_t echo =
      cgroups.Run("burstable/podbench/c1", [&] { bounce(there[0], back[1], false); });
  const pid_t caller = cgroups.Run("burstable/podbench/c1", [&] {
    const auto begin = SteadyClock::now();
    bounce(back[0], there[1], true);
    const double nanoseconds =
        std::chrono::duration<double, std::nano>(SteadyClock::now() - begin).count() / rounds;
    if (::write(result[1], &nanoseconds, sizeof nanoseconds) != sizeof nanoseconds) ::_exit(1);
  });
  LS_CHECK(WaitFor(caller) == 0 && WaitFor(echo) == 0);
  double nanoseconds = 0;
  LS_CHECK(::read(result[0], &nanoseconds, sizeof nanoseconds) == sizeof nanoseconds);
  for (const int fd : {there[0], there[1], back[0], back[1], result[0], result[1]}) ::close(fd);
  return nanoseconds;
}

void DirectReads(TestCgroups& cgroups, const std::string& file, int count) {
  const pid_t child = cgroups.Run("burstable/podbench/c1", [&] {
    void* buffer = nullptr;
    const int fd = ::open(file.c_str(), O_RDONLY | O_DIRECT);
    if (fd < 0 || ::posix_memalign(&buffer, 4096, 4096) != 0) ::_exit(1);
    for (int i = 0; i < count; ++i) {
      if (::pread(fd, buffer, 4096, off_t{4096} * (i % 1024)) != 4096) ::_exit(1);
    }
  });
  if (WaitFor(child) != 0) std::fprintf(stderr, "no direct I/O at %s\n", file.c_str());
}

struct ProgramCost {
  uint64_t nanoseconds = 0, runs = 0;
  double PerRun() const { return runs == 0 ? 0 : static_cast<double>(nanoseconds) / runs; }
};

ProgramCost CostOf(int fd) {
  bpf_prog_info info{};
  __u32 length = sizeof info;
  LS_CHECK(bpf_obj_get_info_by_fd(fd, &info, &length) == 0);
  return {info.run_time_ns, info.run_cnt};
}

std::set<__u32> ProgramIds() {
  std::set<__u32> ids;
  for (__u32 id = 0; bpf_prog_get_next_id(id, &id) == 0;) ids.insert(id);
  return ids;
}

// The program of that name that isn't among `before`: other agents may run here.
UniqueFd FindProgram(const std::string& name, const std::set<__u32>& before) {
  for (const __u32 id : ProgramIds()) {
    if (before.contains(id)) continue;
    UniqueFd fd(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    __u32 length = sizeof info;
    if (fd.valid() && bpf_obj_get_info_by_fd(fd.get(), &info, &length) == 0 &&
        name.starts_with(info.name)) {  // the kernel keeps 15 characters
      return fd;
    }
  }
  return {};
}

// `return 0` on a typed tracepoint; the link lives as long as both descriptors.
struct EmptyProgram {
  explicit EmptyProgram(const char* tracepoint) {
    const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, 0, 0, 0, 0},
                             {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
    LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = BPF_TRACE_RAW_TP);
    options.attach_btf_id =
        static_cast<__u32>(libbpf_find_vmlinux_btf_id(tracepoint, BPF_TRACE_RAW_TP));
    program = UniqueFd(
        bpf_prog_load(BPF_PROG_TYPE_TRACING, "empty", "GPL", code, std::size(code), &options));
    LS_CHECK(program.valid());
    link = UniqueFd(bpf_raw_tracepoint_open(nullptr, program.get()));
    LS_CHECK(link.valid());
  }
  UniqueFd program, link;
};

BpfConfig ConfigOf(const CgroupLayout& layout) {
  BpfConfig config;
  config.cpu_hierarchy = layout.cpu.hierarchy;
  config.io_hierarchy = layout.io.hierarchy;
  config.cpu_from_cpuacct = !layout.cpu.v2;
  return config;
}

struct Agent {
  explicit Agent(const CgroupLayout& layout) {
    auto loaded = BpfHost::Load(ConfigOf(layout));
    LS_CHECK(loaded.has_value());
    host = std::move(*loaded);
    collector = std::make_unique<Collector>(CollectorOptions{}, layout, *host, Clock::Real());
    LS_CHECK(collector->Start().has_value());
  }
  std::unique_ptr<BpfHost> host;
  std::unique_ptr<Collector> collector;
};

void MeasurePrograms(TestCgroups& cgroups, const std::string& file) {
  const UniqueFd statistics(bpf_enable_stats(BPF_STATS_RUN_TIME));
  LS_CHECK(statistics.valid());
  const std::set<__u32> before = ProgramIds();
  Agent agent(cgroups.Layout());
  const UniqueFd on_switch = FindProgram("on_sched_switch", before);
  const UniqueFd on_issue = FindProgram("on_block_issue", before);
  LS_CHECK(on_switch.valid() && on_issue.valid());
  const auto cost = [](const UniqueFd& program, const UniqueFd& empty,
                       const std::function<void()>& load) {
    std::vector<double> nets;
    for (int i = 0; i < 5; ++i) {
      const ProgramCost a = CostOf(program.get()), b = CostOf(empty.get());
      load();
      const ProgramCost c = CostOf(program.get()), d = CostOf(empty.get());
      nets.push_back(ProgramCost{c.nanoseconds - a.nanoseconds, c.runs - a.runs}.PerRun() -
                     ProgramCost{d.nanoseconds - b.nanoseconds, d.runs - b.runs}.PerRun());
    }
    return Median(nets);
  };
  const EmptyProgram empty_switch("sched_switch"), empty_issue("block_rq_issue");
  Print("switch_cost_net_ns",
        cost(on_switch, empty_switch.program, [&] { PingPong(cgroups, 50'000); }), "ns");
  Print("block_io_cost_net_ns",
        cost(on_issue, empty_issue.program, [&] { DirectReads(cgroups, file, 2000); }), "ns");
}

void MeasureSlowdown(TestCgroups& cgroups) {
  std::vector<double> without, with;
  for (int i = 0; i < 7; ++i) {
    without.push_back(PingPong(cgroups, 50'000));
    const Agent agent(cgroups.Layout());
    with.push_back(PingPong(cgroups, 50'000));
  }
  Print("pipe_slowdown_ratio", Median(with) / Median(without), "ratio");
}

double OwnCpuSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + t.tv_usec / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// The same signals from kept-open cgroup files, in the tightest loop: what there is to beat.
class FilesFloor {
 public:
  FilesFloor(const CgroupLayout& layout, const std::vector<std::string>& pods) {
    for (const std::string& pod : pods) {
      Open(layout.cpu.directory + pod + (layout.cpu.v2 ? "/cpu.stat" : "/cpuacct.usage"));
      Open(layout.io.directory + pod +
           (layout.io.v2 ? "/io.stat" : "/blkio.throttle.io_service_bytes_recursive"));
      memory_.emplace_back(layout.memory.directory + pod, layout.memory.v2);
    }
  }
  void Read() {
    char buffer[4096];
    for (const UniqueFd& fd : fds_) (void)!::pread(fd.get(), buffer, sizeof buffer, 0);
    for (MemoryFiles& files : memory_) (void)files.Read();
  }

 private:
  void Open(const std::string& path) { fds_.emplace_back(::open(path.c_str(), O_RDONLY)); }
  std::vector<UniqueFd> fds_;
  std::vector<MemoryFiles> memory_;
};

// CPU that `sample` takes when it runs once a second.
double CoresOf(const std::function<void()>& sample) {
  constexpr int kSamples = 30;
  const double before = OwnCpuSeconds();
  for (int i = 0; i < kSamples; ++i) {
    sample();
    ::usleep(20'000);  // so that caches and CPU states are as between real samples
  }
  return (OwnCpuSeconds() - before) / kSamples;
}

void MeasureSamples(TestCgroups& cgroups) {
  std::vector<std::string> pods;
  std::vector<pid_t> children;
  for (int i = 0; i < 100; ++i) {
    pods.push_back("/burstable/podn" + std::to_string(i));
    cgroups.Make(pods.back().substr(1) + "/c1");
    children.push_back(cgroups.Run(pods.back().substr(1) + "/c1", [] {
      for (;;) ::usleep(100'000);
    }));
  }
  {
    Agent agent(cgroups.Layout());
    uint64_t sequence = 0;
    Print("agent_cpu_cores", CoresOf([&] {
            (void)MakeReport(agent.collector->Take(), ++sequence).SerializeAsString();
          }),
          "cores");
  }
  FilesFloor floor(cgroups.Layout(), pods);
  Print("files_floor_cpu_cores", CoresOf([&] { floor.Read(); }), "cores");
  for (const pid_t child : children) ::kill(child, SIGKILL);
  for (const pid_t child : children) WaitFor(child);
}

std::string MakeFile() {
  const char* base = std::getenv("TMPDIR");
  std::string file = std::string(base != nullptr ? base : "/var/tmp") + "/longshore-bench-" +
                     std::to_string(::getpid());
  const UniqueFd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600));
  const std::string block(4096, 'x');
  for (int i = 0; i < 1024; ++i) LS_CHECK(::write(fd.get(), block.data(), block.size()) == 4096);
  LS_CHECK(::fsync(fd.get()) == 0);
  return file;
}

int Run() {
  if (const std::string why_not = TestCgroups::WhyNot(); !why_not.empty()) {
    std::fprintf(stderr, "nodeagent_bench: %s\n", why_not.c_str());
    return 1;
  }
  TestCgroups cgroups("bench");
  cgroups.Make("burstable/podbench/c1");
  const std::string file = MakeFile();
  MeasurePrograms(cgroups, file);
  MeasureSlowdown(cgroups);
  MeasureSamples(cgroups);
  ::unlink(file.c_str());
  return 0;
}

}  // namespace
}  // namespace longshore::nodeagent

int main() { return longshore::nodeagent::Run(); }
