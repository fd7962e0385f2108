// SPDX-License-Identifier: Apache-2.0
//
// The worker's side of the protocol in common/messages/worker.proto, as a state machine without
// I/O: events go in, actions come out. main.cc carries them out. docs/worker.md has the table.
//
// What it guarantees: an assignment is taken at most once, and only when nothing is held; a result
// is told until the controller says that it is durable; a closed gate stays closed.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "common/messages/worker.pb.h"

namespace longshore::worker {

struct SendMessage {
  messages::WorkerMessage message;
};
struct StartOperation {
  messages::Assign assign;  // holds secrets: hand it on, keep no copy
};
struct CancelOperation {
  uint64_t epoch = 0;
};
struct Exit {};  // nothing is held any more, after a stop
using Action = std::variant<SendMessage, StartOperation, CancelOperation, Exit>;
using Actions = std::vector<Action>;

// Not thread-safe.
class Session {
 public:
  struct Identity {
    std::string version, kind;
    std::map<std::string, std::string> tools;
  };
  explicit Session(Identity identity) : identity_(std::move(identity)) {}

  // The stream is open (again).
  Actions OnOpen();
  Actions OnMessage(const messages::ControllerMessage& message);
  // Each second. `progress` is used while an operation runs.
  Actions OnTick(const messages::Progress& progress);
  // The running operation has ended.
  Actions OnFinished(const messages::OperationResult& result);
  // SIGTERM: takes nothing new, exits once nothing is held.
  Actions OnStop();

  bool running() const { return running_epoch_ != 0; }
  bool gate_closed() const { return gate_closed_; }
  uint64_t last_epoch() const { return last_epoch_; }

 private:
  Actions OnAssign(const messages::Assign& assign);
  Actions OnRetire();
  messages::WorkerMessage Result() const;
  void ExitIfDone(Actions& actions) const;

  const Identity identity_;
  uint64_t last_epoch_ = 0;        // highest accepted
  uint64_t running_epoch_ = 0;     // 0: none
  std::string running_operation_;  // also while its result waits to be released
  std::optional<messages::OperationResult> result_;
  bool gate_closed_ = false, stopping_ = false;
};

}  // namespace longshore::worker
