// SPDX-License-Identifier: Apache-2.0
//
// longshore-extender: called by kube-scheduler for each backup pod; see docs/placement.md. This
// file only wires the parts and decides the order in which they start and stop.
#include <cstdio>
#include <memory>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/signals.h"
#include "common/http/server.h"
#include "common/kube/config.h"
#include "common/metrics/registry.h"
#include "extender/live_cluster.h"
#include "extender/options.h"
#include "extender/pressure_feed.h"
#include "extender/server.h"
#include "extender/service.h"

namespace longshore::extender {
namespace {

// Go's client of 5000 nodes with all their images sends 60 MB when it sends whole nodes.
constexpr size_t kMaxBodyBytes = size_t{128} << 20;
constexpr size_t kRememberedPods = 1000;

LogLevel LevelOf(const std::string& name) {
  if (name == "debug") return LogLevel::kDebug;
  if (name == "warn") return LogLevel::kWarn;
  return name == "error" ? LogLevel::kError : LogLevel::kInfo;
}

streams::ClientOptions StreamOptions(const Options& options) {
  streams::ClientOptions stream;
  stream.host = options.controller_host;
  stream.port = options.controller_port;
  stream.path = "/v1/pressure";
  stream.ca_file = options.ca_file;
  stream.token_file = options.token_file;
  return stream;
}

http::ServerOptions SchedulerPort(const Options& options) {
  http::ServerOptions server;
  server.port = options.port;
  server.tls = http::ServerTls{options.tls_dir + "/tls.crt", options.tls_dir + "/tls.key",
                               options.client_ca_file};
  server.max_body_bytes = kMaxBodyBytes;
  return server;
}

http::ServerOptions HealthPort(const Options& options) {
  http::ServerOptions server;
  server.port = options.health_port;
  server.threads = 2;
  server.max_threads = 8;
  return server;
}

http::Response Text(int status, std::string body) {
  http::Response response;
  response.status = status;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = std::move(body);
  return response;
}

class Extender {
 public:
  Extender(const Options& options, kube::Client& client)
      : cluster_(client),
        log_(kRememberedPods),
        feed_(StreamOptions(options), log_, Clock::Real(), registry_),
        service_(cluster_, feed_, feed_, Clock::Real(), registry_),
        snapshot_age_(registry_.MakeGauge("longshore_extender_snapshot_age_seconds",
                                          "Since the quietest watch last showed a sign of life")),
        synced_(registry_.MakeGauge("longshore_extender_synced",
                                    "1 once everything that verdicts need was listed")),
        scheduler_port_(SchedulerPort(options)),
        health_port_(HealthPort(options)) {
    AddRoutes(scheduler_port_, service_, log_, options.allowed_clients, registry_);
    AddHealth();
  }

  // Errors are of the configuration: ports and certificates. An API server or a leader that is away
  // is waited for.
  Status Start() {
    LS_RETURN_IF_ERROR(scheduler_port_.Start());
    LS_RETURN_IF_ERROR(health_port_.Start());
    LS_RETURN_IF_ERROR(feed_.Start());
    cluster_.Start();
    LogInfo("extender started",
            {{"port", scheduler_port_.port()}, {"health_port", health_port_.port()}});
    return {};
  }

  void Stop() {
    scheduler_port_.Stop();
    feed_.Stop();
    cluster_.Stop();
    health_port_.Stop();
  }

 private:
  void AddHealth() {
    health_port_.Handle("GET", "/healthz", [](const http::Request&) { return Text(200, "ok\n"); });
    health_port_.Handle("GET", "/readyz", [this](const http::Request&) {
      return cluster_.synced() ? Text(200, "ok\n") : Text(503, "the cluster is not listed yet\n");
    });
    health_port_.Handle("GET", "/metrics", [this](const http::Request&) {
      synced_.Set(cluster_.synced() ? 1 : 0);
      snapshot_age_.Set(std::chrono::duration<double>(cluster_.age()).count());
      feed_.UpdateMetrics();
      return Text(200, registry_.Text());
    });
  }

  metrics::Registry registry_;
  LiveCluster cluster_;
  VerdictLog log_;
  PressureFeed feed_;
  Service service_;
  metrics::Gauge& snapshot_age_;
  metrics::Gauge& synced_;
  http::Server scheduler_port_;
  http::Server health_port_;
};

int Refuse(const Error& error) {
  std::fprintf(stderr, "longshore-extender: %s\n", error.message.c_str());
  return 2;
}

int Run(const Options& options) {
  SetLogLevel(LevelOf(options.log_level));
  BlockStopSignals();
  auto config = kube::LoadConfig(options.kubeconfig);
  if (!config.has_value()) return Refuse(config.error());
  auto client = kube::Client::Create(*std::move(config), "longshore-extender");
  if (!client.has_value()) return Refuse(client.error());
  Extender extender(options, **client);
  if (const Status started = extender.Start(); !started.has_value()) {
    return Refuse(started.error());
  }
  const int signal = WaitForStopSignal();
  LogInfo("stopping", {{"signal", signal}});
  extender.Stop();
  return 0;
}

}  // namespace
}  // namespace longshore::extender

int main(int argc, char** argv) {
  longshore::extender::Options options;
  switch (longshore::extender::ParseOptions(argc, argv, options)) {
    case longshore::extender::Parsed::kExitSuccess:
      return 0;
    case longshore::extender::Parsed::kExitUsage:
      return 2;
    case longshore::extender::Parsed::kRun:
      break;
  }
  return longshore::extender::Run(options);
}
