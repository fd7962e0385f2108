// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/doctor/doctor.h"

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <vector>

#include "common/base/files.h"
#include "common/base/log.h"
#include "nodeagent/doctor/findings.h"
#include "nodeagent/measurement.h"

namespace longshore::nodeagent::doctor {
namespace {

constexpr const char* kBtf = "/sys/kernel/btf/vmlinux";

// Straight to the kernel: a library would raise limits or try again otherwise.
int TryMap(uint32_t value_bytes, uint32_t entries) {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = sizeof(uint32_t);
  attributes.value_size = value_bytes;
  attributes.max_entries = entries;
  const long fd = ::syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes);
  if (fd < 0) return errno;
  ::close(static_cast<int>(fd));
  return 0;
}

Finding CheckKernel() {
  Finding finding{.check = "kernel"};
  utsname name{};
  (void)::uname(&name);
  finding.what = name.release;
  if (::access(kBtf, R_OK) == 0) {
    finding.what += ", with its type information (BTF)";
  } else {
    finding.state = State::kBroken;
    finding.what += std::string(", but ") + kBtf + " cannot be read";
    finding.advice =
        "a kernel with CONFIG_DEBUG_INFO_BTF (5.10 or later), and /sys in the container";
  }
  return finding;
}

Finding CheckCgroups(const std::string& cgroup_root) {
  Finding finding{.check = "cgroups"};
  LayoutOptions options;
  options.cgroup_root = cgroup_root;
  const auto layout = DiscoverLayout(options);
  if (!layout.has_value()) {
    finding.state = State::kBroken;
    finding.what = layout.error().message;
    finding.advice =
        cgroup_root == "auto"
            ? "mount the host's /sys/fs/cgroup read-only with HostToContainer; on a node, or for "
              "another kubelet, give --cgroup-root"
            : "is the kubelet running, and is this the cgroupRoot of its configuration?";
    return finding;
  }
  const auto place = [](const char* name, const CgroupPlace& where) {
    if (where.directory.empty()) return std::string(name) + " nowhere";
    return std::string(name) + (where.v2 ? " v2 " : " v1 ") + where.directory;
  };
  finding.what = "root " + layout->root + ": " + place("tasks", layout->cpu) + ", " +
                 place("block I/O", layout->io) + ", " + place("memory", layout->memory);
  return finding;
}

Finding CheckPrograms(const Result<std::unique_ptr<Measurement>>& measurement,
                      const Finding& cgroups) {
  Finding finding{.check = "programs"};
  if (cgroups.state == State::kBroken) {
    finding.state = State::kBroken;
    finding.what = "not tried without cgroups";
    return finding;
  }
  if (measurement.has_value()) {
    finding.what = "loaded and attached, " + std::to_string((*measurement)->collector().pods()) +
                   " pods found";
    return finding;
  }
  finding.state = State::kBroken;
  finding.what = measurement.error().message;
  finding.advice = "what is broken above; if nothing is, this kernel's verifier refuses a program";
  return finding;
}

}  // namespace

int RunDoctor(const MeasurementOptions& options, bool json) {
  SetLogLevel(LogLevel::kError);  // what a log would say is in the table
  const std::string status = ReadFile("/proc/self/status").value_or("");
  const auto measurement = Measurement::Start(options, Clock::Real());
  const int small_map = TryMap(8, 1);
  const Finding cgroups = CheckCgroups(options.cgroup_root);
  std::vector<Finding> findings = {
      CheckKernel(),
      CheckCapabilities(status),
      CheckBpf(small_map, HasSeccompFilter(status)),
      CheckLockdown(ReadFile("/sys/kernel/security/lockdown").value_or("")),
      cgroups,
      CheckPrograms(measurement, cgroups)};
  // Where not even a small one can be made, a large one says nothing of the memory.
  if (small_map == 0) findings.push_back(CheckLockedMemory(TryMap(4096, 1024)));
  if (measurement.has_value()) {
    findings.push_back(CheckTables((*measurement)->collector().indexed_cgroups(),
                                   options.max_cgroups, options.max_device_cells));
    const auto& missing = (*measurement)->degraded();
    for (const std::string& signal : Signals()) {
      const bool is = std::find(missing.begin(), missing.end(), signal) != missing.end();
      findings.push_back(CheckSignal(signal, is));
    }
  }
  const std::string text = json ? RenderJson(findings) : RenderTable(findings);
  if (std::fputs(text.c_str(), stdout) < 0 || std::fflush(stdout) != 0) {
    std::perror("longshore-nodeagent: standard output");
    return 2;
  }
  return ExitStatus(findings);
}

}  // namespace longshore::nodeagent::doctor
