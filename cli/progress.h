// SPDX-License-Identifier: Apache-2.0
//
// Following operations to their end: a table that is redrawn on a terminal, one line per change
// elsewhere (logs, pipes).
#pragma once

#include <string>
#include <vector>

#include "cli/session.h"

namespace longshore::cli {

// One row an operation: part, state, phase or result, done, rate, time left, pod. Pure.
Table ProgressTable(const Json& operations);
// "orders/ledger: Running, Copying 120 MiB of 300 MiB (40%), 35 MiB/s, 5s left". Pure.
std::string ProgressLine(const Json& operation);
// {"phase","bytesDone",…} as "Copying, 120 MiB of 300 MiB (40%), 35 MiB/s, 5s left". Pure.
std::string ProgressText(const Json& progress);
bool HasEnded(const Json& operation);

struct FollowOptions {
  std::string ns;
  std::vector<std::string> names;   // operations
  std::chrono::seconds timeout{0};  // 0: as long as it takes
};
// Shows progress until all have ended; the result is {"items":[…]} as they ended. Errors:
// kDeadlineExceeded, kCancelled (Ctrl-C): the message says how to look again.
Result<Json> Follow(Session& session, ApiClient& api, const FollowOptions& options);

// Success when all succeeded; otherwise which failed and why, kInternal.
Status CheckSucceeded(const Json& operations);

}  // namespace longshore::cli
