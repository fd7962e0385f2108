// SPDX-License-Identifier: Apache-2.0
//
// What an API server's refusal means: its Status document becomes an Error with a canonical code
// and the server's own message, which names the field. Used by the client and the informer.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

#include "common/api/archive.h"
#include "common/base/result.h"
#include "common/http/client.h"

namespace longshore::kube {

// The Error of a response with status >= 400. `context` ("get pods db/x") is put in front.
Error ErrorFromResponse(const http::ClientResponse& response, std::string_view context);

// The Error of a Status document, e.g. of an ERROR event in a watch.
Error ErrorFromStatus(const api::Json& status, std::string_view context);

// The Retry-After header in seconds, if there is one that can be understood.
std::optional<std::chrono::milliseconds> RetryAfter(const http::ClientResponse& response);

}  // namespace longshore::kube
