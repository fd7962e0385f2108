// SPDX-License-Identifier: Apache-2.0
//
// Brings samples to the leader: says hello on each new stream, and again when that has changed;
// then what changed since the sample that was last sent on it; all of it first and every 10 s. A
// sample that could not be sent is replaced by the next one, which holds all of it (counters are
// cumulative) except the last records of pods that have ended: those are kept and sent along, as
// many as fit into a message, again on the next stream if this one may have lost them. Hands the
// leader's instructions on. Called by daemon.cc.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/messages/agent.pb.h"
#include "common/streams/client.h"
#include "nodeagent/sample.h"

namespace longshore::nodeagent {

inline constexpr std::chrono::seconds kCompleteInterval{10};

class Reporter final : public streams::ClientHandler {
 public:
  struct Counts {
    uint64_t sent = 0;
    uint64_t replaced = 0;        // samples that a newer one made superfluous
    uint64_t finals_dropped = 0;  // last records of pods, beyond what is kept
    uint64_t connections = 0;
    uint64_t bad_instructions = 0;
    bool connected = false;
  };
  // Gets the pods to watch, on the stream's thread; must not block.
  using Watch = std::function<void(std::vector<std::string> pod_uids)>;

  Reporter(streams::ClientOptions options, messages::AgentHello hello, Watch watch = {});
  ~Reporter() override;
  Status Start();
  void Stop();  // idempotent

  // What is said in the next hello, and before the next report. Called by the thread of Offer().
  void Renew(messages::AgentHello hello);
  // Sends what is new in the sample, or keeps what must not be lost of it. Called by one thread.
  void Offer(std::shared_ptr<const Sample> sample);
  Counts counts() const;

 private:
  struct Final {
    messages::PodCounters pod;
    MonotonicTime sent;  // with which sample
  };

  void OnOpen() override;
  void OnMessage(std::string_view message) override;
  void OnClose(const std::string& reason) override;
  void KeepFinals(const Sample& sample) LS_REQUIRES(mutex_);
  size_t AddFinals(messages::UsageReport& report) LS_REQUIRES(mutex_);
  void NoteSent(std::shared_ptr<const Sample> sample, bool complete, size_t finals)
      LS_REQUIRES(mutex_);

  bool SayHello();
  bool hello_is_due();

  const Watch watch_;
  mutable Mutex mutex_;  // never held while calling the client or `watch_`
  messages::AgentHello hello_ LS_GUARDED_BY(mutex_);
  bool hello_is_new_ LS_GUARDED_BY(mutex_) = false;  // not said on the present stream
  bool greeted_ LS_GUARDED_BY(mutex_) = false;
  bool said_unreachable_ LS_GUARDED_BY(mutex_) = false;
  uint64_t sequence_ LS_GUARDED_BY(mutex_) = 0;  // of the last report that was sent
  // What the present stream was told last, and when it was told everything. Null: nothing yet.
  std::shared_ptr<const Sample> told_ LS_GUARDED_BY(mutex_);
  MonotonicTime told_all_ LS_GUARDED_BY(mutex_){};
  std::deque<messages::PodCounters> finals_ LS_GUARDED_BY(mutex_);  // to be sent
  std::deque<Final> sent_finals_ LS_GUARDED_BY(mutex_);             // that may not have arrived
  Counts counts_ LS_GUARDED_BY(mutex_);
  streams::Client client_;
};

}  // namespace longshore::nodeagent
