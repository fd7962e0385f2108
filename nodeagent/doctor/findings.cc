// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/doctor/findings.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "common/base/strings.h"

namespace longshore::nodeagent::doctor {
namespace {

constexpr int kSysAdmin = 21, kSysResource = 24, kPerfmon = 38, kBpf = 39;  // linux/capability.h

std::string FieldOf(std::string_view status, std::string_view name) {
  for (const std::string& line : Split(status, '\n')) {
    if (line.starts_with(name))
      return std::string(Trim(std::string_view(line).substr(name.size())));
  }
  return "";
}

struct Signal {
  const char* name;
  const char* from;
  const char* advice;
};
constexpr Signal kSignals[] = {
    {"run-queue-wait", "sched_info.run_delay of each task",
     "the kernel lacks CONFIG_SCHED_INFO: waiting is not shown"},
    {"file-io", "task I/O accounting",
     "the kernel lacks CONFIG_TASK_IO_ACCOUNTING: file reads and writes are not shown"},
    {"block-io", "tp_btf/block_rq_issue, block_rq_complete",
     "a kernel with these tracepoints in its BTF (5.11, or 5.10.137), and a cgroup v2 or blkio "
     "tree"},
    {"block-latency", "tp_btf/block_rq_complete", "as for block-io"},
    {"fsync", "raw_tp/ext4_sync_file_enter, _exit",
     "ext4 is not loaded, or another file system is used: look at the flush latency of the node's "
     "device"},
    {"network", "tp_btf/sock_send_length, sock_recv_length", "a kernel of 6.3 or later"},
    {"reclaim", "raw_tp/mm_vmscan_*", "the kernel lacks these tracepoints"},
    {"oom-kills", "tp_btf/mark_victim, and the files of each pod",
     "the kernel lacks this tracepoint: on cgroup v1, kills in containers that end are missed"},
    {"memory", "memory.stat of each pod",
     "mount the host's /sys/fs/cgroup with its memory controller"},
    {"throttling", "cpu.stat of each pod",
     "mount the host's /sys/fs/cgroup with its cpu controller"},
    {"pressure", "*.pressure", "boot with psi=1 (and CONFIG_PSI)"},
    {"interfaces", "the host's /sys/class/net",
     "mount the host's /sys at /host/sys, read-only: a container's own shows its own interfaces"},
};

const char* Name(State state) {
  switch (state) {
    case State::kWell:
      return "ok";
    case State::kDegraded:
      return "degraded";
    case State::kBroken:
      return "broken";
  }
  return "?";
}

}  // namespace

Finding CheckCapabilities(std::string_view status) {
  const uint64_t effective = std::strtoull(FieldOf(status, "CapEff:").c_str(), nullptr, 16);
  const auto has = [&](int capability) { return (effective >> capability & 1) != 0; };
  Finding finding{.check = "capabilities"};
  if (has(kSysAdmin)) {
    finding.what = "SYS_ADMIN, which is more than is needed";
    finding.advice = "drop ALL, add BPF and PERFMON";
    return finding;
  }
  for (const auto& [capability, name] : {std::pair{kBpf, "BPF"}, {kPerfmon, "PERFMON"}}) {
    finding.what +=
        std::string(finding.what.empty() ? "" : ", ") + (has(capability) ? "" : "no ") + name;
  }
  if (has(kSysResource)) finding.what += ", SYS_RESOURCE";
  if (!has(kBpf) || !has(kPerfmon)) {
    finding.state = State::kBroken;
    finding.advice =
        "add: [BPF, PERFMON] to the container, as uid 0; for another uid the component "
        "nodeagent-nonroot";
  }
  return finding;
}

bool HasSeccompFilter(std::string_view status) { return FieldOf(status, "Seccomp:") == "2"; }

Finding CheckBpf(int error, bool seccomp_filter) {
  Finding finding{.check = "bpf()"};
  const std::string filter = seccomp_filter ? "under a seccomp filter" : "without a seccomp filter";
  if (error == 0) {
    finding.what = "allowed, " + filter;
    return finding;
  }
  finding.state = State::kBroken;
  finding.what = std::string(std::strerror(error)) + ", " + filter;
  finding.advice = error == ENOSYS  ? "a kernel with CONFIG_BPF_SYSCALL"
                   : seccomp_filter ? "a profile that allows bpf when CAP_BPF is there, as the "
                                      "runtimes' RuntimeDefault does; first look at capabilities"
                                    : "first look at capabilities and lockdown";
  return finding;
}

Finding CheckLockedMemory(int error) {
  Finding finding{.check = "locked memory"};
  if (error == 0) {
    finding.what = "maps of some MiB can be made";
    return finding;
  }
  finding.state = State::kBroken;
  finding.what = std::string("a map of 4 MiB: ") + std::strerror(error);
  finding.advice =
      "before 5.11 maps count as locked memory: the component nodeagent-old-kernel adds "
      "SYS_RESOURCE";
  return finding;
}

Finding CheckLockdown(std::string_view lockdown) {
  Finding finding{.check = "lockdown"};
  const size_t begin = lockdown.find('['), end = lockdown.find(']');
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) {
    finding.what = "unknown: securityfs cannot be seen here, which is usual in a container";
    return finding;
  }
  finding.what = lockdown.substr(begin + 1, end - begin - 1);
  if (finding.what == "confidentiality") {
    finding.state = State::kBroken;
    finding.advice = "lockdown=integrity: confidentiality lets no program read the kernel's memory";
  }
  return finding;
}

