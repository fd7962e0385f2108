// SPDX-License-Identifier: Apache-2.0
#include "worker/session.h"

namespace longshore::worker {
namespace {

SendMessage Reply(uint64_t epoch, const char* refusal) {
  messages::WorkerMessage message;
  messages::AssignReply& reply = *message.mutable_assign_reply();
  reply.set_epoch(epoch);
  reply.set_accepted(refusal == nullptr);
  if (refusal != nullptr) reply.set_reason(refusal);
  return {std::move(message)};
}

}  // namespace

messages::WorkerMessage Session::Result() const {
  messages::WorkerMessage message;
  *message.mutable_result() = *result_;
  return message;
}

void Session::ExitIfDone(Actions& actions) const {
  if (stopping_ && !running() && !result_) actions.push_back(Exit{});
}

Actions Session::OnOpen() {
  messages::WorkerMessage message;
  messages::WorkerHello& hello = *message.mutable_hello();
  hello.set_version(identity_.version);
  hello.set_kind(identity_.kind);
  for (const auto& [tool, version] : identity_.tools) (*hello.mutable_tools())[tool] = version;
  hello.set_last_epoch(last_epoch_);
  hello.set_gate_closed(gate_closed_);
  // An operation whose result has not been released is still held: its lease must not be given up.
  if (running() || result_) {
    hello.set_running_operation(running_operation_);
    hello.set_running_epoch(last_epoch_);
  }
  Actions actions{SendMessage{std::move(message)}};
  if (result_) actions.push_back(SendMessage{Result()});
  return actions;
}

Actions Session::OnMessage(const messages::ControllerMessage& message) {
  Actions actions;
  switch (message.kind_case()) {
    case messages::ControllerMessage::kAssign:
      return OnAssign(message.assign());
    case messages::ControllerMessage::kRetire:
      return OnRetire();
    case messages::ControllerMessage::kCancel:
      if (running() && message.cancel().epoch() == running_epoch_) {
        actions.push_back(CancelOperation{running_epoch_});
      }
      break;
    case messages::ControllerMessage::kReleased:
      if (result_ && message.released().epoch() == result_->epoch()) result_.reset();
      ExitIfDone(actions);
      break;
    case messages::ControllerMessage::kStop:
      return running() ? Actions{} : OnStop();
    case messages::ControllerMessage::KIND_NOT_SET:
      break;  // of a newer controller
  }
  return actions;
}

Actions Session::OnAssign(const messages::Assign& assign) {
  const uint64_t epoch = assign.epoch();
  const bool held = running() || result_.has_value();
  if (held && epoch == last_epoch_) {  // told again: the first reply may have been lost
    Actions actions{Reply(epoch, nullptr)};
    if (result_) actions.push_back(SendMessage{Result()});
    return actions;
  }
  if (epoch <= last_epoch_) return {Reply(epoch, "StaleEpoch")};
  if (held) return {Reply(epoch, "Busy")};
  if (gate_closed_ || stopping_) return {Reply(epoch, "Draining")};
  last_epoch_ = running_epoch_ = epoch;
  running_operation_ = assign.operation();
  return {Reply(epoch, nullptr), StartOperation{assign}};
}

Actions Session::OnRetire() {
  const bool held = running() || result_.has_value();
  if (!held) gate_closed_ = true;
  messages::WorkerMessage message;
  messages::RetireReply& reply = *message.mutable_retire_reply();
  reply.set_accepted(!held);
  if (held) reply.set_reason("Busy");
  return {SendMessage{std::move(message)}};
}

Actions Session::OnTick(const messages::Progress& progress) {
  messages::WorkerMessage message;
  if (running()) {
    *message.mutable_progress() = progress;
    message.mutable_progress()->set_epoch(running_epoch_);
  } else if (result_) {
    message = Result();
  } else {
    message.mutable_idle();
  }
  return {SendMessage{std::move(message)}};
}

Actions Session::OnFinished(const messages::OperationResult& result) {
  if (!running() || result.epoch() != running_epoch_) return {};
  running_epoch_ = 0;
  result_ = result;
  return {SendMessage{Result()}};
}

Actions Session::OnStop() {
  stopping_ = true;
  Actions actions;
  ExitIfDone(actions);
  return actions;
}

}  // namespace longshore::worker
