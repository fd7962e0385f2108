// SPDX-License-Identifier: Apache-2.0
//
// Carries out what the session decides: one loop on the main thread that takes events (stream,
// operation, signal, clock) one at a time. The stream client has a thread of its own, and so has
// the running operation.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <variant>

#include "common/base/log_limit.h"
#include "common/base/mutex.h"
#include "common/streams/client.h"
#include "worker/operation.h"
#include "worker/session.h"

namespace longshore::worker {

class Relay : public streams::ClientHandler {
 public:
  struct Options {
    streams::ClientOptions client;
    Settings settings;
    std::string version;
    // How long a running operation may still take after SIGTERM; then it is cancelled so that it
    // can tidy up before the kubelet kills the pod.
    std::chrono::seconds stop_grace{270};
  };
  Relay(Options options, Reaper& reaper);
  ~Relay() override;

  // Serves until told to stop and nothing is held any more. Errors: the client cannot start.
  Status Run();
  // SIGTERM. Thread-safe.
  void Stop();

 private:
  struct Opened {};
  struct Stopped {};
  struct Received {
    std::string bytes;
  };
  struct Ended {
    messages::OperationResult result;
  };
  using Event = std::variant<Opened, Stopped, Received, Ended>;

  // ClientHandler, on the client's thread.
  void OnOpen() override;
  void OnMessage(std::string_view message) override;
  void OnClose(const std::string& reason) override;

  void Post(Event event);
  std::optional<Event> Take(MonotonicTime until);
  Actions Handle(Event event);
  Actions Tick();
  void CarryOut(Actions actions);
  void Start(messages::Assign assign);
  void MarkReady();

  const Options options_;
  Reaper& reaper_;
  Session session_;
  ProgressBoard progress_;
  std::unique_ptr<streams::Client> client_;

  LogRate lost_log_;  // messages that could not be taken or read
  LogRate ready_log_;

  Mutex mutex_;
  ConditionVariable wake_;
  std::deque<Event> events_ LS_GUARDED_BY(mutex_);
  std::string last_close_ LS_GUARDED_BY(mutex_);

  std::unique_ptr<Cancellation> cancellation_;  // of the running operation
  std::jthread operation_;
  std::optional<MonotonicTime> give_up_at_;  // after a stop, with an operation running
  bool interrupted_ = false;
  bool done_ = false;
};

// The file by which `longshore-worker --ready` knows that the controller is reached.
std::string ReadyFile(const std::string& scratch);

}  // namespace longshore::worker
