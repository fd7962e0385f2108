// SPDX-License-Identifier: Apache-2.0
#include "controller/worker_table.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace longshore::controller {
namespace {

void TakeHello(WorkerFacts& facts, const messages::WorkerHello& hello) {
  facts.hello = true;
  facts.kind = hello.kind();
  facts.version = hello.version();
  // Not a maximum: a restarted container has seen nothing, and that is what we must know.
  facts.last_epoch = hello.last_epoch();
  facts.running_epoch = hello.running_epoch();
  facts.running_operation = hello.running_operation();
  facts.gate_closed = hello.gate_closed();
}

// The rate and the time left change while nothing moves.
bool Moved(const messages::Progress& from, const messages::Progress& to) {
  return from.epoch() != to.epoch() || from.phase() != to.phase() ||
         from.bytes_done() != to.bytes_done() || from.items_done() != to.items_done();
}

// A second, for progress of all workers together.
constexpr double kProgressVisits = 500;

std::string NameOf(const WorkerIdentity& identity) { return identity.ns + "/" + identity.pod; }

}  // namespace

WorkerTable::WorkerTable(const Clock& clock) : clock_(clock) {}

void WorkerTable::Connect(Transport transport, Wake wake) {
  transport_ = std::move(transport);
  wake_ = std::move(wake);
}

void WorkerTable::OnOpen(uint64_t connection, const WorkerIdentity& identity) {
  {
    MutexLock lock(mutex_);
    std::string& latest = latest_uid_[NameOf(identity)];
    const auto last = by_uid_.find(latest);
    // Connections are numbered as they are made, and admitted as the cluster answers who they are.
    const bool overtaken = last != by_uid_.end() && last->second.connection > connection;
    if (overtaken && latest == identity.uid) return;
    if (!overtaken) {
      const std::string before = std::exchange(latest, identity.uid);
      if (before != identity.uid && last != by_uid_.end() && !last->second.connected) Erase(before);
    }
    WorkerFacts& facts = by_uid_[identity.uid];
    if (facts.connected) uid_by_connection_.erase(facts.connection);
    WorkerFacts fresh;
    fresh.standing = std::move(facts.standing);
    fresh.moved = facts.moved;
    facts = std::move(fresh);
    facts.identity = identity;
    facts.connected = true;
    facts.connection = connection;
    facts.heard = facts.changed = clock_.Monotonic();
    uid_by_connection_[connection] = identity.uid;
  }
  wake_(identity.ns, identity.pod);
}

// Progress that has only gone on is for the eye: with thousands of busy workers, pods are looked at
// for it in turns. Every few seconds they are anyway.
bool WorkerTable::TakeProgress(WorkerFacts& facts, const messages::Progress& progress) {
  const MonotonicTime now = clock_.Monotonic();
  const bool other = !facts.progress || facts.progress->epoch() != progress.epoch() ||
                     facts.progress->phase() != progress.phase();
  facts.progress = progress;
  if (Moved(facts.standing, progress)) {
    facts.standing = progress;
    facts.moved = now;
  }
  facts.progress_time = clock_.Now();
  facts.running_epoch = progress.epoch();
  facts.last_epoch = std::max(facts.last_epoch, facts.running_epoch);
  const double since = std::chrono::duration<double>(now - counted_).count();
  progress_visits_ = std::min(kProgressVisits, progress_visits_ + since * kProgressVisits);
  counted_ = now;
  if (other) return true;
  if (progress_visits_ < 1) return false;
  progress_visits_ -= 1;
  return true;
}

bool WorkerTable::Take(WorkerFacts& facts, const messages::WorkerMessage& message) {
  switch (message.kind_case()) {
    case messages::WorkerMessage::kHello:
      TakeHello(facts, message.hello());
      break;
    case messages::WorkerMessage::kAssignReply:
      facts.reply = message.assign_reply();
      if (facts.reply->accepted()) {
        facts.last_epoch = std::max(facts.last_epoch, facts.reply->epoch());
        facts.running_epoch = facts.reply->epoch();
        facts.progress.reset();
      }
      break;
    case messages::WorkerMessage::kProgress:
      return TakeProgress(facts, message.progress());
    case messages::WorkerMessage::kResult:
      facts.result = message.result();
      facts.last_epoch = std::max(facts.last_epoch, facts.result->epoch());
      facts.running_epoch = 0;
      break;
    case messages::WorkerMessage::kRetireReply:
      facts.gate_closed = message.retire_reply().accepted();
      facts.retire_refused = !facts.gate_closed;
      break;
    case messages::WorkerMessage::kIdle:
      return false;
    case messages::WorkerMessage::KIND_NOT_SET:
      break;
  }
  return true;
}

