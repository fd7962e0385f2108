// SPDX-License-Identifier: Apache-2.0
#include "tests/nodeagent/kernel_agent.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/log.h"
#include "nodeagent/kernel_files.h"

namespace longshore::nodeagent {
namespace {

std::string ProcFile(pid_t pid, const std::string& name) {
  const auto text = ReadFile("/proc/" + std::to_string(pid) + "/" + name);
  return text.has_value() ? *text : "";
}

uint64_t Field(const std::string& text, const std::string& name) {
  const size_t at = text.find(name + ":");
  return at == std::string::npos ? 0 : std::stoull(text.substr(at + name.size() + 1));
}

}  // namespace

BpfConfig ConfigFor(const CgroupLayout& layout) {
  BpfConfig config;
  config.cpu_hierarchy = layout.cpu.hierarchy;
  config.io_hierarchy = layout.io.hierarchy;
  config.cpu_from_cpuacct = !layout.cpu.v2;
  return config;
}

KernelAgent::KernelAgent(const CgroupLayout& layout, const BpfConfig& config) {
  auto host = BpfHost::Load(config);
  LS_CHECK(host.has_value());
  host_ = std::move(*host);
  tree_ = std::make_unique<CgroupTree>(layout, *host_, milliseconds(300));
  LS_CHECK(tree_->Walk(Clock::Real().Monotonic()).has_value());
}

void KernelAgent::After(milliseconds time) {
  const auto drain = [this] {
    std::vector<CgroupEvent> events;
    host_->DrainEvents(events);
    bool moved = false;
    for (const CgroupEvent& event : events) {
      moved |= event.kind == CgroupEvent::Kind::kTaskMoved;
      tree_->Apply(event, Clock::Real().Monotonic());
    }
    if (moved) host_->Flush();
  };
  const auto deadline = Clock::Real().Monotonic() + time;
  while (host_->WaitUntil(deadline)) drain();
  drain();
  host_->Flush();
  tree_->Expire(Clock::Real().Monotonic());
  for (PodTotals& pod : tree_->Totals()) {
    if (pod.final) ++finals_[pod.uid];
    latest_[pod.uid] = std::move(pod);
  }
}

bool KernelAgent::Measures(const std::string& signal) const {
  const auto& degraded = host_->degraded();
  return std::find(degraded.begin(), degraded.end(), signal) == degraded.end();
}

Worker::Worker(TestCgroups& cgroups, const std::string& path, const std::function<void()>& work) {
  LS_CHECK(::pipe(done_) == 0);
  pid_ = cgroups.Run(path, [&] {
    ::close(done_[0]);
    work();
    ::close(done_[1]);
    for (;;) ::pause();
  });
  ::close(done_[1]);
}

Worker::~Worker() {
  ::kill(pid_, SIGKILL);
  WaitFor(pid_);
  ::close(done_[0]);
}

bool Worker::Finish() {
  const auto deadline = Clock::Real().Monotonic() + std::chrono::minutes(1);
  pollfd done{.fd = done_[0], .events = POLLIN, .revents = 0};
  while (Clock::Real().Monotonic() < deadline) {
    // All has been done when the other end is closed. The kernel says "running" until the task is
    // off its CPU and its queue.
    if (::poll(&done, 1, 1000) > 0) {
      if (ended()) return false;
      if (!ProcFile(pid_, "syscall").starts_with("running") &&
          ProcFile(pid_, "stat").find(") S") != std::string::npos) {
        return true;
      }
      ::usleep(1000);
    }
  }
  ADD_FAILURE() << "after a minute: " << ProcFile(pid_, "stat") << ProcFile(pid_, "wchan") << "\n"
                << ProcFile(pid_, "stack");
  return false;
}

bool Worker::ended() const {
  const std::string stat = ProcFile(pid_, "stat");
  return stat.empty() || stat.find(") Z") != std::string::npos;
}

Counters Worker::Truth() const {
  Counters truth;
  std::istringstream(ProcFile(pid_, "schedstat")) >> truth.cpu_ns >> truth.run_queue_wait_ns;
  const std::string status = ProcFile(pid_, "status"), io = ProcFile(pid_, "io");
  truth.voluntary_switches = Field(status, "\nvoluntary_ctxt_switches");
  truth.involuntary_switches = Field(status, "\nnonvoluntary_ctxt_switches");
  truth.file_read_bytes = Field(io, "rchar");
  truth.file_write_bytes = Field(io, "wchar");
  truth.file_reads = Field(io, "syscr");
  truth.file_writes = Field(io, "syscw");
  truth.fetched_bytes = Field(io, "\nread_bytes");
  truth.dirtied_bytes = Field(io, "\nwrite_bytes");
  truth.cancelled_bytes = Field(io, "cancelled_write_bytes");
  // The 12th field of stat; the second, the name, is in parentheses.
  const std::string stat = ProcFile(pid_, "stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 1));
  std::string skipped;
  for (int i = 3; i < 12; ++i) fields >> skipped;
  fields >> truth.major_faults;
  return truth;
}

Counters TaskPart(const Counters& counted) {
  Counters part = counted;
  part.read_bytes = part.write_bytes = part.read_ops = part.write_ops = 0;
  part.fsyncs = part.fsync_ns = part.reclaim_stall_ns = part.oom_kills = 0;
  part.network_receive_bytes = part.network_send_bytes = 0;
  part.run_queue_wait = part.fsync = {};
  return part;
}

void PinOrExit(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) ::_exit(90);
}

void FifoOrExit() {
  const sched_param parameters{.sched_priority = 1};
  if (::sched_setscheduler(0, SCHED_FIFO, &parameters) != 0) ::_exit(91);
}

}  // namespace longshore::nodeagent
