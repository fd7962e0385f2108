// SPDX-License-Identifier: Apache-2.0
//
// What the leader said last about the nodes' load, once: the next message makes a new table.
// Immutable, so read by all threads.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.h"
#include "common/base/name_map.h"
#include "common/base/result.h"
#include "common/placement/node_table.h"
#include "common/placement/ranking.h"

namespace longshore::extender {

// A message of the leader. What is out of range becomes the nearest that is not; of a node that is
// in it twice, the last. Errors: kInvalidArgument.
Result<placement::PressureMap> ReadPressure(std::string_view message);

class PressureTable {
 public:
  PressureTable() = default;
  // Ages as of `received`.
  PressureTable(const placement::PressureMap& nodes, MonotonicTime received);
  PressureTable(const PressureTable&) = delete;  // names_ points into text_
  PressureTable& operator=(const PressureTable&) = delete;

  size_t size() const { return pressures_.size(); }
  MonotonicTime received() const { return received_; }
  // With the age as of `now`; never heard of the node: unknown.
  placement::Pressure Of(std::string_view node, MonotonicTime now) const;

  // The points of a node, less with its age.
  struct Points {
    int32_t age_ms = 0;  // at `received`
    int points = placement::kNeutralPressurePoints;
    int At(int64_t elapsed_ms) const {
      return placement::AgedPressurePoints(points, age_ms + elapsed_ms);
    }
  };
  // By place in the node table.
  std::vector<Points> Along(const placement::NodeTable& nodes) const;
  int64_t ElapsedMs(MonotonicTime now) const;

 private:
  std::string text_;
  NameMap names_;
  std::vector<placement::Pressure> pressures_;  // by number in names_
  MonotonicTime received_{};
};

}  // namespace longshore::extender
