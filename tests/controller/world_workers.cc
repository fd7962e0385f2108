// SPDX-License-Identifier: Apache-2.0
//
// World: the workers, and their streams to the controller. They keep to worker/session.h: an
// assignment is taken at most once and only when nothing is held, a result is told until it is
// released, a closed gate stays closed.
#include "tests/controller/world_brain.h"

namespace longshore::controller {

using std::chrono::milliseconds;

// ---- streams -----------------------------------------------------------------------------------

void World::RunWorkers() {
  for (auto& [uid, worker] : workers_) {
    if (worker.connection == 0 && !worker.cut && clock.Monotonic() >= worker.dials) Connect(worker);
  }
  std::set<uint64_t> open;
  for (const auto& [uid, worker] : workers_) open.insert(worker.connection);
  std::erase_if(wires_, [&](const auto& entry) {
    return !open.contains(entry.first) && entry.second.up.empty();
  });
  RunWires();
}

// Whatever is due, and what is answered to it.
void World::RunWires() {
  for (bool moved = true; moved;) {
    moved = false;
    for (auto& [connection, wire] : wires_) {
      const auto next = [&, now = clock.Monotonic()](std::deque<Wire::Item>& way) {
        std::optional<Wire::Item> item;
        if (way.empty() || way.front().due > now) return item;
        item = std::move(way.front());
        way.pop_front();
        moved = true;
        return item;
      };
      while (const auto item = next(wire.up)) Hear(connection, wire, *item);
      while (const auto item = next(wire.down)) Deliver(connection, item->bytes);
    }
  }
}

void World::Send(std::deque<Wire::Item>& way, Wire::Kind kind, std::string bytes) const {
  MonotonicTime due = clock.Monotonic() + (message_delay ? message_delay() : milliseconds(0));
  if (!way.empty()) due = std::max(due, way.back().due);
  if (kind == Wire::Kind::kMessage && message_repeats && message_repeats()) {
    way.push_back({due, kind, bytes});
  }
  way.push_back({due, kind, std::move(bytes)});
}

void World::SendUp(uint64_t connection, Wire::Kind kind, std::string bytes) {
  Wire& wire = wires_[connection];
  Send(wire.up, kind, std::move(bytes));
  while (!wire.up.empty() && wire.up.front().due <= clock.Monotonic()) {
    Wire::Item item = std::move(wire.up.front());
    wire.up.pop_front();
    Hear(connection, wire, item);
  }
}

void World::Hear(uint64_t connection, const Wire& wire, const Wire::Item& item) {
  if (item.kind == Wire::Kind::kOpen) brain_->workers.OnOpen(connection, wire.identity);
  if (item.kind == Wire::Kind::kClose) brain_->workers.OnClose(connection);
  if (item.kind != Wire::Kind::kMessage) return;
  const Status said = brain_->workers.OnMessage(connection, item.bytes);
  LS_CHECK(said.has_value());
}

void World::Connect(FakeWorker& worker) {
  worker.connection = next_connection_++;
  wires_[worker.connection].identity = {kNs, worker.pod, worker.uid};
  SendUp(worker.connection, Wire::Kind::kOpen, "");
  messages::WorkerMessage message;
  messages::WorkerHello& hello = *message.mutable_hello();
  hello.set_kind(worker_kind);
  hello.set_last_epoch(worker.last_epoch);
  if (worker.holds()) {
    hello.set_running_epoch(worker.last_epoch);
    hello.set_running_operation(worker.operation);
  }
  hello.set_gate_closed(worker.gate_closed);
  Say(worker, message);
  if (!worker.result) return;
  *message.mutable_result() = *worker.result;
  Say(worker, message);
}

void World::HangUp(FakeWorker& worker) {
  if (worker.connection != 0) SendUp(worker.connection, Wire::Kind::kClose, "");
  worker.connection = 0;
}

void World::Break(FakeWorker& worker, milliseconds heard_after, milliseconds away) {
  if (const auto wire = wires_.find(worker.connection); wire != wires_.end()) {
    wire->second.up.clear();
    wire->second.down.clear();
    wire->second.up.push_back({clock.Monotonic() + heard_after, Wire::Kind::kClose, ""});
  }
  worker.connection = 0;
  worker.dials = clock.Monotonic() + away;
}

void World::KillToolForMemory(FakeWorker& worker) {
  if (worker.running_epoch == 0) return;
  worker.tool_was_killed = true;
  worker.steps_left = 0;
}

void World::RestartContainer(FakeWorker& worker, milliseconds heard_after, milliseconds away) {
  worker.last_epoch = worker.running_epoch = 0;
  worker.result.reset();
  worker.gate_closed = worker.stopping = false;
  Break(worker, heard_after, away);
}

void World::KillForMemory(FakeWorker& worker) {
  RestartContainer(worker, milliseconds(0), milliseconds(500));
  if (cluster.Object(kube::kPods, kNs, worker.pod) != nullptr) TellOfMemoryKill(worker.pod);
}

void World::TellOfMemoryKill(const std::string& pod) {
  cluster.Edit(kube::kPods, kNs, pod, [&](api::Json& object) {
    api::Json& status = object["status"]["containerStatuses"][0];
    status["restartCount"] = status.value("restartCount", 0) + 1;
    status["lastState"]["terminated"] = {
        {"reason", "OOMKilled"}, {"exitCode", 137}, {"finishedAt", FormatTimeSeconds(clock.Now())}};
  });
}

// ---- what a worker says and does ---------------------------------------------------------------

void World::Say(FakeWorker& worker, const messages::WorkerMessage& message) {
  if (drop_from_workers || worker.connection == 0) return;
  SendUp(worker.connection, Wire::Kind::kMessage, message.SerializeAsString());
}

void World::Deliver(uint64_t connection, const std::string& bytes) {
  messages::ControllerMessage message;
  LS_CHECK(message.ParseFromString(bytes));
  for (auto& [uid, worker] : workers_) {
    if (worker.connection != connection) continue;
    if (message.has_assign()) OnAssign(worker, message.assign());
    if (message.has_cancel() && !worker.hung && worker.running_epoch == message.cancel().epoch()) {
      worker.cancelled = true;
      worker.steps_left = 0;
    }
    if (message.has_stop() && worker.running_epoch == 0) worker.deaf = false;
    if (message.has_released() && worker.result &&
        worker.result->epoch() == message.released().epoch()) {
      worker.result.reset();
    }
    if (message.has_retire()) {
      messages::WorkerMessage reply;
      worker.gate_closed = worker.gate_closed || !worker.holds();
      reply.mutable_retire_reply()->set_accepted(worker.gate_closed);
      Say(worker, reply);
    }
  }
}

void World::OnAssign(FakeWorker& worker, const messages::Assign& assign) {
  messages::WorkerMessage message;
  messages::AssignReply& reply = *message.mutable_assign_reply();
  reply.set_epoch(assign.epoch());
  if (worker.holds() && assign.epoch() == worker.last_epoch) {
    reply.set_accepted(true);  // told again: the first reply may have been lost
  } else if (assign.epoch() <= worker.last_epoch) {
    reply.set_reason("StaleEpoch");
  } else if (worker.holds()) {
    reply.set_reason("Busy");
  } else if (worker.gate_closed || worker.stopping) {
    reply.set_reason("Draining");
  } else {
    reply.set_accepted(true);
    audit_->OnBegun(worker, assign);
    worker.running_epoch = worker.last_epoch = assign.epoch();
    worker.operation = assign.operation();
    worker.assign = assign;
    worker.steps_left = seconds_of_work;
    worker.cancelled = worker.tool_was_killed = false;
    ++worker.began;
  }
  Say(worker, message);
  if (!reply.accepted() || !worker.result) return;
  *message.mutable_result() = *worker.result;
  Say(worker, message);
}

// A second of work: progress, a result that is repeated until it is released, or idleness.
void World::Work(FakeWorker& worker) {
  messages::WorkerMessage message;
  if (worker.running_epoch != 0 && worker.steps_left > 0) {
    if (!worker.hung) --worker.steps_left;
    message.mutable_progress()->set_epoch(worker.running_epoch);
    message.mutable_progress()->set_phase("Copying");
    if (bytes_of_work > 0) {
      const int64_t a_second = bytes_of_work / seconds_of_work;
      message.mutable_progress()->set_bytes_total(bytes_of_work);
      message.mutable_progress()->set_bytes_done(a_second * (seconds_of_work - worker.steps_left));
    }
  } else if (worker.running_epoch != 0) {
    worker.result = next_result;
    worker.result->set_epoch(worker.running_epoch);
    worker.result->set_operation(worker.operation);
    if (worker.result->succeeded() && worker.assign.type() == api::kBackup) {
      worker.result->mutable_copy()->MergeFrom(next_copy);
    } else if (worker.assign.has_known_copy() && !worker.result->has_copy()) {
      *worker.result->mutable_copy() = worker.assign.known_copy();  // reads what it is told to
    }
    if (worker.tool_was_killed) {
      worker.result->clear_copy();
      worker.result->set_succeeded(false);
      worker.result->set_error_class(api::kOutOfMemoryClass);
      worker.result->set_error_message("a tool was killed for memory");
      worker.result->set_retryable(true);
    }
    if (worker.cancelled) {
      worker.result->set_succeeded(false);
      worker.result->set_error_class("Cancelled");
    }
    worker.running_epoch = 0;
    *message.mutable_result() = *worker.result;
  } else if (worker.result) {
    *message.mutable_result() = *worker.result;
  } else {
    message.mutable_idle();
  }
  Say(worker, message);
}

}  // namespace longshore::controller
