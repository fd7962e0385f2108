// SPDX-License-Identifier: Apache-2.0
//
// What `doctor` says of this machine, and how: pure functions of what was read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace longshore::nodeagent::doctor {

enum class State { kWell, kDegraded, kBroken };

struct Finding {
  std::string check;  // "capabilities"
  State state = State::kWell;
  std::string what;    // was found
  std::string advice;  // what to change; empty: nothing
};

// From the text of /proc/self/status.
Finding CheckCapabilities(std::string_view status);
bool HasSeccompFilter(std::string_view status);
// What the kernel said to a bpf() that makes a map of a few bytes, and of 4 MiB; 0: it was made.
Finding CheckBpf(int error, bool seccomp_filter);
Finding CheckLockedMemory(int error);
// From the text of /sys/kernel/security/lockdown; empty: it could not be read.
Finding CheckLockdown(std::string_view lockdown);
// Of the cgroups that are counted apart, against --max-cgroups and --max-device-cells.
Finding CheckTables(size_t cgroups, uint32_t max_cgroups, uint32_t max_device_cells);
// Of a signal that Measurement names as missing.
Finding CheckSignal(const std::string& signal, bool missing);
// All that there are, in the order in which they are shown.
const std::vector<std::string>& Signals();

// 0: all is well, 1: something is degraded, 2: nothing can be measured.
int ExitStatus(const std::vector<Finding>& findings);
std::string RenderTable(const std::vector<Finding>& findings);
std::string RenderJson(const std::vector<Finding>& findings);

}  // namespace longshore::nodeagent::doctor
