// SPDX-License-Identifier: Apache-2.0
//
// What the agent's programs cost those they watch. Net: what the kernel's own statistics say, minus
// what they say of an empty program on the same tracepoint in the same run, since they time
// themselves as well.
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <optional>
#include <set>

#include "common/base/files.h"
#include "common/base/log.h"
#include "tests/bench/nodeagent_bench.h"
#include "tests/nodeagent/test_agent.h"

namespace longshore::nodeagent {
namespace {

constexpr char kPod[] = "burstable/podbench/c1";

struct Cost {
  uint64_t nanoseconds = 0, runs = 0;
};

Cost CostOf(const UniqueFd& program) {
  bpf_prog_info info{};
  __u32 length = sizeof info;
  LS_CHECK(bpf_obj_get_info_by_fd(program.get(), &info, &length) == 0);
  return {info.run_time_ns, info.run_cnt};
}

std::set<__u32> ProgramIds() {
  std::set<__u32> ids;
  for (__u32 id = 0; bpf_prog_get_next_id(id, &id) == 0;) ids.insert(id);
  return ids;
}

// The programs whose name begins so and that aren't among `before`: other agents may run here.
std::vector<UniqueFd> FindPrograms(const std::string& prefix, const std::set<__u32>& before) {
  std::vector<UniqueFd> found;
  for (const __u32 id : ProgramIds()) {
    if (before.contains(id)) continue;
    UniqueFd fd(bpf_prog_get_fd_by_id(id));
    bpf_prog_info info{};
    __u32 length = sizeof info;
    if (fd.valid() && bpf_obj_get_info_by_fd(fd.get(), &info, &length) == 0 &&
        std::string(info.name).starts_with(prefix)) {
      found.push_back(std::move(fd));
    }
  }
  LS_CHECK(!found.empty());
  return found;
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

// What all these programs add to one event: each event runs the empty program once.
double NetPerEvent(const std::vector<UniqueFd>& programs, const EmptyProgram& empty,
                   const std::function<void()>& load) {
  const auto sum = [&] {
    Cost all;
    for (const UniqueFd& program : programs) {
      const Cost cost = CostOf(program);
      all.nanoseconds += cost.nanoseconds;
      all.runs += cost.runs;
    }
    return all;
  };
  std::vector<double> nets;
  for (int i = 0; i < 11; ++i) {
    const Cost ours = sum(), theirs = CostOf(empty.program);
    load();
    const Cost ours_after = sum(), theirs_after = CostOf(empty.program);
    const double events = static_cast<double>(theirs_after.runs - theirs.runs);
    LS_CHECK(events > 0);
    const double empty_run = (theirs_after.nanoseconds - theirs.nanoseconds) / events;
    nets.push_back((static_cast<double>(ours_after.nanoseconds - ours.nanoseconds) -
                    empty_run * static_cast<double>(ours_after.runs - ours.runs)) /
                   events);
  }
  return Median(nets);
}

void DirectReads(TestCgroups& cgroups, const std::string& file, int count) {
  const pid_t child = cgroups.Run(kPod, [&] {
    void* buffer = nullptr;
    const int fd = ::open(file.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (fd < 0 || ::posix_memalign(&buffer, 4096, 4096) != 0) ::_exit(1);
    for (int i = 0; i < count; ++i) {
      if (::pread(fd, buffer, 4096, off_t{4096} * (i % 1024)) != 4096) ::_exit(1);
    }
  });
  if (WaitFor(child) != 0) {
    std::fprintf(stderr, "nodeagent_bench: no direct I/O at %s: set TMPDIR\n", file.c_str());
    std::exit(1);
  }
}

void MeasurePrograms(TestCgroups& cgroups) {
  const UniqueFd statistics(bpf_enable_stats(BPF_STATS_RUN_TIME));
  LS_CHECK(statistics.valid());
  const std::set<__u32> before = ProgramIds();
  const TestAgent agent(cgroups.Layout());
  const BenchFile file;
  {
    const EmptyProgram empty("sched_switch");
    Print("switch_cost_net_ns",
          NetPerEvent(FindPrograms("on_sched_switch", before), empty,
                      [&] { (void)PingPong(cgroups, kPod, 20'000); }),
          "ns");
  }
  const EmptyProgram empty("block_rq_issue");
  Print("block_io_cost_ns",
        NetPerEvent(FindPrograms("on_block", before), empty,
                    [&] { DirectReads(cgroups, file.path(), 1000); }),
        "ns");
}

// What a pipe ping-pong takes with what `attach` makes, ÷ without. Neighbouring runs are compared,
// since a virtual machine's speed drifts. The kernel's statistics are off here: they cost more than
// what they measure.
template <class Attach>
double SlowdownBy(TestCgroups& cgroups, int rounds, int work, Attach attach) {
  const auto run = [&] { return PingPong(cgroups, kPod, rounds, work); };
  std::vector<double> ratios;
  for (int i = 0; i < 15; ++i) {
    double without = i % 2 == 0 ? run() : 0, with = 0;
    {
      const auto attached = attach();
      with = run();
    }
    if (i % 2 != 0) without = run();
    ratios.push_back(with / without);
  }
  return Median(ratios);
}

// What each side has to count to so that a round takes 20 us: 100,000 switches a second, which is
// what a busy node has. Without work it is some ten times as many, and nothing but switches; none
// where even that takes longer.
std::optional<int> WorkOfBusyNode(TestCgroups& cgroups) {
  constexpr double kRoundNs = 20'000;
  constexpr int kTrial = 10'000;
  const double bare = PingPong(cgroups, kPod, 20'000);
  if (bare >= kRoundNs) return std::nullopt;
  const double each = (PingPong(cgroups, kPod, 5000, kTrial) - bare) / (2.0 * kTrial);
  return static_cast<int>((kRoundNs - bare) / (2 * each));
}

// The empty program says what is left to an agent that hears of each switch at all.
void MeasureSlowdown(TestCgroups& cgroups) {
  const auto agent = [&] { return TestAgent(cgroups.Layout()); };
  Print("pipe_slowdown_ratio", SlowdownBy(cgroups, 50'000, 0, agent), "ratio");
  Print("pipe_slowdown_of_empty_program_ratio",
        SlowdownBy(cgroups, 50'000, 0, [] { return EmptyProgram("sched_switch"); }), "ratio");
  if (const std::optional<int> work = WorkOfBusyNode(cgroups)) {
    Print("pipe_slowdown_at_100k_switches_ratio", SlowdownBy(cgroups, 10'000, *work, agent),
          "ratio");
  } else {
    std::fprintf(stderr, "nodeagent_bench: this machine does not make 100,000 switches a second\n");
  }
}

}  // namespace

void MeasureCosts(TestCgroups& cgroups) {
  cgroups.Make(kPod);
  MeasurePrograms(cgroups);
  MeasureSlowdown(cgroups);
  cgroups.Remove("burstable/podbench");
}

}  // namespace longshore::nodeagent
