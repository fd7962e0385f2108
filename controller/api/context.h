// SPDX-License-Identifier: Apache-2.0
//
// What every handler of the storage manager API is given, and the table of routes. A handler is a
// plain function: caller and request in, response or error out; server.cc does the rest
// (authentication, problem documents, headers).
#pragma once

#include <vector>

#include "common/http/server.h"
#include "common/kube/client.h"
#include "controller/api/auth.h"
#include "controller/api/input.h"
#include "controller/api/waiting.h"
#include "controller/cluster_state.h"
#include "controller/event_log.h"
#include "controller/live_view.h"

namespace longshore::controller {

struct ApiContext {
  kube::Client& kube;
  ClusterState& state;
  const LiveView& live;
  EventLog& events;
  Authenticator& auth;
  const Clock& clock;
  ChangeSignal& pods_changed;  // a BackupPod's row changed; closed when the server stops
  WaitSlots& waits;
  KeyGate& acquiring;
};

using Caller = kube::UserInfo;
using ApiHandler = Result<http::Response> (*)(ApiContext&, const Caller&, const http::Request&);

struct Route {
  const char* method;
  const char* pattern;
  ApiHandler handler;
};

// Every route except /openapi.json, which needs no caller.
const std::vector<Route>& Routes();

// requests.cc, scaling_view.cc
Result<http::Response> CreateRequest(ApiContext&, const Caller&, const http::Request&);
Result<http::Response> ListRequests(ApiContext&, const Caller&, const http::Request&);
Result<http::Response> GetRequest(ApiContext&, const Caller&, const http::Request&);
Result<http::Response> PatchRequest(ApiContext&, const Caller&, const http::Request&);
Result<http::Response> ExplainScaling(ApiContext&, const Caller&, const http::Request&);
Result<http::Response> DeleteRequest(ApiContext&, const Caller&, const http::Request&);
// pods.cc, acquire.cc
Result<http::Response> ListPods(ApiContext&, const Caller&, const http::Request&);
Result<http::Response> AcquirePod(ApiContext&, const Caller&, const http::Request&);
Result<http::Response> ReleasePod(ApiContext&, const Caller&, const http::Request&);
// operations.cc
Result<http::Response> CreateOperation(ApiContext&, const Caller&, const http::Request&);
Result<http::Response> ListOperations(ApiContext&, const Caller&, const http::Request&);
Result<http::Response> GetOperation(ApiContext&, const Caller&, const http::Request&);
Result<http::Response> CancelOperation(ApiContext&, const Caller&, const http::Request&);
// sources.cc, copies.cc, events.cc, explain.cc
Result<http::Response> ListSources(ApiContext&, const Caller&, const http::Request&);
Result<http::Response> GetSource(ApiContext&, const Caller&, const http::Request&);
Result<http::Response> LocateSource(ApiContext&, const Caller&, const http::Request&);
Result<http::Response> ListCopies(ApiContext&, const Caller&, const http::Request&);
Result<http::Response> ReadEvents(ApiContext&, const Caller&, const http::Request&);
Result<http::Response> ExplainPod(ApiContext&, const Caller&, const http::Request&);

}  // namespace longshore::controller
