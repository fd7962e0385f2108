// SPDX-License-Identifier: Apache-2.0
//
// longshore-extender: called by kube-scheduler for each backup pod; see docs/placement.md. `replay`
// answers a recorded call again. This file only wires the parts and decides the order in which they
// start and stop.
#include <malloc.h>

#include <iostream>
#include <memory>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/daemon/command_line.h"
#include "common/daemon/health_server.h"
#include "common/daemon/program.h"
#include "common/http/server.h"
#include "common/kube/config.h"
#include "common/metrics/registry.h"
#include "extender/live_cluster.h"
#include "extender/options.h"
#include "extender/pressure_feed.h"
#include "extender/server.h"
#include "extender/service.h"
#include "extender/verdict_queue.h"

namespace longshore::extender {
namespace {

// Go's client of 5000 nodes with all their images sends 60 MB when it sends whole nodes.
constexpr size_t kMaxBodyBytes = size_t{128} << 20;
constexpr size_t kRememberedPods = 1000;

// A call of 5000 names takes up to some megabytes and gives them back: kept for the next one, since
// a page that is fetched anew costs as much as reading what is on it. By itself glibc also keeps
// for ever what is as large as the largest that was ever freed, which here may be 60 MB: with a
// fixed limit that goes back at once.
void TuneHeap() {
  constexpr int kKept = 8 << 20, kMapped = 1 << 20, kAhead = 256 << 10;
  ::mallopt(M_TRIM_THRESHOLD, kKept);
  ::mallopt(M_MMAP_THRESHOLD, kMapped);
  ::mallopt(M_TOP_PAD, kAhead);
}

http::ServerOptions SchedulerPort(const Options& options) {
  http::ServerOptions server;
  server.port = options.port;
  server.tls = http::ServerTls{options.tls_dir + "/tls.crt", options.tls_dir + "/tls.key",
                               options.client_ca_file};
  server.max_body_bytes = kMaxBodyBytes;
  return server;
}

std::unique_ptr<Recorder> MakeRecorder(const RecorderOptions& options,
                                       metrics::Registry& registry) {
  if (options.folder.empty()) return nullptr;
  return std::make_unique<Recorder>(options, daemon::Version(), registry);
}

class Extender {
 public:
  Extender(const Options& options, kube::Client& client)
      : cluster_(client),
        log_(kRememberedPods),
        feed_(options.pressure, log_, Clock::Real(), registry_),
        verdicts_([this](auto verdict) { feed_.Record(std::move(verdict)); }, registry_),
        recorder_(MakeRecorder(options.record, registry_)),
        service_(cluster_, feed_, verdicts_, Clock::Real(), registry_,
                 {.recorder = recorder_.get(), .calls = &log_}),
        snapshot_age_(registry_.MakeGauge("longshore_extender_snapshot_age_seconds",
                                          "Since the quietest watch last showed a sign of life")),
        synced_(registry_.MakeGauge("longshore_extender_synced",
                                    "1 once everything that verdicts need was listed")),
        scheduler_port_(SchedulerPort(options)),
        health_port_(options.health_port, {.stuck = {},
                                           .unready = [this] { return Unready(); },
                                           .metrics = [this] { return Metrics(); }}) {
    AddRoutes(
        scheduler_port_, service_,
        [this]() -> const VerdictLog& {
          verdicts_.Flush();
          return log_;
        },
        options.allowed_clients, registry_);
    for (const kube::AnyInformer* informer : cluster_.informers()) {
      denied_.emplace_back(
          informer, &registry_.MakeGauge("longshore_extender_list_denied",
                                         "1 while a kind of objects may not be listed",
                                         {{"resource", std::string(informer->resource().plural)}}));
    }
  }

  // Errors are of the configuration: ports, certificates, folders. An API server or a leader that
  // is away is waited for.
  Status Start() {
    if (recorder_ != nullptr) LS_RETURN_IF_ERROR(recorder_->Start());
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
    verdicts_.Flush();
    feed_.Stop();
    cluster_.Stop();
    health_port_.Stop();
  }

 private:
  std::string Unready() const { return cluster_.WhyUnsynced(); }
  std::string Metrics() {
    synced_.Set(cluster_.synced() ? 1 : 0);
    snapshot_age_.Set(std::chrono::duration<double>(cluster_.age()).count());
    for (const auto& [informer, gauge] : denied_) gauge->Set(informer->denial() ? 1 : 0);
    feed_.UpdateMetrics();
    return registry_.Text();
  }

  metrics::Registry registry_;
  LiveCluster cluster_;
  VerdictLog log_;
  PressureFeed feed_;
  VerdictQueue verdicts_;
  std::unique_ptr<Recorder> recorder_;
  Service service_;
  metrics::Gauge& snapshot_age_;
  metrics::Gauge& synced_;
  std::vector<std::pair<const kube::AnyInformer*, metrics::Gauge*>> denied_;
  http::Server scheduler_port_;
  daemon::HealthServer health_port_;
};

Status Run(const Options& options) {
  LS_ASSIGN_OR_RETURN(auto config, kube::LoadConfig(options.kubeconfig));
  LS_ASSIGN_OR_RETURN(const auto client,
                      kube::Client::Create(std::move(config), "longshore-extender"));
  Extender extender(options, *client);
  return daemon::Serve(extender);
}

}  // namespace
}  // namespace longshore::extender

int main(int argc, char** argv) {
  using namespace longshore;
  extender::Options options;
  const daemon::Parsed parsed = extender::ParseOptions(argc, argv, options);
  if (parsed == daemon::Parsed::kRun && options.command == extender::Command::kReplay) {
    return extender::RunReplay(options.replay, std::cout, std::cerr);
  }
  extender::TuneHeap();
  return daemon::Main("longshore-extender", parsed, [&] { return extender::Run(options); });
}
