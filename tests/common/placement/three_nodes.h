// SPDX-License-Identifier: Apache-2.0
//
// The cluster in which location_test.cc and nearness_test.cc look for data.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/common/placement/fake_view.h"

namespace longshore::placement {

inline const std::map<std::string, std::string> kLeader{{"role", "leader"}};

// Three nodes in two zones; a cluster in which each link of the chain points somewhere else, so
// that the order of the chain can be seen.
inline FakeView ThreeNodes() {
  FakeView view;
  view.AddNode("n1", "r1", "za", "eu");
  view.AddNode("n2", "r2", "za", "eu");
  view.AddNode("n3", "r3", "zb", "eu");
  view.by_labels[{"db", kLeader}] = {{"pg-0", "n2", true, ""}};
  view.by_service[{"db", "pg"}] = {{"pg-0", "n3", true, ""}};
  view.volume_nodes[{"db", "data"}] = std::vector<std::string>{"n1"};
  return view;
}

}  // namespace longshore::placement
