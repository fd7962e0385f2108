// SPDX-License-Identifier: Apache-2.0
//
// Whether dashboards and alerts name only metrics that there are: they hold names that nothing else
// would notice when one is renamed. For tests that say where the sources are.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <string>
#include <utility>

#include "common/base/files.h"

namespace longshore::metrics {

// A file of manifests/components, by "FOLDER/FILE".
inline std::string ReadComponent(const std::string& file) {
  const auto text = ReadFile(std::string(LONGSHORE_SOURCE_DIR) + "/manifests/components/" + file);
  EXPECT_TRUE(text.has_value()) << file;
  return text.value_or("");
}

// Expects that every name in the text that begins with the prefix is exposed; returns how many.
inline size_t ExpectExposed(const std::string& text, const std::string& prefix,
                            const std::set<std::string>& exposed) {
  const std::regex metric(prefix + "[a-z0-9_]+");
  size_t found = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), metric), end; it != end; ++it, ++found) {
    EXPECT_TRUE(exposed.contains(it->str())) << it->str();
  }
  return found;
}

// It parses, every panel has a query, every query names metrics that there are, and no two panels
// lie on each other.
inline void ExpectDashboard(const std::string& file, const std::string& prefix,
                            const std::set<std::string>& exposed, size_t min_panels) {
  const auto dashboard = nlohmann::json::parse(ReadComponent(file));
  EXPECT_GE(dashboard["panels"].size(), min_panels);
  std::set<int> ids;
  std::set<std::pair<int, int>> places;
  for (const auto& panel : dashboard["panels"]) {
    EXPECT_TRUE(ids.insert(panel["id"].get<int>()).second) << panel["title"];
    const auto& place = panel["gridPos"];
    EXPECT_TRUE(places.emplace(place["x"].get<int>(), place["y"].get<int>()).second)
        << panel["title"];
    ASSERT_FALSE(panel["targets"].empty()) << panel["title"];
    for (const auto& target : panel["targets"]) {
      EXPECT_GE(ExpectExposed(target["expr"], prefix, exposed), 1u) << panel["title"];
    }
  }
  for (const auto& variable : dashboard["templating"]["list"]) {
    ExpectExposed(variable["query"], prefix, exposed);
  }
}

}  // namespace longshore::metrics