Finding CheckTables(size_t cgroups, uint32_t max_cgroups, uint32_t max_device_cells) {
  const auto text = [](auto number) { return std::to_string(number); };
  Finding finding{.check = "tables"};
  finding.what = text(cgroups) + " of " + text(max_cgroups) + " cgroups; " +
                 text(max_device_cells) + " pairs of cgroup and block device";
  if (cgroups + 2 >= max_cgroups) {  // two are not for cgroups
    finding.state = State::kDegraded;
    finding.advice = "--max-cgroups: nothing is said of pods that find no place";
  } else if (cgroups >= max_device_cells) {
    finding.advice =
        "--max-device-cells (at most 4096), should "
        "lost_updates_total{reason=\"device_table_full\"} "
        "grow";
  }
  return finding;
}

Finding CheckSignal(const std::string& signal, bool missing) {
  Finding finding{.check = signal,
                  .state = missing ? State::kDegraded : State::kWell,
                  .what = "",
                  .advice = ""};
  for (const Signal& known : kSignals) {
    if (signal != known.name) continue;
    finding.what = std::string(missing ? "missing: " : "") + known.from;
    if (missing) finding.advice = known.advice;
  }
  return finding;
}

const std::vector<std::string>& Signals() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const Signal& signal : kSignals) out.emplace_back(signal.name);
    return out;
  }();
  return names;
}

int ExitStatus(const std::vector<Finding>& findings) {
  int status = 0;
  for (const Finding& finding : findings)
    status = std::max(status, static_cast<int>(finding.state));
  return status;
}

std::string RenderTable(const std::vector<Finding>& findings) {
  std::string out;
  const auto pad = [](const std::string& text, size_t width) {
    return text + std::string(text.size() < width ? width - text.size() : 1, ' ');
  };
  for (const Finding& finding : findings) {
    out += pad(Name(finding.state), 10) + pad(finding.check, 16) + finding.what + "\n";
    if (!finding.advice.empty()) out += std::string(26, ' ') + "-> " + finding.advice + "\n";
  }
  static constexpr const char* kVerdicts[] = {"all signals can be measured here\n",
                                              "the agent measures, but for what is degraded\n",
                                              "nothing can be measured here\n"};
  return out + kVerdicts[ExitStatus(findings)];
}

std::string RenderJson(const std::vector<Finding>& findings) {
  auto checks = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    checks.push_back({{"check", finding.check},
                      {"state", Name(finding.state)},
                      {"what", finding.what},
                      {"advice", finding.advice.empty() ? nlohmann::ordered_json(nullptr)
                                                        : nlohmann::ordered_json(finding.advice)}});
  }
  static constexpr const char* kStates[] = {"ok", "degraded", "broken"};
  return nlohmann::ordered_json{{"state", kStates[ExitStatus(findings)]}, {"checks", checks}}
             .dump() +
         "\n";
}

}  // namespace longshore::nodeagent::doctor
