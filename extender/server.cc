// SPDX-License-Identifier: Apache-2.0
#include "extender/server.h"

#include <chrono>
#include <cstdio>
#include <memory>

#include "common/base/log.h"
#include "common/base/log_limit.h"
#include "common/base/strings.h"
#include "extender/verdict.h"

namespace longshore::extender {
namespace {

using http::Request;
using http::Response;

Response Reply(std::string body) {
  Response response;
  response.body = std::move(body);
  return response;
}

// With the time from the whole body to the whole reply, where a benchmark finds it beside its own
// (https://www.w3.org/TR/server-timing/; the scheduler doesn't read it).
template <class Answer>
http::Handler Timed(Answer answer) {
  return [answer](Request& request) {
    const auto start = std::chrono::steady_clock::now();
    Response response = Reply(answer(std::move(request.body)));
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    char timing[40];
    std::snprintf(timing, sizeof timing, "total;dur=%.3f", took.count());
    response.headers["Server-Timing"] = timing;
    return response;
  };
}

api::Json VerdictList(const std::vector<messages::PlacementVerdict>& verdicts,
                      const std::string& ns) {
  api::Json items = api::Json::array();
  for (const auto& verdict : verdicts) {
    if (ns.empty() || verdict.pod_namespace() == ns) items.push_back(VerdictJson(verdict));
  }
  return {{"items", std::move(items)}};
}

// What its last calls said of the node, or would have said.
Response ExplainNode(const std::string& ns, const std::string& name, const std::string& node,
                     const VerdictLog& log) {
  const auto calls = log.CallsOf(ns, name);
  if (calls.empty()) {
    return http::Problem(
        NotFound("pod " + ns + "/" + name + ": no call about it is kept (the last " +
                 std::to_string(VerdictLog::kMostCalls) +
                 " at most are): longshore explain POD --node NODE says how the node ranks now"));
  }
  std::vector<messages::PlacementVerdict> verdicts;
  for (const auto& call : calls) {
    auto verdict = VerdictOf(*call, node);
    if (!verdict.has_value()) return http::Problem(verdict.error());
    verdicts.push_back(*std::move(verdict));
  }
  return Reply(VerdictList(verdicts, "").dump());
}

}  // namespace

Response ExplainPod(const Request& request, const VerdictLog& log) {
  const auto pod = Split(request.Query("pod"), '/');
  if (pod.size() != 2 || pod[0].empty() || pod[1].empty()) {
    return http::Problem(InvalidArgument("pod: expected NAMESPACE/NAME"));
  }
  if (const std::string node = request.Query("node"); !node.empty()) {
    return ExplainNode(pod[0], pod[1], node, log);
  }
  const auto verdicts = log.OfPod(pod[0], pod[1]);
  if (verdicts.empty()) {
    return http::Problem(NotFound("pod " + pod[0] + "/" + pod[1] + ": no verdict was asked for"));
  }
  return Reply(VerdictList(verdicts, "").dump());
}

Response ListVerdicts(const Request& request, const VerdictLog& log) {
  return Reply(VerdictList(log.All(), request.Query("namespace")).dump());
}

void AddRoutes(http::Server& server, Service& service, const VerdictReader& verdicts,
               const std::set<std::string>& allowed_clients, metrics::Registry& registry) {
  metrics::Counter& forbidden =
      registry.MakeCounter("longshore_extender_forbidden_total",
                           "Calls with a valid certificate of a name that is not allowed");
  const auto guarded = [&forbidden, allowed_clients,
                        log = std::make_shared<LogRate>()](http::Handler handler) -> http::Handler {
    return [&forbidden, allowed_clients, log, handler = std::move(handler)](Request& request) {
      if (allowed_clients.contains(request.peer_common_name)) return handler(request);
      forbidden.Increment();
      if (const auto left_out = log->Admit()) {
        LogWarn("client refused", {{"name", request.peer_common_name},
                                   {"address", request.remote_address},
                                   {"leftOut", *left_out}});
      }
      return http::Problem(
          Error{Code::kPermissionDenied, "client certificate " + request.peer_common_name +
                                             " is not on the list of allowed clients"});
    };
  };
  server.Handle(
      "POST", "/filter",
      guarded(Timed([&service](std::string body) { return service.Filter(std::move(body)); })));
  server.Handle(
      "POST", "/prioritize",
      guarded(Timed([&service](std::string body) { return service.Prioritize(std::move(body)); })));
  server.Handle("GET", "/explain", guarded([verdicts](const Request& request) {
                  return ExplainPod(request, verdicts());
                }));
  server.Handle("GET", "/v1/verdicts", guarded([verdicts](const Request& request) {
                  return ListVerdicts(request, verdicts());
                }));
}

}  // namespace longshore::extender
