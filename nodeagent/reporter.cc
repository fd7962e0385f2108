// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/reporter.h"

#include <utility>

#include "common/base/log.h"

namespace longshore::nodeagent {
namespace {

// 110 pods a node is usual, 250 the most that is recommended: some generations of all of them.
constexpr size_t kMaxFinals = 4096;

}  // namespace

Reporter::Reporter(streams::ClientOptions options, messages::AgentHello hello)
    : hello_(std::move(hello)), client_(std::move(options), *this) {}

Reporter::~Reporter() { Stop(); }

Status Reporter::Start() { return client_.Start(); }

void Reporter::Stop() {
  {
    MutexLock lock(mutex_);
    said_unreachable_ = true;  // our own end is no news
  }
  client_.Stop();
}

void Reporter::OnOpen() {
  messages::AgentMessage message;
  *message.mutable_hello() = hello_;
  // A failure here means that the stream has just closed again: the next one says hello.
  if (!client_.Send(message.SerializeAsString()).has_value()) return;
  {
    MutexLock lock(mutex_);
    greeted_ = true;
    said_unreachable_ = false;
    ++counts_.connections;
  }
  LogInfo("connected to the controller");
}

void Reporter::OnMessage(std::string_view) {}  // the leader has nothing to say to an agent

void Reporter::OnClose(const std::string& reason) {
  bool first = false;
  {
    MutexLock lock(mutex_);
    first = !std::exchange(said_unreachable_, true);
    greeted_ = false;
  }
  // Once until it is back: attempts follow each other every few seconds.
  if (first) LogWarn("no connection to the controller", {{"reason", reason}});
}

void Reporter::KeepFinals(const messages::UsageReport& report) {
  for (const messages::PodCounters& pod : report.pods()) {
    if (!pod.final()) continue;
    if (finals_.size() == kMaxFinals) {
      finals_.pop_front();
      ++counts_.finals_dropped;
    }
    finals_.push_back(pod);
  }
}

void Reporter::Offer(messages::UsageReport report) {
  messages::AgentMessage message;
  {
    MutexLock lock(mutex_);
    KeepFinals(report);
    if (!greeted_) {
      ++counts_.replaced;
      return;
    }
    *message.mutable_usage() = std::move(report);
    auto* pods = message.mutable_usage()->mutable_pods();
    for (int i = pods->size() - 1; i >= 0; --i) {  // those of this report are among finals_ now
      if (pods->Get(i).final()) pods->DeleteSubrange(i, 1);
    }
    for (const messages::PodCounters& pod : finals_) *pods->Add() = pod;
  }
  const bool sent = client_.Send(message.SerializeAsString()).has_value();
  MutexLock lock(mutex_);
  if (!sent) {
    ++counts_.replaced;
    return;
  }
  ++counts_.sent;
  finals_.clear();  // only this thread adds to them
}

Reporter::Counts Reporter::counts() const {
  MutexLock lock(mutex_);
  Counts counts = counts_;
  counts.connected = greeted_;
  return counts;
}

}  // namespace longshore::nodeagent
