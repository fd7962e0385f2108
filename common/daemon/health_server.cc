// SPDX-License-Identifier: Apache-2.0
#include "common/daemon/health_server.h"

#include <utility>

namespace longshore::daemon {
namespace {

http::ServerOptions OptionsFor(int port, int threads) {
  http::ServerOptions options;
  options.port = port;
  options.threads = threads;
  options.max_threads = 4 * threads;
  return options;
}

http::Response Text(int status, std::string body) {
  http::Response response;
  response.status = status;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = std::move(body);
  return response;
}

http::Handler Probe(std::function<std::string()> problem) {
  return [problem = std::move(problem)](const http::Request&) {
    const std::string why = problem ? problem() : "";
    return why.empty() ? Text(200, "ok\n") : Text(503, why + "\n");
  };
}

}  // namespace

HealthServer::HealthServer(int port, Answers answers, int threads)
    : server_(OptionsFor(port, threads)) {
  server_.Handle("GET", "/healthz", Probe(std::move(answers.stuck)));
  server_.Handle("GET", "/readyz", Probe(std::move(answers.unready)));
  server_.Handle("GET", "/metrics", [metrics = std::move(answers.metrics)](const http::Request&) {
    return Text(200, metrics());
  });
}

}  // namespace longshore::daemon
