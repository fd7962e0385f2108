// SPDX-License-Identifier: Apache-2.0
//
// What the tests of a running kernel share: when they are skipped, what is true, and where to
// write.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "nodeagent/cgroup_layout.h"
#include "tests/nodeagent/test_cgroups.h"

namespace longshore::nodeagent {

double Ratio(uint64_t counted, uint64_t truth);
// The kernel's total of a cgroup.
uint64_t CpuTruth(const CgroupLayout& layout, const std::string& path);
// A file on a block device, removed at the end.
struct ScratchFile {
  explicit ScratchFile(const std::string& name);
  ~ScratchFile();
  std::string path;
};

// Skips, with the reason, where BPF cannot be loaded.
class KernelSideTest : public ::testing::Test {
 protected:
  void SetUp() override {
    static const std::string why_not = TestCgroups::WhyNot();
    if (!why_not.empty()) GTEST_SKIP() << why_not;
  }
};

}  // namespace longshore::nodeagent
