// SPDX-License-Identifier: Apache-2.0
//
// The scheduler's request, as anybody with a certificate may send it: reading never crashes, and
// what was read goes out as JSON that another parser takes, with the offered names and no others,
// whether the reply is written anew or made of the body.
#include <string>

#include "tests/fuzz/extender_checks.h"

using longshore::kMostRequested;
using longshore::extender::CheckFilterReply;
using longshore::extender::CheckScores;
using longshore::extender::FilterReply;
using longshore::extender::NodeOutcome;
using longshore::extender::Outcome;
using longshore::extender::PrioritizeReply;
using longshore::extender::ReadArguments;

namespace {

// More than a string keeps within itself.
constexpr size_t kLongBody = 64;

void CheckReplyFromBody(std::string_view text, size_t spare) {
  std::string body(text);
  body.reserve(body.size() + spare);
  const auto arguments = ReadArguments(body);
  LS_CHECK(arguments.has_value());
  const std::string anew = FilterReply(*arguments, {});
  LS_CHECK(FilterReply(std::move(body), *arguments, {}, kLongBody) == anew);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  const auto arguments = ReadArguments(body);
  if (!arguments.has_value()) return 0;
  const auto& pod = arguments->pod;
  LS_CHECK(pod.cpu_milli >= 0 && pod.cpu_milli <= kMostRequested);
  LS_CHECK(pod.memory_bytes >= 0 && pod.memory_bytes <= kMostRequested);

  std::vector<NodeOutcome> outcomes(arguments->names.size());
  for (size_t i = 0; i < outcomes.size(); ++i) {
    outcomes[i] = {static_cast<Outcome>(i % 3), "because"};
  }
  const auto passed = CheckFilterReply(*arguments, FilterReply(*arguments, outcomes));
  LS_CHECK(!arguments->by_name || passed.size() == (outcomes.size() + 2) / 3);
  CheckFilterReply(*arguments, FilterReply(*arguments, {}));
  CheckScores(*arguments,
              PrioritizeReply(*arguments, std::vector<int>(arguments->names.size(), 7)));
  for (const size_t spare : {0, 1000}) CheckReplyFromBody(body, spare);
  return 0;
}
