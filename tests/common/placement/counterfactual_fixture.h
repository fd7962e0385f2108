// SPDX-License-Identifier: Apache-2.0
//
// Four nodes, one of which has the data, and what is asked about them: for the tests of
// common/placement/counterfactual.h.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/placement/counterfactual.h"
#include "tests/common/placement/fake_view.h"

namespace longshore::placement {

inline constexpr int64_t kMiB = int64_t{1} << 20;

class CounterfactualTest : public testing::Test {
 protected:
  CounterfactualTest() {
    view_.AddNode("n1", "r1", "za", "eu");
    view_.AddNode("n2", "r1", "za", "eu");
    view_.AddNode("n3", "r3", "za", "eu");
    view_.AddNode("n4", "r4", "zb", "eu");
    Place({.node_name = "n1"});
  }
  void Place(const api::SourceLocation& location, const std::string& mode = "Prefer",
             const std::string& tier = "Node") {
    source_ = MakeSource(location, mode, tier);
  }
  void AllEquallyNear() { Place({.zone = "za"}, "Prefer", "Zone"); }

  Counterfactual Ask(const std::string& node) const {
    return WhatWouldChange(source_, Locate(source_, view_), view_, demand_, pressure_, reserved_,
                           *view_.Node(node));
  }
  std::optional<Change> Find(const Counterfactual& asked, const std::string& input) const {
    const auto found = std::find_if(asked.changes.begin(), asked.changes.end(),
                                    [&](const Change& c) { return c.input == input; });
    return found == asked.changes.end() ? std::nullopt : std::optional(*found);
  }
  std::string First() const { return Ranked().front().node; }
  bool Feasible(const std::string& node) const {
    for (const NodeScore& score : Ranked()) {
      if (score.node == node) return score.feasible;
    }
    return false;
  }
  std::vector<NodeScore> Ranked() const {
    return RankNodes(source_, Locate(source_, view_), view_, demand_, pressure_, reserved_);
  }
  NodeInfo& Node(const std::string& name) { return const_cast<NodeInfo&>(*view_.Node(name)); }
  static Pressure Cpu(int percent) {
    return {.cpu_used_milli = 40 * percent, .cpu_capacity_milli = 4000, .age_ms = 100};
  }

  FakeView view_;
  api::BackupSource source_;
  PodDemand demand_{500, 256 * kMiB, {}};
  PressureMap pressure_;
  std::map<std::string, int> reserved_;
};

}  // namespace longshore::placement
