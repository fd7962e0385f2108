// SPDX-License-Identifier: Apache-2.0
#include "controller/stream_hub.h"

#include <google/protobuf/arena.h>

#include "common/base/log.h"
#include "common/messages/agent.pb.h"
#include "common/messages/placement.pb.h"
#include "common/messages/silence.h"
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
  messages::SilenceProtobuf();
  LS_RETURN_IF_ERROR(server_.Start());
  sender_ = std::jthread([this](const std::stop_token& stop) { SendEachSecond(stop); });
  return {};
}

void StreamHub::Stop() {
  sender_.request_stop();
  if (sender_.joinable()) sender_.join();
  server_.Stop();
}

StreamHub::Counts StreamHub::counts() const {
  const size_t known_workers = stores_.workers.known();
  MutexLock lock(mutex_);
  Counts counts = counts_;
  counts.known_workers = known_workers;
  for (const auto& [id, peer] : peers_) {
    if (peer->path == kAgentsPath) ++counts.agents;
    if (peer->path == kWorkersPath) ++counts.workers;
    if (peer->path == kPressurePath) ++counts.extenders;
  }
  return counts;
}

void StreamHub::Authenticate(const streams::Handshake& handshake, Decision done) {
  if (const std::string closed = stores_.closed(); !closed.empty())
    return done(Unavailable(closed));
  const std::string path = handshake.path, from = handshake.remote_address;
  if (handshake.bearer_token.empty()) {
    return done(Error{Code::kUnauthenticated, "a bearer token is needed"});
  }
  const auto decide = [this, path, from, done = std::move(done)](Result<kube::UserInfo> user) {
    Result<std::string> identity =
        user ? IdentityFor(path, *user) : Result<std::string>(user.error());
    if (identity && path == kWorkersPath) {
      if (Status admitted = Admit(*identity); !admitted) identity = admitted.error();
    }
    if (!identity) {
      const std::string error = identity.error().ToString();
      if (refusals_.Admit(path + ": " + error)) {
        LogWarn("stream refused", {{"path", path}, {"from", from}, {"error", error}});
      }
      MutexLock lock(mutex_);
      ++counts_.refused;
    }
    // What the cluster's API says when it cannot answer is not the peer's to know.
    if (!user && user.error().code == Code::kUnavailable) {
      identity = Unavailable("the token cannot be reviewed now; try again");
    }
    done(std::move(identity));
  };
  authenticator_.Authenticate(handshake.bearer_token, from, decide);
}

Status StreamHub::Admit(const std::string& identity) {
  LS_ASSIGN_OR_RETURN(const WorkerIdentity worker, ParseWorkerIdentity(identity));
  Status admitted = stores_.admit(worker);
  if (!admitted && admitted.error().code == Code::kPermissionDenied) {
    MutexLock lock(mutex_);
    ++counts_.foreign_workers;
  }
  return admitted;
}

void StreamHub::OnOpen(ConnectionId id, const std::string& path, const std::string& identity) {
  {
    MutexLock lock(mutex_);
    peers_[id] = std::make_shared<Peer>(Peer{.path = path, .identity = identity});
  }
  if (comings_.Admit("opened: " + path + " " + identity)) {
    LogInfo("stream opened", {{"path", path}, {"peer", identity}});
  }
  if (path == kWorkersPath) {
    const auto worker = ParseWorkerIdentity(identity);
    if (worker) stores_.workers.OnOpen(id, *worker);
  }
}

void StreamHub::OnMessage(ConnectionId id, std::string_view message) {
  PeerPtr peer;
  {
    MutexLock lock(mutex_);
    const auto found = peers_.find(id);
    if (found == peers_.end()) return;
    peer = found->second;
  }
  Status taken;
  if (peer->path == kAgentsPath) {
    taken = OnAgentMessage(id, *peer, message);
  } else if (peer->path == kWorkersPath) {
    taken = stores_.workers.OnMessage(id, message);
  } else {
    taken = OnPressureMessage(message);
  }
  if (taken) return;
  if (comings_.Admit("closed for its message: " + peer->path + " " + peer->identity)) {
    LogWarn("stream closed for its message",
            {{"path", peer->path}, {"peer", peer->identity}, {"error", taken.error().message}});
  }
  {
    MutexLock lock(mutex_);
    ++counts_.bad_messages;
  }
  server_.Close(id, taken.error().message);
}

void StreamHub::OnClose(ConnectionId id, const std::string& reason) {
  PeerPtr peer;
  std::vector<ConnectionId> replaced;
  {
    MutexLock lock(mutex_);
    const auto found = peers_.find(id);
    if (found == peers_.end()) return;
    peer = std::move(found->second);
    peers_.erase(found);
    replaced = RemoveAgent(id, peer->identity);
  }
  if (comings_.Admit("closed: " + peer->path + " " + peer->identity)) {
    LogInfo("stream closed", {{"path", peer->path}, {"peer", peer->identity}, {"reason", reason}});
  }
  if (peer->path == kWorkersPath) stores_.workers.OnClose(id);
  for (const ConnectionId other : replaced) server_.Close(other, "come again: the node is free");
}

