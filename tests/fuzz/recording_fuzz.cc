// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a recorded call: an error, or a recording that is written and read again as itself
// and is answered as every call is, also with a node's inputs otherwise than they were.
#include <string>

#include "extender/replay.h"
#include "tests/fuzz/extender_checks.h"

using longshore::extender::AnswerAgain;
using longshore::extender::CheckFilterReply;
using longshore::extender::CheckScores;
using longshore::extender::ReadArguments;
using longshore::extender::ReadRecording;
using longshore::extender::WhatWouldChange;
using longshore::extender::WriteRecording;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto recording = ReadRecording({reinterpret_cast<const char*>(data), size});
  if (!recording.has_value()) {
    LS_CHECK(recording.error().code == longshore::Code::kInvalidArgument);
    return 0;
  }
  const std::string written = WriteRecording(*recording);
  const auto again = ReadRecording(written);
  LS_CHECK(again.has_value() && WriteRecording(*again) == written);

  const auto replay = AnswerAgain(*recording);
  const auto arguments = ReadArguments(recording->body);
  LS_CHECK(replay.has_value() == arguments.has_value());
  if (!replay.has_value()) return 0;
  if (recording->verb == "filter") {
    CheckFilterReply(*arguments, replay->reply);
  } else {
    CheckScores(*arguments, replay->reply);
  }
  LS_CHECK(AnswerAgain(*again)->reply == replay->reply);
  // Ranks the nodes a thousand times: of some, or the rest would hardly be explored.
  if (size % 16 == 0 && !arguments->names.empty()) {
    (void)WhatWouldChange(*recording, std::string(arguments->names.back()));
  }
  return 0;
}
