// SPDX-License-Identifier: Apache-2.0
//
// What holds of every reply to the scheduler, whatever was offered. Used by the fuzz targets of the
// extender.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "extender/protocol.h"

namespace longshore::extender {

// Every offered node is in the reply, once, and nothing else is. Returns the names that passed.
inline std::set<std::string> CheckFilterReply(const Arguments& offered, const std::string& text) {
  const auto reply = nlohmann::json::parse(text, nullptr, false);
  // Whole nodes go back as they came, and may hold bytes that were not looked at.
  if (!offered.by_name && reply.is_discarded()) return {};
  LS_CHECK(reply.is_object() && reply.at("Error") == "");
  std::set<std::string> left(offered.names.begin(), offered.names.end());
  LS_CHECK(left.size() == offered.names.size());
  for (const char* list : {"FailedNodes", "FailedAndUnresolvableNodes"}) {
    for (const auto& [name, reason] : reply.at(list).items()) {
      LS_CHECK(left.erase(name) == 1 && reason.is_string());
    }
  }
  if (!offered.by_name) {
    LS_CHECK(reply.at("Nodes").at("items").size() == left.size());
    return left;
  }
  std::set<std::string> passed;
  for (const auto& name : reply.at("NodeNames")) {
    LS_CHECK(passed.insert(name.get<std::string>()).second);
  }
  LS_CHECK(passed == left);
  return passed;
}

// Integers from 0 to 10 of offered nodes, of each at most one.
inline void CheckScores(const Arguments& offered, const std::string& text) {
  const auto reply = nlohmann::json::parse(text, nullptr, false);
  LS_CHECK(reply.is_array());
  std::set<std::string> left(offered.names.begin(), offered.names.end());
  for (const auto& host : reply) {
    LS_CHECK(left.erase(host.at("Host").get<std::string>()) == 1);
    const auto& score = host.at("Score");
    LS_CHECK(score.is_number_integer() && score >= 0 && score <= kMaxScore);
  }
}

}  // namespace longshore::extender
