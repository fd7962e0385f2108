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
#include "controller/leadership.h"
#include "controller/live_state.h"
#include "controller/options.h"
#include "controller/scrape_metrics.h"
#include "controller/stream_identity.h"
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

ApiOptions ApiPort(const Options& options, metrics::Registry& registry,
                   std::function<Status()> ready) {
  ApiOptions api;
  api.http.port = options.api_port;
  api.http.tls = http::ServerTls{options.tls_dir + "/tls.crt", options.tls_dir + "/tls.key", ""};
  api.audience = options.audience;
  api.ready = std::move(ready);
  api.metrics = &registry;
  return api;
}

class Controller {
 public:
  Controller(const Options& options, kube::Client& client, const std::string& ca_pem)
      : state_(client),
        scrape_metrics_(registry_, CacheAges(state_)),
        recorder_(client, "longshore.dev/controller", "longshore-controller"),
        leadership_(client, {.lease = options.lease, .pod = options.pod},
                    {.began = [this](int64_t epoch) { Begin(epoch); }, .replaced = &End}),
        cluster_(
            client, state_, recorder_, [this] { return leadership_.leading(); },
            [this, elected = !options.lease.empty()] {
              return elected ? std::optional(leadership_.epoch()) : std::nullopt;
            }),
        usage_(Clock::Real()),
        gate_(Clock::Real()),
        live_(cluster_, usage_, pressure_, verdicts_, workers_, scaling_, gate_, Clock::Real()),
        tokens_(
            [&client, audience = options.audience](const std::string& token) {
              return kube::ReviewToken(client, token, {audience});
            },
            TokenLimits{}, Clock::Real(), &registry_, "streams"),
        authenticator_(tokens_),
        env_{cluster_,
             workers_,
             usage_,
             pressure_,
             verdicts_,
             scaling_,
             gate_,
             events_,
             Clock::Real(),
             MakeSettings(options, ca_pem),
             [this](const std::string& key, std::chrono::milliseconds delay) {
               delay.count() > 0 ? queue_.AddAfter(key, delay) : queue_.Add(key);
             },
             Clock::Real().Monotonic(),
             metrics_.MakeTally(),
             [this] { return leadership_.leading(); }},
        loop_(env_, queue_),
        watch_list_([this] { return ReadAll<api::BackupSource>(state_.sources.List()); },
                    [this] { return state_.placement.Snapshot(); }, Clock::Real()),
        hub_(StreamsPort(options), authenticator_,
             {usage_, pressure_, verdicts_, workers_,
              [this](const std::vector<PodSample>& samples) { OnSampled(samples); }, index_,
              [this](const WorkerIdentity& worker) {
                return AdmitWorker(worker, state_.backup_pods.Get(worker.ns, worker.pod), synced_);
              },
              [this] { return watch_list_.Get(); }, [this] { return Closed(); },
              env_.settings.offer_silence}),
        api_(client, state_, live_, events_,
             ApiPort(options, registry_,
                     [this] {
                       const std::string closed = Closed();
                       return closed.empty() ? Status() : Status(Unavailable(closed));
                     })),
        health_(options.health_port, {.stuck = [this] { return Stuck(); },
                                      .unready = [this] { return Unready(); },
                                      .metrics = [this] { return Metrics(); }}) {
    ConnectTriggers(state_, index_, queue_);
    workers_.Connect(
        [this](uint64_t connection, std::string message) {
          if (leadership_.leading()) hub_.Send(connection, std::move(message));
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
      synced_ = true;
      LogInfo("caches are filled");
      // Who has read the cluster can take over at once: only such a replica is a candidate.
      if (const Status started = leadership_.Start(); !started) {
        LogError("no candidate for leading", {{"error", started.error().ToString()}});
        std::_Exit(2);
      }
    });
    LogInfo("controller started", {{"api_port", api_.port()},
                                   {"streams_port", hub_.port()},
                                   {"health_port", health_.port()}});
    return {};
  }

