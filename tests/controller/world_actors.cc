// SPDX-License-Identifier: Apache-2.0
//
// World: what happens around the controller. Kubelets start and remove pods, workers speak, agents
// report.
#include "tests/controller/world_brain.h"

namespace longshore::controller {
namespace {

using api::Json;

}  // namespace

// ---- kubelets, workers, agents ---------------------------------------------------------------

void World::RunKubelets() {
  std::set<std::string> alive;
  for (const kube::ObjectPtr& pod : cluster.Objects(kube::kPods)) {
    const std::string name(kube::NameOf(*pod)), uid(kube::UidOf(*pod));
    const auto worker = workers_.find(uid);
    const bool busy =
        worker != workers_.end() && worker->second.running_epoch != 0 && !worker->second.hung;
    if (unreachable.contains(name)) {
      alive.insert(uid);
      continue;
    }
    if (!kube::StringAt(*pod, "/metadata/deletionTimestamp").empty()) {
      if (busy) {
        alive.insert(uid);  // SIGTERM: finishes first
        continue;
      }
      if (worker != workers_.end() && worker->second.connection != 0) {
        brain_->workers.OnClose(worker->second.connection);
      }
      cluster.Remove(kube::kPods, kNs, name);
      continue;
    }
    if (kube::StringAt(*pod, "/status/phase") == "Failed") continue;  // evicted: nothing runs
    alive.insert(uid);
    if (!kubelets_work || kube::StringAt(*pod, "/status/phase") == "Running") continue;
    cluster.Edit(kube::kPods, kNs, name, [&](Json& object) {
      const Json::json_pointer first(
          "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/"
          "nodeSelectorTerms/0/matchFields/0/values/0");
      object["spec"]["nodeName"] = object.contains(first) ? object.at(first) : Json("node-3");
      object["status"]["phase"] = "Running";
      object["status"]["containerStatuses"] = {{{"state", {{"running", Json::object()}}}}};
    });
    if (extender_speaks) {
      messages::PlacementVerdict verdict;
      verdict.set_pod_uid(uid);
      brain_->verdicts.Add(verdict);
    }
    FakeWorker& made = workers_[uid];
    made.pod = name;
    made.uid = uid;
  }
  // Pods that were removed by force take their worker with them.
  std::erase_if(workers_, [&](const auto& entry) {
    if (alive.contains(entry.first)) return false;
    if (entry.second.connection != 0) brain_->workers.OnClose(entry.second.connection);
    return true;
  });
}

size_t World::KnownWorkers() const { return brain_->workers.known(); }
size_t World::PodsWithUsage() const { return brain_->usage.pods(); }

void World::Connect(FakeWorker& worker) {
  worker.connection = next_connection_++;
  brain_->workers.OnOpen(worker.connection, {kNs, worker.pod, worker.uid});
  messages::WorkerMessage message;
  messages::WorkerHello& hello = *message.mutable_hello();
  hello.set_kind(worker_kind);
  hello.set_last_epoch(worker.last_epoch);
  hello.set_running_epoch(worker.running_epoch);
  if (worker.running_epoch != 0) hello.set_running_operation(worker.operation);
  hello.set_gate_closed(worker.gate_closed);
  Say(worker, message);
}

void World::RunWorkers() {
  for (auto& [uid, worker] : workers_) {
    if (worker.connection == 0) Connect(worker);
  }
}

void World::Say(FakeWorker& worker, const messages::WorkerMessage& message) {
  if (drop_from_workers) return;
  const Status said = brain_->workers.OnMessage(worker.connection, message.SerializeAsString());
  LS_CHECK(said.has_value());
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
    if (message.has_released() && worker.result &&
        worker.result->epoch() == message.released().epoch()) {
      worker.result.reset();
    }
    if (message.has_retire()) {
      messages::WorkerMessage reply;
      worker.gate_closed = worker.gate_closed || (worker.running_epoch == 0 && !worker.result);
      reply.mutable_retire_reply()->set_accepted(worker.gate_closed);
      Say(worker, reply);
    }
  }
}

void World::OnAssign(FakeWorker& worker, const messages::Assign& assign) {
  messages::WorkerMessage message;
  messages::AssignReply& reply = *message.mutable_assign_reply();
  reply.set_epoch(assign.epoch());
  if (worker.running_epoch == assign.epoch()) {
    reply.set_accepted(true);  // repeated: idempotent
  } else if (worker.gate_closed || worker.running_epoch != 0 || worker.result) {
    reply.set_reason(worker.gate_closed ? "Draining" : "Busy");
  } else if (assign.epoch() <= worker.last_epoch) {
    reply.set_reason("StaleEpoch");
  } else {
    for (const auto& [uid, other] : workers_) {
      if (other.running_epoch != 0 && other.operation == assign.operation()) {
        violations.push_back("operation " + assign.operation() + " runs on two pods");
      }
    }
    reply.set_accepted(true);
    worker.running_epoch = worker.last_epoch = assign.epoch();
    worker.operation = assign.operation();
    worker.assign = assign;
    worker.steps_left = seconds_of_work;
    worker.cancelled = false;
    ++worker.began;
  }
  Say(worker, message);
}

// A second of work: progress, a result that is repeated until it is released, or idleness.
void World::Work(FakeWorker& worker) {
  if (worker.connection == 0) return;
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

void World::RunAgents() {
  if (!agents_report) return;
  messages::UsageReport report;
  report.set_sequence(++reports_);
  report.set_complete(true);
  report.set_interval_end_ns(clock.Monotonic().time_since_epoch().count());
  report.set_wall_end_ns(std::chrono::nanoseconds(clock.Now().time_since_epoch()).count());
  for (const auto& [uid, worker] : workers_) {
    if (unmeasured.contains(worker.pod)) continue;
    const auto set = cpu.find(worker.pod);
    cpu_ns_[uid] +=
        static_cast<uint64_t>(static_cast<int64_t>((set == cpu.end() ? 5 : set->second) * 1e6));
    messages::PodCounters& pod = *report.add_pods();
    pod.set_pod_uid(uid);
    pod.mutable_usage()->set_cpu_ns(cpu_ns_[uid]);
    const auto bytes = sent.find(worker.pod);
    sent_bytes_[uid] += static_cast<uint64_t>(bytes == sent.end() ? 0 : bytes->second);
    pod.mutable_usage()->set_network_send_bytes(sent_bytes_[uid]);
  }
  std::map<std::string, kube::ObjectPtr> rows;
  for (const kube::ObjectPtr& row : cluster.List(kube::kBackupPods)) {
    rows[std::string(kube::StringAt(*row, "/status/podUID"))] = row;
  }
  for (const PodSample& one :
       brain_->usage.Add({"node", "epoch", 1, UnknownSignals(hello)}, report)) {
    const auto row = rows.find(one.pod_uid);
    if (row == rows.end()) continue;
    const auto due = brain_->gate.Admit(
        std::string(kube::LabelOf(*row->second, api::kLabelRequestUid)), one.sample);
    if (!due) continue;
    brain_->env.Wake(kRequestKey, kNs,
                     std::string(kube::StringAt(*row->second, "/spec/requestRef/name")), *due);
  }
}

}  // namespace longshore::controller
