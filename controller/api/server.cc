// SPDX-License-Identifier: Apache-2.0
#include "controller/api/server.h"

#include <atomic>

#include "common/base/log.h"
#include "common/base/log_limit.h"
#include "controller/api/api_metrics.h"
#include "controller/api/context.h"
#include "controller/api/openapi.h"

namespace longshore::controller {
namespace {

// The error as a problem document, with the headers that belong to its status.
http::Response ErrorResponse(const Error& error) {
  http::Response response = http::Problem(error);
  if (error.code == Code::kUnauthenticated) {
    response.headers["WWW-Authenticate"] = "Bearer realm=\"longshore\"";
  }
  if (error.code == Code::kUnavailable || error.retry_after) {
    const auto wait = error.retry_after.value_or(std::chrono::milliseconds(1000));
    response.headers["Retry-After"] = std::to_string((wait.count() + 999) / 1000);
  }
  return response;
}

// Through the Service a new connection finds the replica that leads; the old one would be answered
// here for as long as this replica lives.
http::Response SendElsewhere(const Error& error) {
  http::Response response = ErrorResponse(error);
  response.headers["Connection"] = "close";
  return response;
}

std::vector<std::string> RouteNames() {
  std::vector<std::string> names;
  for (const Route& route : Routes()) {
    names.push_back(std::string(route.method) + " " + route.pattern);
  }
  return names;
}

}  // namespace

const std::vector<Route>& Routes() {
  static const std::vector<Route> kRoutes = {
      {"POST", "/v1/requests", CreateRequest},
      {"GET", "/v1/requests", ListRequests},
      {"GET", "/v1/requests/{namespace}/{name}", GetRequest},
      {"PATCH", "/v1/requests/{namespace}/{name}", PatchRequest},
      {"DELETE", "/v1/requests/{namespace}/{name}", DeleteRequest},
      {"GET", "/v1/requests/{namespace}/{name}/scaling", ExplainScaling},
      {"GET", "/v1/pods", ListPods},
      {"POST", "/v1/pods:acquire", AcquirePod},
      {"POST", "/v1/pods/{namespace}/{name}:release", ReleasePod},
      {"POST", "/v1/operations", CreateOperation},
      {"GET", "/v1/operations", ListOperations},
      {"GET", "/v1/operations/{namespace}/{name}", GetOperation},
      {"POST", "/v1/operations/{namespace}/{name}:cancel", CancelOperation},
      {"GET", "/v1/sources", ListSources},
      {"GET", "/v1/sources/{namespace}/{name}", GetSource},
      {"GET", "/v1/sources/{namespace}/{name}/location", LocateSource},
      {"GET", "/v1/copies", ListCopies},
      {"GET", "/v1/events", ReadEvents},
      {"GET", "/v1/explain/{namespace}/{pod}", ExplainPod},
  };
  return kRoutes;
}

class ApiServer::Impl {
 public:
  Impl(kube::Client& kube, ClusterState& state, const LiveView& live, EventLog& events,
       ApiOptions options)
      : options_(std::move(options)),
        auth_(kube, {options_.audience, options_.token_cache, options_.access_cache},
              *options_.clock, options_.metrics),
        waits_(options_.max_waiting),
        metrics_(options_.metrics, RouteNames()),
        context_{kube,           state,  live,      events, auth_, *options_.clock,
                 *pods_changed_, waits_, acquiring_},
        server_(ServerOptionsFor(options_)) {
    // The informer may run longer than this server, so the signal is shared.
    state.backup_pods.OnChange(
        [changed = pods_changed_](const auto&, const auto&) { changed->Notify(); });
    for (size_t i = 0; i < Routes().size(); ++i) {
      server_.Handle(Routes()[i].method, Routes()[i].pattern,
                     [this, i](const http::Request& request) { return Serve(i, request); });
    }
    server_.Handle("GET", "/openapi.json", [](const http::Request&) {
      http::Response response;
      response.body = std::string(kOpenApiDocument);
      return response;
    });
  }

