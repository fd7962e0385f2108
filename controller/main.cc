// SPDX-License-Identifier: Apache-2.0
//
// longshore-controller: the resource administrator. See docs/controller.md. This file only wires
// the parts and decides the order in which they start and stop: caches first, then the streams
// (workers get time to come back), then decisions.
#include <memory>

#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/log.h"
#include "common/daemon/health_server.h"
#include "common/daemon/program.h"
#include "common/kube/config.h"
#include "controller/api/server.h"
#include "controller/controller_metrics.h"
#include "controller/kube_cluster.h"
#include "controller/live_state.h"
#include "controller/options.h"
#include "controller/triggers.h"

namespace longshore::controller {
namespace {

constexpr std::chrono::seconds kStuck{60};  // no progress for so long: not healthy

streams::ServerOptions StreamsPort(const Options& options) {
  streams::ServerOptions server;
  server.port = options.streams_port;
  server.certificate_file = options.tls_dir + "/tls.crt";
  server.key_file = options.tls_dir + "/tls.key";
  return server;
}

ApiOptions ApiPort(const Options& options, metrics::Registry& registry) {
  ApiOptions api;
  api.http.port = options.api_port;
  api.http.tls = http::ServerTls{options.tls_dir + "/tls.crt", options.tls_dir + "/tls.key", ""};
  api.audience = options.audience;
  api.metrics = &registry;
  return api;
}

class Controller {
 public:
  Controller(const Options& options, kube::Client& client, std::string ca_pem)
      : state_(client),
        recorder_(client, "longshore.dev/controller", "longshore-controller"),
        cluster_(client, state_, recorder_),
        usage_(Clock::Real()),
        live_(cluster_, usage_, pressure_, verdicts_, workers_, Clock::Real()),
        authenticator_([&client, audience = options.audience](const std::string& token) {
          return kube::ReviewToken(client, token, {audience});
        }),
        env_{cluster_,
             workers_,
             usage_,
             pressure_,
             verdicts_,
             events_,
             Clock::Real(),
             MakeSettings(options, std::move(ca_pem)),
             [this](const std::string& key, std::chrono::milliseconds delay) {
               delay.count() > 0 ? queue_.AddAfter(key, delay) : queue_.Add(key);
             },
             Clock::Real().Monotonic(),
             metrics_.MakeTally()},
        loop_(env_, queue_),
        watch_list_([this] { return ListAll<api::BackupSource>(state_.sources); },
                    [this] { return state_.placement.Snapshot(); }, Clock::Real()),
        hub_(StreamsPort(options), authenticator_,
             {usage_, pressure_, verdicts_, workers_,
              [this](const std::vector<std::string>& uids) { OnSampled(uids); }, index_,
              [this] { return watch_list_.Get(); }}),
        api_(client, state_, live_, events_, ApiPort(options, metrics_.registry())),
        health_(options.health_port, {.stuck = [this] { return Stuck(); },
                                      .unready = [this] { return Unready(); },
                                      .metrics = [this] { return Metrics(); }}) {
    ConnectTriggers(state_, index_, queue_);
    workers_.Connect(
        [this](uint64_t connection, std::string message) {
          hub_.Send(connection, std::move(message));
        },
        [this](const std::string& ns, const std::string& pod) { env_.Wake(kPodKey, ns, pod); });
  }

  // Errors are of the configuration: ports and certificates. An API server that is away is waited
  // for.
  Status Start() {
    LS_RETURN_IF_ERROR(health_.Start());
    LS_RETURN_IF_ERROR(hub_.Start());
    LS_RETURN_IF_ERROR(api_.Start());
    state_.Start();
    starter_ = std::jthread([this](const std::stop_token& stop) {
      while (!state_.WaitForSync(std::chrono::milliseconds(500))) {
        if (stop.stop_requested()) return;
      }
      env_.started = Clock::Real().Monotonic();
      synced_ = true;
      LogInfo("caches are filled");
      loop_.Start();
    });
    LogInfo("controller started", {{"api_port", api_.port()},
                                   {"streams_port", hub_.port()},
                                   {"health_port", health_.port()}});
    return {};
  }

  void Stop() {
    starter_.request_stop();
    if (starter_.joinable()) starter_.join();
    api_.Stop();
    loop_.Stop();
    hub_.Stop();
    authenticator_.Stop();
    state_.Stop();
    health_.Stop();
  }

 private:
  static Settings MakeSettings(const Options& options, std::string ca_pem) {
    Settings settings;
    settings.controller_endpoint = options.worker_endpoint;
    settings.ca_pem = std::move(ca_pem);
    return settings;
  }

  void OnSampled(const std::vector<std::string>& uids) {
    for (const std::string& uid : uids) {
      if (const auto pod = index_.Find(uid)) env_.Wake(kRequestKey, pod->ns, pod->request);
    }
  }

  std::string Stuck() const {
    return synced_ && loop_.SinceProgress() > kStuck ? "the reconcile loop is stuck" : "";
  }
  std::string Unready() const { return synced_ ? "" : "the cluster is not listed yet"; }
  std::string Metrics() {
    return metrics_.Text(loop_, hub_, queue_, usage_, state_.requests.staleness());
  }

  // In the order of construction: what is used comes before its users.
  ControllerMetrics metrics_;
  kube::WorkQueue queue_;
  PodIndex index_;
  ClusterState state_;
  kube::EventRecorder recorder_;
  KubeCluster cluster_;
  UsageStore usage_;
  PressureStore pressure_;
  VerdictStore verdicts_;
  WorkerTable workers_;
  EventLog events_;
  LiveState live_;
  StreamAuthenticator authenticator_;
  Environment env_;
  ReconcileLoop loop_;
  WatchList watch_list_;
  StreamHub hub_;
  ApiServer api_;
  daemon::HealthServer health_;
  std::atomic<bool> synced_{false};
  std::jthread starter_;
};

Status Run(const Options& options) {
  LS_ASSIGN_OR_RETURN(auto config, kube::LoadConfig(options.kubeconfig));
  LS_ASSIGN_OR_RETURN(auto ca_pem, ReadFile(options.ca_file));
  LS_ASSIGN_OR_RETURN(const auto client,
                      kube::Client::Create(std::move(config), "longshore-controller"));
  Controller controller(options, *client, std::move(ca_pem));
  return daemon::Serve(controller);
}

}  // namespace
}  // namespace longshore::controller

int main(int argc, char** argv) {
  using namespace longshore;
  controller::Options options;
  const daemon::Parsed parsed = controller::ParseOptions(argc, argv, options);
  return daemon::Main("longshore-controller", parsed, [&] { return controller::Run(options); });
}
