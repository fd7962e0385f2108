// SPDX-License-Identifier: Apache-2.0
#include "tests/nodeagent/kernel_side_test.h"

#include <unistd.h>

#include <cstdlib>

#include "nodeagent/kernel_files.h"

namespace longshore::nodeagent {

double Ratio(uint64_t counted, uint64_t truth) {
  return truth == 0 ? 0 : static_cast<double>(counted) / static_cast<double>(truth);
}

uint64_t CpuTruth(const CgroupLayout& layout, const std::string& path) {
  return ReadCpuTotalNs(layout.cpu.directory + "/" + path, layout.cpu.v2);
}

ScratchFile::ScratchFile(const std::string& name) {
  const char* base = std::getenv("TMPDIR");  // a tmpfs has no block device
  path = std::string(base != nullptr ? base : "/var/tmp") + "/longshore-" + name + "-" +
         std::to_string(::getpid());
}

ScratchFile::~ScratchFile() { ::unlink(path.c_str()); }

}  // namespace longshore::nodeagent