  Status Start() {
    LS_RETURN_IF_ERROR(server_.Start());
    LogInfo("storage manager API serves", {{"port", server_.port()}});
    return {};
  }

  void Stop() {
    pods_changed_->Close();
    server_.Stop();
  }

  int port() const { return server_.port(); }

 private:
  // Every waiting caller holds a thread: there must be some left for the others.
  static http::ServerOptions ServerOptionsFor(const ApiOptions& options) {
    http::ServerOptions http = options.http;
    http.max_threads = std::max(http.max_threads, options.max_waiting + 32);
    return http;
  }

  Status Ready() {
    if (ready_) return {};
    if (options_.ready) {
      LS_RETURN_IF_ERROR(options_.ready());
    } else if (!context_.state.WaitForSync(std::chrono::milliseconds(0))) {
      return Unavailable("starting: the cluster is being read");
    }
    ready_ = true;
    return {};
  }

  http::Response Serve(size_t route, const http::Request& request) {
    const MonotonicTime start = options_.clock->Monotonic();
    std::string user;
    http::Response response = Answer(Routes()[route].handler, request, user);
    metrics_.Answered(route, response.status, options_.clock->Monotonic() - start);
    if (request.method != "GET") LogCall(user, request, response.status);
    return response;
  }

  // Who changed what, or tried to. Paths hold names of objects; bodies and keys are not logged. All
  // that succeeds is told; of what is refused, of those known and unknown each, so much that nobody
  // fills a disk with it.
  void LogCall(const std::string& user, const http::Request& request, int status) {
    LogRate& refused = user.empty() ? strangers_log_ : refused_log_;
    const auto left_out = status < 400 ? std::optional<uint64_t>(0) : refused.Admit();
    if (!left_out) return;
    LogInfo("api call", {{"user", user},
                         {"method", request.method},
                         {"path", request.path},
                         {"status", status},
                         {"leftOut", *left_out}});
  }

  http::Response Answer(ApiHandler handler, const http::Request& request, std::string& user) {
    if (const Status ready = Ready(); !ready) return SendElsewhere(ready.error());
    const Result<Caller> caller = auth_.Authenticate(request);
    if (!caller) return ErrorResponse(caller.error());
    user = caller->username;
    Result<http::Response> response = handler(context_, *caller, request);
    if (response) return std::move(*response);
    Error error = response.error();
    // The caller is known by now: only our own login can have been refused.
    if (error.code == Code::kUnauthenticated) {
      if (const auto left_out = login_log_.Admit()) {
        LogError("the Kubernetes API refuses the controller's token",
                 {{"error", error.message}, {"leftOut", *left_out}});
      }
      error = Unavailable("the controller is not accepted by the Kubernetes API");
    }
    return ErrorResponse(error);
  }

  const ApiOptions options_;
  std::atomic<bool> ready_{false};
  Authenticator auth_;
  const std::shared_ptr<ChangeSignal> pods_changed_ = std::make_shared<ChangeSignal>();
  WaitSlots waits_;
  KeyGate acquiring_;
  const ApiMetrics metrics_;
  static constexpr std::chrono::seconds kRefusedInterval{1};
  LogRate strangers_log_{*options_.clock, 20, kRefusedInterval};
  LogRate refused_log_{*options_.clock, 100, kRefusedInterval};
  LogRate login_log_{*options_.clock};
  ApiContext context_;
  http::Server server_;
};

ApiServer::ApiServer(kube::Client& kube, ClusterState& state, const LiveView& live,
                     EventLog& events, ApiOptions options)
    : impl_(std::make_unique<Impl>(kube, state, live, events, std::move(options))) {}
ApiServer::~ApiServer() { Stop(); }
Status ApiServer::Start() { return impl_->Start(); }
void ApiServer::Stop() { impl_->Stop(); }
int ApiServer::port() const { return impl_->port(); }

}  // namespace longshore::controller
