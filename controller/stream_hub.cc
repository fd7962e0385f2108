// SPDX-License-Identifier: Apache-2.0
#include "controller/stream_hub.h"

#include "common/base/log.h"
#include "common/messages/agent.pb.h"
#include "common/messages/placement.pb.h"
#include "controller/stream_identity.h"

namespace longshore::controller {

using streams::ConnectionId;

StreamHub::StreamHub(streams::ServerOptions options, StreamAuthenticator& authenticator,
                     HubStores stores)
    : authenticator_(authenticator),
      stores_(std::move(stores)),
      server_(std::move(options), *this) {}

StreamHub::~StreamHub() { Stop(); }

Status StreamHub::Start() {
  LS_RETURN_IF_ERROR(server_.Start());
  pressure_thread_ = std::jthread([this](const std::stop_token& stop) { SendPressure(stop); });
  return {};
}

void StreamHub::Stop() {
  pressure_thread_.request_stop();
  if (pressure_thread_.joinable()) pressure_thread_.join();
  server_.Stop();
}

StreamHub::Counts StreamHub::counts() const {
  MutexLock lock(mutex_);
  Counts counts = counts_;
  for (const auto& [id, peer] : peers_) {
    if (peer.path == kAgentsPath) ++counts.agents;
    if (peer.path == kWorkersPath) ++counts.workers;
    if (peer.path == kPressurePath) ++counts.extenders;
  }
  return counts;
}

void StreamHub::Authenticate(const streams::Handshake& handshake, Decision done) {
  const std::string path = handshake.path, from = handshake.remote_address;
  if (handshake.bearer_token.empty()) {
    return done(Error{Code::kUnauthenticated, "a bearer token is needed"});
  }
  authenticator_.Authenticate(handshake.bearer_token, [this, path, from, done = std::move(done)](
                                                          Result<kube::UserInfo> user) {
    Result<std::string> identity =
        user ? IdentityFor(path, *user) : Result<std::string>(user.error());
    if (!identity) {
      LogWarn("stream refused",
              {{"path", path}, {"from", from}, {"error", identity.error().ToString()}});
      MutexLock lock(mutex_);
      ++counts_.refused;
    }
    done(std::move(identity));
  });
}

void StreamHub::OnOpen(ConnectionId id, const std::string& path, const std::string& identity) {
  {
    MutexLock lock(mutex_);
    peers_[id] = Peer{path, identity, ""};
  }
  LogInfo("stream opened", {{"path", path}, {"peer", identity}});
  if (path == kWorkersPath) {
    const auto worker = ParseWorkerIdentity(identity);
    if (worker) stores_.workers.OnOpen(id, *worker);
  }
}

void StreamHub::OnMessage(ConnectionId id, std::string_view message) {
  Peer peer;
  {
    MutexLock lock(mutex_);
    const auto found = peers_.find(id);
    if (found == peers_.end()) return;
    peer = found->second;
  }
  Status taken;
  if (peer.path == kAgentsPath) {
    const std::string epoch = peer.epoch;
    taken = OnAgentMessage(peer, message);
    if (taken && peer.epoch != epoch) {
      MutexLock lock(mutex_);
      peers_[id].epoch = peer.epoch;
    }
  } else if (peer.path == kWorkersPath) {
    taken = stores_.workers.OnMessage(id, message);
  } else {
    taken = OnPressureMessage(message);
  }
  if (taken) return;
  LogWarn("stream closed for its message",
          {{"path", peer.path}, {"peer", peer.identity}, {"error", taken.error().message}});
  {
    MutexLock lock(mutex_);
    ++counts_.bad_messages;
  }
  server_.Close(id, taken.error().message);
}

void StreamHub::OnClose(ConnectionId id, const std::string& reason) {
  Peer peer;
  {
    MutexLock lock(mutex_);
    const auto found = peers_.find(id);
    if (found == peers_.end()) return;
    peer = std::move(found->second);
    peers_.erase(found);
  }
  LogInfo("stream closed", {{"path", peer.path}, {"peer", peer.identity}, {"reason", reason}});
  if (peer.path == kWorkersPath) stores_.workers.OnClose(id);
}

Status StreamHub::OnAgentMessage(Peer& peer, std::string_view bytes) {
  messages::AgentMessage message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return InvalidArgument("not an AgentMessage");
  }
  if (message.has_hello()) {
    if (message.hello().node() != peer.identity) {
      return InvalidArgument("the hello is for node " + message.hello().node());
    }
    if (message.hello().epoch().empty()) return InvalidArgument("hello.epoch is empty");
    peer.epoch = message.hello().epoch();
    return {};
  }
  if (!message.has_usage()) return {};  // of a newer agent
  if (peer.epoch.empty()) return InvalidArgument("usage before hello");
  messages::UsageReport& report = *message.mutable_usage();
  const uint64_t foreign = KeepOwn(report, peer.identity);
  stores_.pressure.Add(peer.identity, peer.epoch, report);
  const auto sampled = stores_.usage.Add(peer.identity, peer.epoch, report);
  {
    MutexLock lock(mutex_);
    ++counts_.reports;
    counts_.foreign_samples += foreign;
  }
  if (stores_.sampled && !sampled.empty()) stores_.sampled(sampled);
  return {};
}

// Drops the pods that are not ours, and ours that run elsewhere; returns how many of the latter.
uint64_t StreamHub::KeepOwn(messages::UsageReport& report, const std::string& node) const {
  uint64_t foreign = 0;
  auto& pods = *report.mutable_pods();
  for (int i = pods.size() - 1; i >= 0; --i) {
    const auto known = stores_.index.Find(pods[i].pod_uid());
    if (known && known->node == node) continue;
    if (known) ++foreign;
    pods.SwapElements(i, pods.size() - 1);
    pods.RemoveLast();
  }
  return foreign;
}

Status StreamHub::OnPressureMessage(std::string_view bytes) {
  messages::PlacementVerdict verdict;
  if (!verdict.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return InvalidArgument("not a PlacementVerdict");
  }
  stores_.verdicts.Add(verdict);
  return {};
}

// Every extender gets what the agents said last, once a second.
void StreamHub::SendPressure(const std::stop_token& stop) {
  Mutex wait_mutex;
  ConditionVariable wait;
  while (!stop.stop_requested()) {
    std::vector<ConnectionId> extenders;
    {
      MutexLock lock(mutex_);
      for (const auto& [id, peer] : peers_) {
        if (peer.path == kPressurePath) extenders.push_back(id);
      }
    }
    if (!extenders.empty()) {
      const std::string bytes = stores_.pressure.Snapshot().SerializeAsString();
      for (const ConnectionId id : extenders) server_.Send(id, bytes);
    }
    MutexLock lock(wait_mutex);
    wait.wait_for(wait_mutex, stop, std::chrono::seconds(1), [] { return false; });
  }
}

}  // namespace longshore::controller
