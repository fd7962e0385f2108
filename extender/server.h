// SPDX-License-Identifier: Apache-2.0
//
// The extender's HTTPS face: the scheduler's two verbs and, for people and tools, what was decided.
// Only clients whose certificate bears an allowed name are heard.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "common/http/server.h"
#include "common/metrics/registry.h"
#include "extender/service.h"
#include "extender/verdict_log.h"

namespace longshore::extender {

// GET /explain?pod=NS/NAME[&node=NODE] and GET /v1/verdicts[?namespace=].
http::Response ExplainPod(const http::Request& request, const VerdictLog& log);
http::Response ListVerdicts(const http::Request& request, const VerdictLog& log);

// The log with all verdicts made until now.
using VerdictReader = std::function<const VerdictLog&()>;

// Adds POST /filter, POST /prioritize, GET /explain and GET /v1/verdicts.
// Everything given here outlives the server. `allowed_clients` are common names.
void AddRoutes(http::Server& server, Service& service, const VerdictReader& verdicts,
               const std::set<std::string>& allowed_clients, metrics::Registry& registry);

}  // namespace longshore::extender
