// SPDX-License-Identifier: Apache-2.0
//
// The controller's end of all streams: node agents, workers and extenders on one server. Puts what
// they say into the stores and wakes the reconcilers; decides nothing. Constructed by main.cc.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "common/base/log_limit.h"
#include "common/base/mutex.h"
#include "common/messages/agent.pb.h"
#include "common/streams/server.h"
#include "controller/pod_index.h"
#include "controller/pressure_store.h"
#include "controller/stream_authenticator.h"
#include "controller/usage_store.h"
#include "controller/verdict_store.h"
#include "controller/watch_list.h"
#include "controller/worker_table.h"

namespace longshore::controller {

struct HubStores {
  UsageStore& usage;
  PressureStore& pressure;
  VerdictStore& verdicts;
  WorkerTable& workers;
  // Pods that have a new sample: their requests may have to be looked at.
  std::function<void(const std::vector<PodSample>& samples)> sampled;
  // Only samples of our own pods are kept, and an agent may speak for its own node's only.
  const PodIndex& index;
  // Whether a worker may speak: its error refuses the stream. Called on any thread.
  std::function<Status(const WorkerIdentity&)> admit;
  // The pods that each node's agent is to watch; called once a second, on one thread. Optional.
  std::function<std::shared_ptr<const WatchedPods>()> watched = {};
  // Why this replica takes no streams now; empty: it does. Called on any thread.
  std::function<std::string()> closed = [] { return std::string(); };
  // A worker that has been silent for so long is looked at (Settings::offer_silence).
  std::chrono::milliseconds offer_silence{5000};
};

class StreamHub : public streams::ServerHandler {
 public:
  StreamHub(streams::ServerOptions options, StreamAuthenticator& authenticator, HubStores stores);
  ~StreamHub() override;  // stops

  Status Start();
  void Stop();  // idempotent
  int port() const { return server_.port(); }
  // Queues a message on a worker's stream.
  void Send(streams::ConnectionId id, std::string message) { server_.Send(id, std::move(message)); }

  struct Counts {
    size_t agents = 0, workers = 0, extenders = 0;
    size_t known_workers = 0;  // connected or not
    uint64_t reports = 0, refused = 0, bad_messages = 0, foreign_samples = 0;
    uint64_t superseded = 0;       // reports of an agent whose node a later stream claims
    uint64_t foreign_workers = 0;  // streams refused: of pods that are no backup pods
  };
  Counts counts() const;

  void Authenticate(const streams::Handshake& handshake, Decision done) override;
  void OnOpen(streams::ConnectionId id, const std::string& path,
              const std::string& identity) override;
  void OnMessage(streams::ConnectionId id, std::string_view message) override;
  void OnClose(streams::ConnectionId id, const std::string& reason) override;

 private:
  struct Peer {
    const std::string path, identity;
    // Of agents; written under mutex_ on the server's thread, which alone reads it without.
    AgentStream agent;                                     // by the hello; without an epoch before
    bool superseded = false;                               // a later stream speaks for the node
    std::optional<std::vector<std::string>> told_watched;  // empty: nothing was said yet
  };
  using PeerPtr = std::shared_ptr<Peer>;
  Status OnAgentMessage(streams::ConnectionId id, Peer& peer, std::string_view bytes);
  Status OnHello(streams::ConnectionId id, Peer& peer, const messages::AgentHello& hello);
  Status OnUsage(const Peer& peer, messages::UsageReport& report);
  std::vector<streams::ConnectionId> RemoveAgent(streams::ConnectionId id, const std::string& node)
      LS_REQUIRES(mutex_);
  uint64_t KeepOwn(messages::UsageReport& report, const std::string& node) const;
  Status OnPressureMessage(std::string_view bytes);
  void SendEachSecond(const std::stop_token& stop);
  // The worker's right to speak; counts a refusal.
  Status Admit(const std::string& identity);
  void SendPressure();
  void SendInstructions();
  void TellRepeated();

  StreamAuthenticator& authenticator_;
  HubStores stores_;
  LogLimit refusals_;
  // Of each peer that was let in: each may connect and leave as often as it likes.
  LogLimit comings_{Clock::Real(), std::chrono::seconds(10), 65536};
  mutable Mutex mutex_;
  std::unordered_map<streams::ConnectionId, PeerPtr> peers_ LS_GUARDED_BY(mutex_);
  // Agents that have said hello, by node. Of several, the last to connect speaks for the node.
  std::map<std::string, std::set<streams::ConnectionId>> agents_ LS_GUARDED_BY(mutex_);
  Counts counts_ LS_GUARDED_BY(mutex_);
  streams::Server server_;
  std::jthread sender_;
};

}  // namespace longshore::controller