// Whom that stream had replaced: they must connect anew to be heard, since what they said meanwhile
// was dropped.
std::vector<ConnectionId> StreamHub::RemoveAgent(ConnectionId id, const std::string& node) {
  const auto found = agents_.find(node);
  if (found == agents_.end() || found->second.erase(id) == 0) return {};
  std::vector<ConnectionId> replaced;
  if (!found->second.empty() && *found->second.rbegin() < id) {
    replaced.assign(found->second.begin(), found->second.end());
  }
  if (found->second.empty()) agents_.erase(found);
  return replaced;
}

Status StreamHub::OnAgentMessage(ConnectionId id, Peer& peer, std::string_view bytes) {
  // A report has hundreds of small parts, and all go together.
  google::protobuf::Arena arena;
  auto& message = *google::protobuf::Arena::CreateMessage<messages::AgentMessage>(&arena);
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return InvalidArgument("not an AgentMessage");
  }
  if (message.has_hello()) return OnHello(id, peer, message.hello());
  if (!message.has_usage()) return {};  // of a newer agent
  return OnUsage(peer, *message.mutable_usage());
}

Status StreamHub::OnHello(ConnectionId id, Peer& peer, const messages::AgentHello& hello) {
  if (hello.node() != peer.identity) {
    return InvalidArgument("the hello is for node " + hello.node());
  }
  if (hello.epoch().empty()) return InvalidArgument("hello.epoch is empty");
  size_t claims = 0;
  {
    MutexLock lock(mutex_);
    peer.agent = {peer.identity, hello.epoch(), id, UnknownSignals(hello)};
    auto& agents = agents_[peer.identity];
    agents.insert(id);
    claims = agents.size();
    for (const ConnectionId each : agents) {
      if (const auto found = peers_.find(each); found != peers_.end()) {
        found->second->superseded = each != *agents.rbegin();
      }
    }
  }
  // Mostly the agent itself, whose old stream is dead and not yet noticed.
  if (claims > 1 && comings_.Admit("several streams claim: " + peer.identity)) {
    LogWarn("several streams claim one node", {{"node", peer.identity}});
  }
  return {};
}

Status StreamHub::OnUsage(const Peer& peer, messages::UsageReport& report) {
  if (peer.agent.epoch.empty()) return InvalidArgument("usage before hello");
  if (peer.superseded) {
    MutexLock lock(mutex_);
    ++counts_.superseded;
    return {};
  }
  const uint64_t foreign = KeepOwn(report, peer.identity);
  stores_.pressure.Add(peer.agent, report);
  const auto sampled = stores_.usage.Add(peer.agent, report);
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

void StreamHub::SendEachSecond(const std::stop_token& stop) {
  Mutex wait_mutex;
  ConditionVariable wait;
  while (!stop.stop_requested()) {
    SendPressure();
    SendInstructions();
    stores_.workers.WakeSilent(stores_.offer_silence);
    TellRepeated();
    MutexLock lock(wait_mutex);
    wait.wait_for(wait_mutex, stop, std::chrono::seconds(1), [] { return false; });
  }
}

void StreamHub::TellRepeated() {
  for (const auto& [what, times] : refusals_.TakeDue()) {
    LogWarn("streams refused again", {{"what", what.empty() ? "various" : what}, {"times", times}});
  }
  for (const auto& [what, times] : comings_.TakeDue()) {
    LogWarn("a peer comes and goes", {{"what", what.empty() ? "various" : what}, {"times", times}});
  }
}

// Every extender gets what the agents said last.
void StreamHub::SendPressure() {
  std::vector<ConnectionId> extenders;
  {
    MutexLock lock(mutex_);
    for (const auto& [id, peer] : peers_) {
      if (peer->path == kPressurePath) extenders.push_back(id);
    }
  }
  if (extenders.empty()) return;
  const std::string bytes = stores_.pressure.Snapshot().SerializeAsString();
  for (const ConnectionId id : extenders) server_.Send(id, bytes);
}

// Every agent is told whom to watch, once, and again when that has changed.
void StreamHub::SendInstructions() {
  const auto watched = stores_.watched ? stores_.watched() : nullptr;
  if (watched == nullptr) return;
  static const std::vector<std::string> nobody;
  std::vector<std::pair<ConnectionId, std::vector<std::string>>> changed;
  {
    MutexLock lock(mutex_);
    for (auto& [id, peer] : peers_) {
      if (peer->path != kAgentsPath || peer->agent.epoch.empty()) continue;
      const auto found = watched->find(peer->identity);
      const std::vector<std::string>& uids = found == watched->end() ? nobody : found->second;
      if (peer->told_watched == uids) continue;
      peer->told_watched = uids;
      changed.emplace_back(id, uids);
    }
  }
  for (const auto& [id, uids] : changed) {
    messages::AgentInstruction instruction;
    instruction.mutable_watched_pod_uids()->Add(uids.begin(), uids.end());
    server_.Send(id, instruction.SerializeAsString());
  }
}

}  // namespace longshore::controller
