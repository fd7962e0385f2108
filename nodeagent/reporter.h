// SPDX-License-Identifier: Apache-2.0
//
// Brings reports to the leader: says hello on each new stream, then sends the newest report. A
// report that could not be sent is replaced by the next one, which holds all of it (counters are
// cumulative) except the last records of pods that have ended: those are kept and sent along.
// Called by main.cc.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/messages/agent.pb.h"
#include "common/streams/client.h"

namespace longshore::nodeagent {

class Reporter final : public streams::ClientHandler {
 public:
  struct Counts {
    uint64_t sent = 0;
    uint64_t replaced = 0;  // reports that a newer one made superfluous
    uint64_t finals_dropped =
        0;  // last records of pods beyond what is kept while the leader is away
    uint64_t connections = 0;
    bool connected = false;
  };

  Reporter(streams::ClientOptions options, messages::AgentHello hello);
  ~Reporter() override;
  Status Start();
  void Stop();  // idempotent

  // Sends the report, or keeps what must not be lost of it. Called by one thread.
  void Offer(messages::UsageReport report);
  Counts counts() const;

 private:
  void OnOpen() override;
  void OnMessage(std::string_view message) override;
  void OnClose(const std::string& reason) override;
  void KeepFinals(const messages::UsageReport& report) LS_REQUIRES(mutex_);

  const messages::AgentHello hello_;
  mutable Mutex mutex_;  // never held while calling the client
  bool greeted_ LS_GUARDED_BY(mutex_) = false;
  bool said_unreachable_ LS_GUARDED_BY(mutex_) = false;
  std::deque<messages::PodCounters> finals_ LS_GUARDED_BY(mutex_);
  Counts counts_ LS_GUARDED_BY(mutex_);
  streams::Client client_;
};

}  // namespace longshore::nodeagent
