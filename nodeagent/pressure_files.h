// SPDX-License-Identifier: Apache-2.0
//
// Pressure stall information (PSI) of a pod and of the node: the cumulative `total=` of the
// kernel's files, never the averages. Reading the file is what brings the total up to date: the
// number behind it is up to 2 s old. Called by cgroup_gauges.cc and node_files.cc.
//
// Cost: 2.6 µs a file, three a cgroup, so it is read of pods only, and of containers of those that
// are watched; when something ran lately, while tasks hang, or every 5 s (cgroup_gauges.h).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "nodeagent/sample.h"
#include "nodeagent/text_scan.h"

namespace longshore::nodeagent {

struct PressureTotals {
  uint64_t some_us = 0, full_us = 0;
};
// Nothing when pressure isn't counted (psi=0 makes the read fail). Before 5.13 cpu has no `full`:
// 0.
std::optional<PressureTotals> ParsePressure(std::string_view text);

class PressureFiles {
 public:
  explicit PressureFiles(OpenFiles& open_files, const char* suffix = ".pressure")
      : suffix_(suffix), cpu_(open_files), io_(open_files), memory_(open_files) {}
  // <directory><below>/cpu<suffix> …; always the same ones. Nothing unless all three are there:
  // unknown must not look like no pressure. The I/O part is not read if it is given.
  std::optional<Pressure> Read(std::string_view directory, std::string_view below = "",
                               const Pressure* io_as_before = nullptr);

 private:
  const char* suffix_;
  KeptFile cpu_, io_, memory_;
};

// Once, of the cgroup directory, or of the whole machine when it is empty.
std::optional<Pressure> ReadPressure(const std::string& directory, const std::string& proc);

}  // namespace longshore::nodeagent