Status WorkerTable::OnMessage(uint64_t connection, std::string_view bytes) {
  messages::WorkerMessage message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return InvalidArgument("not a WorkerMessage");
  }
  std::string ns, pod;
  bool news = false;
  {
    MutexLock lock(mutex_);
    const auto uid = uid_by_connection_.find(connection);
    if (uid == uid_by_connection_.end()) return {};
    WorkerFacts& facts = by_uid_[uid->second];
    facts.heard = clock_.Monotonic();
    news = Take(facts, message);
    if (std::exchange(facts.silent, false)) news = true;
    ns = facts.identity.ns;
    pod = facts.identity.pod;
  }
  if (news) wake_(ns, pod);
  return {};
}

void WorkerTable::WakeSilent(std::chrono::nanoseconds silence) {
  const MonotonicTime now = clock_.Monotonic();
  std::vector<WorkerIdentity> silent;
  {
    MutexLock lock(mutex_);
    for (auto& [uid, facts] : by_uid_) {
      if (!facts.connected || facts.silent || now - facts.heard <= silence) continue;
      facts.silent = true;
      silent.push_back(facts.identity);
    }
  }
  for (const WorkerIdentity& one : silent) wake_(one.ns, one.pod);
}

void WorkerTable::OnClose(uint64_t connection) {
  std::string ns, pod;
  {
    MutexLock lock(mutex_);
    const auto uid = uid_by_connection_.find(connection);
    if (uid == uid_by_connection_.end()) return;
    WorkerFacts& facts = by_uid_[uid->second];
    facts.connected = false;
    facts.changed = clock_.Monotonic();
    ns = facts.identity.ns;
    pod = facts.identity.pod;
    const auto latest = latest_uid_.find(NameOf(facts.identity));
    if (latest == latest_uid_.end() || latest->second != uid->second) Erase(uid->second);
    uid_by_connection_.erase(uid);
  }
  wake_(ns, pod);
}

std::optional<WorkerFacts> WorkerTable::Facts(const std::string& pod_uid) const {
  MutexLock lock(mutex_);
  const auto found = by_uid_.find(pod_uid);
  if (found == by_uid_.end()) return std::nullopt;
  return found->second;
}

bool WorkerTable::Send(const std::string& pod_uid, const messages::ControllerMessage& message) {
  uint64_t connection = 0;
  {
    MutexLock lock(mutex_);
    const auto found = by_uid_.find(pod_uid);
    if (found == by_uid_.end() || !found->second.connected) return false;
    WorkerFacts& facts = found->second;
    connection = facts.connection;
    if (message.has_assign()) facts.assign_sent = message.assign().epoch();
    if (message.has_cancel()) facts.cancel_sent = message.cancel().epoch();
    if (message.has_stop()) facts.stop_sent = true;
    if (message.has_retire()) facts.retire_sent = clock_.Monotonic();
    if (message.has_released()) {
      facts.released_sent = message.released().epoch();
      if (facts.result && facts.result->epoch() == facts.released_sent) facts.result.reset();
    }
  }
  transport_(connection, message.SerializeAsString());
  return true;
}

void WorkerTable::Forget(const std::string& pod_uid) {
  MutexLock lock(mutex_);
  const auto found = by_uid_.find(pod_uid);
  if (found != by_uid_.end() && !found->second.connected) Erase(pod_uid);
}

void WorkerTable::ForgetPod(const std::string& ns, const std::string& pod) {
  MutexLock lock(mutex_);
  const auto latest = latest_uid_.find(NameOf({ns, pod, ""}));
  if (latest == latest_uid_.end()) return;
  const auto found = by_uid_.find(latest->second);
  if (found != by_uid_.end() && !found->second.connected) Erase(std::string(latest->second));
}

void WorkerTable::Erase(const std::string& pod_uid) {
  const auto found = by_uid_.find(pod_uid);
  if (found == by_uid_.end()) return;
  const auto latest = latest_uid_.find(NameOf(found->second.identity));
  if (latest != latest_uid_.end() && latest->second == pod_uid) latest_uid_.erase(latest);
  by_uid_.erase(found);
}

size_t WorkerTable::known() const {
  MutexLock lock(mutex_);
  return by_uid_.size();
}

size_t WorkerTable::connected() const {
  MutexLock lock(mutex_);
  return uid_by_connection_.size();
}

}  // namespace longshore::controller