  void Stop() {
    starter_.request_stop();
    if (starter_.joinable()) starter_.join();
    loop_.Stop();
    leadership_.Stop();
    api_.Stop();
    hub_.Stop();
    authenticator_.Stop();
    state_.Stop();
    health_.Stop();
  }

 private:
  static Settings MakeSettings(const Options& options, const std::string& ca_pem) {
    Settings settings;
    settings.controller_endpoint = options.worker_endpoint;
    settings.pod_burst = options.pod_burst;
    settings.ca_pem = [file = options.ca_file, last = ca_pem]() mutable {
      auto read = ReadFile(file);
      if (read && !read->empty()) last = *std::move(read);
      return last;
    };
    return settings;
  }

  // On a thread of the leadership.
  void Begin(int64_t epoch) {
    env_.started = Clock::Real().Monotonic();
    events_.BeginTerm(epoch);
    led_ = true;
    loop_.Start();
  }

  // Another has led: what this process holds in memory is of the past, and a new one is soon there.
  static void End() {
    LogError("another replica leads: this one ends and starts anew");
    std::_Exit(1);
  }

  std::string Closed() const {
    if (!synced_) return "starting: the cluster is being read";
    return led_ ? "" : "this replica does not lead; the Service names the one that does";
  }

  void OnSampled(const std::vector<PodSample>& samples) {
    for (const PodSample& one : samples) {
      const auto pod = index_.Find(one.pod_uid);
      if (!pod) continue;
      const auto due = gate_.Admit(pod->request_uid, one.sample);
      if (due) env_.Wake(kRequestKey, pod->ns, pod->request, *due);
    }
  }

  std::string Stuck() const {
    return led_ && loop_.SinceProgress() > kStuck ? "the reconcile loop is stuck" : "";
  }
  std::string Unready() const { return synced_ ? "" : "the cluster is not listed yet"; }
  std::string Metrics() {
    scrape_metrics_.Set(
        {.leading = leadership_.leading(),
         .leader_epoch = leadership_.epoch(),
         .census = TakeCensus(state_.requests.List(), state_.backup_pods.List(),
                              state_.operations.List(), Clock::Real().Now()),
         .nodes = state_.placement.Snapshot()->Table().size(),
         .usage_pods = usage_.pods(),
         .streams = hub_.counts(),
         .reconciles = loop_.counts(),
         // A replica that never led only gathers keys: none of them is late.
         .queue = led_ ? queue_.depth() : kube::WorkQueue::Depth{.keys = queue_.size()},
         .caches = CacheAges(state_),
         .announcements = events_.appended()});
    return registry_.Text();
  }

  // In the order of construction: what is used comes before its users.
  metrics::Registry registry_;
  ControllerMetrics metrics_{registry_};
  kube::WorkQueue queue_;
  PodIndex index_;
  ClusterState state_;
  ScrapeMetrics scrape_metrics_;
  kube::EventRecorder recorder_;
  Leadership leadership_;
  KubeCluster cluster_;
  UsageStore usage_;
  PressureStore pressure_;
  VerdictStore verdicts_;
  ScalingBoard scaling_;
  SampleGate gate_;
  WorkerTable workers_;
  EventLog events_;
  LiveState live_;
  TokenReviewer tokens_;
  StreamAuthenticator authenticator_;
  Environment env_;
  ReconcileLoop loop_;
  WatchList watch_list_;
  StreamHub hub_;
  ApiServer api_;
  daemon::HealthServer health_;
  std::atomic<bool> synced_{false}, led_{false};
  std::jthread starter_;
};

Status Run(const Options& options) {
  LS_ASSIGN_OR_RETURN(auto config, kube::LoadConfig(options.kubeconfig));
  LS_ASSIGN_OR_RETURN(const std::string ca_pem, ReadFile(options.ca_file));
  LS_ASSIGN_OR_RETURN(const auto client,
                      kube::Client::Create(std::move(config), "longshore-controller"));
  Controller controller(options, *client, ca_pem);
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
