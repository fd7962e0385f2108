// SPDX-License-Identifier: Apache-2.0
//
// Waiting for what the controller makes of a request: first whether it can be served, then pods.
#pragma once

#include <chrono>

#include "cli/session.h"

namespace longshore::cli {

// Why the request cannot be served; empty: nobody says so.
std::string Refusal(const Json& request);

// Until as many pods as were asked for at first can be used. An outage of the API is waited out.
// Errors: kFailedPrecondition when the request cannot be served, kDeadlineExceeded, kCancelled.
Result<Json> WaitForPods(Session& session, ApiClient& api, const Json& created,
                         std::chrono::seconds timeout);

// Waits a few seconds for the controller to accept or refuse the request, and leaves its newest
// view in `request`. No verdict in time is no error; it is said on standard error. Errors:
// kFailedPrecondition when it is refused, kCancelled.
Status WaitForVerdict(Session& session, ApiClient& api, Json& request);

}  // namespace longshore::cli
