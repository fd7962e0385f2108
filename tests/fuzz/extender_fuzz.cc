// SPDX-License-Identifier: Apache-2.0
//
// The scheduler's request, as anybody with a certificate may send it: reading never crashes, and
// what was read goes out as JSON that another parser takes, with the offered names and no others.
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "extender/protocol.h"

using longshore::extender::FilterReply;
using longshore::extender::NodeOutcome;
using longshore::extender::Outcome;
using longshore::extender::PrioritizeReply;
using longshore::extender::ReadArguments;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto arguments = ReadArguments(body);
  if (!arguments.has_value()) return 0;

  std::vector<NodeOutcome> outcomes(arguments->names.size());
  for (size_t i = 0; i < outcomes.size(); ++i) {
    outcomes[i] = {static_cast<Outcome>(i % 3), "because"};
  }
  const std::string filtered = FilterReply(*arguments, outcomes);
  const std::string scored =
      PrioritizeReply(*arguments, std::vector<int>(arguments->names.size(), 7));
  if (!nlohmann::json::parse(scored, nullptr, false).is_array()) __builtin_trap();
  // Whole nodes go back as they came, and may hold bytes that were not looked at.
  if (!arguments->by_name) return 0;
  const auto reply = nlohmann::json::parse(filtered, nullptr, false);
  if (!reply.is_object()) __builtin_trap();
  const size_t named = reply["NodeNames"].size() + reply["FailedNodes"].size() +
                       reply["FailedAndUnresolvableNodes"].size();
  if (named != arguments->names.size()) __builtin_trap();
  return 0;
}
