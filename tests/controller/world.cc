// SPDX-License-Identifier: Apache-2.0
#include "tests/controller/world.h"

#include <algorithm>

#include "common/base/strings.h"
#include "controller/pod_template.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::milliseconds;
using std::chrono::seconds;

Json Named(const std::string& name, Json spec) {
  return {{"metadata", {{"name", name}, {"namespace", kNs}}}, {"spec", std::move(spec)}};
}

}  // namespace

struct World::Brain {
  Brain(World& world)
      : queue(world.clock),
        workers(world.clock),
        usage(world.clock),
        pressure(world.clock),
        events(world.clock),
        env{world.cluster,
            workers,
            usage,
            pressure,
            verdicts,
            events,
            world.clock,
            Settings{},
            [this](const std::string& key, milliseconds delay) {
              delay.count() > 0 ? queue.AddAfter(key, delay) : queue.Add(key);
            },
            world.clock.Monotonic(),
            Tally{}},
        loop(env, queue) {
    env.settings.ca_pem = "-----BEGIN CERTIFICATE-----";
    workers.Connect(
        [&world](uint64_t connection, std::string message) {
          world.to_workers_.emplace_back(connection, std::move(message));
        },
        [this](const std::string& ns, const std::string& pod) { env.Wake(kPodKey, ns, pod); });
  }
  kube::WorkQueue queue;
  WorkerTable workers;
  UsageStore usage;
  PressureStore pressure;
  VerdictStore verdicts;
  EventLog events;
  Environment env;
  ReconcileLoop loop;
};

World::World() {
  for (const char* node : {"node-1", "node-2", "node-3"}) cluster.view().AddNode(node);
  next_result.set_succeeded(true);
  cluster.OnChange([this](const kube::Resource& resource, const kube::ObjectPtr& before,
                          const kube::ObjectPtr& after) { OnChange(resource, before, after); });
  last_second_ = clock.Monotonic();
  Boot();
}

World::~World() = default;

void World::Boot() {
  brain_ = std::make_unique<Brain>(*this);
  cursor_.clear();
  // What informers do after their first list.
  for (const auto* resource : {&kube::kComputeRequests, &kube::kBackupPods, &kube::kOperations}) {
    for (const kube::ObjectPtr& object : cluster.List(*resource)) {
      OnChange(*resource, nullptr, object);
    }
  }
}

void World::Restart() {
  to_workers_.clear();
  for (auto& [uid, worker] : workers_) worker.connection = 0;
  cluster.Recover();
  Boot();
}

// ---- objects ---------------------------------------------------------------------------------

void World::AddBasics() {
  cluster.Put(kube::kBackupSources, Named("orders", {{"kind", "postgresql"},
                                                     {"version", "17"},
                                                     {"postgresql", {{"host", "orders.db.svc"}}},
                                                     {"credentialsRef", {{"name", "login"}}},
                                                     {"location", {{"nodeName", "node-1"}}},
                                                     {"maxConcurrent", 8}}));
  Json image = Named("postgresql-17", {{"kind", "postgresql"},
                                       {"versions", {{"min", "14"}, {"max", "17"}}},
                                       {"operations", {"Backup", "Restore", "Verify"}},
                                       {"image", "postgresql@sha256:1"},
                                       {"resources", {{"requests", {{"cpu", "200m"}}}}}});
  image["metadata"].erase("namespace");
  cluster.Put(kube::kSourceImages, image);
  cluster.Put(kube::kPodPolicies, Named("standard", {{"repositoryRef", {{"name", "outside"}}}}));
  cluster.Put(kube::kBackupRepositories,
              Named("outside", {{"url", "rest:https://repository/"},
                                {"credentials", {{"append", {{"name", "login"}}}}},
                                {"encryptionKeyRef", {{"name", "key"}, {"key", "password"}}}}));
  Json login = Named("login", nullptr);
  login["data"] = {{"username", Base64Encode("u")}, {"password", Base64Encode("p")}};
  cluster.Put(kube::kSecrets, login);
  Json key = Named("key", nullptr);
  key["data"] = {{"password", Base64Encode("k")}};
  cluster.Put(kube::kSecrets, key);
}

void World::AddRequest(const std::string& name, int initial, int max, int idle_seconds) {
  cluster.Put(kube::kComputeRequests,
              Named(name, {{"sourceRef", {{"name", "orders"}}},
                           {"purpose", "Backup"},
                           {"policyRef", {{"name", "standard"}}},
                           {"pods", {{"min", 0}, {"initial", initial}, {"max", max}}},
                           {"scaling",
                            {{"idleSeconds", idle_seconds},
                             {"signals", Json::array({{{"name", "cpu"},
                                                       {"up", {{"utilizationPercent", 60}}},
                                                       {"down", {{"utilizationPercent", 15}}},
                                                       {"windowSeconds", 2}}})}}}}));
}

void World::AddOperation(const std::string& name, const std::string& request,
                         const std::string& type) {
  Json spec = {{"type", type},
               {"sourceRef", {{"name", "orders"}}},
               {"requestRef", {{"name", request}}},
               {"part", "ledger"},
               {"maxAttempts", 3}};
  cluster.Put(kube::kOperations, Named(name, spec));
}

// ---- time ------------------------------------------------------------------------------------

void World::Run(milliseconds time) {
  for (milliseconds passed(0); passed < time; passed += milliseconds(250)) {
    clock.Advance(milliseconds(250));
    RunKubelets();
    RunWorkers();
    if (clock.Monotonic() - last_second_ >= seconds(1)) {
      last_second_ = clock.Monotonic();
      for (auto& [uid, worker] : workers_) Work(worker);
      RunAgents();
    }
    StepController();
  }
}

bool World::RunUntil(const std::function<bool()>& done, seconds limit) {
  for (milliseconds passed(0); passed < limit; passed += milliseconds(250)) {
    if (done()) return true;
    Run(milliseconds(250));
  }
  return done();
}

void World::StepController() {
  for (int i = 0; i < 2000; ++i) {
    if (!brain_->loop.Step(milliseconds(0))) break;
    auto queued = std::exchange(to_workers_, {});
    for (const auto& [connection, bytes] : queued) Deliver(connection, bytes);
    CheckInvariants();
    if (i == 1999) violations.push_back("the controller never comes to rest");
  }
  auto page = brain_->events.Read(cursor_, milliseconds(0));
  LS_CHECK(page.has_value());
  cursor_ = page->cursor;
  for (Announcement& one : page->announcements) heard_.push_back(std::move(one));
}

void World::OnChange(const kube::Resource& resource, const kube::ObjectPtr& before,
                     const kube::ObjectPtr& after) {
  if (!brain_) return;
  const kube::ObjectPtr& object = after ? after : before;
  const std::string ns(kube::NamespaceOf(*object)), name(kube::NameOf(*object));
  const auto add = [&](const char* kind, const std::string& n) {
    brain_->queue.Add(std::string(kind) + "/" + ns + "/" + n);
  };
  const std::string request(kube::StringAt(*object, "/spec/requestRef/name"));
  if (resource.plural == kube::kComputeRequests.plural) add(kRequestKey, name);
  if (resource.plural == kube::kBackupPods.plural) add(kPodKey, name), add(kRequestKey, request);
  if (resource.plural == kube::kOperations.plural) add(kOperationKey, name);
  if (resource.plural == kube::kPods.plural) add(kPodKey, name);
}

// ---- kubelets, workers, agents ---------------------------------------------------------------

void World::RunKubelets() {
  std::set<std::string> alive;
  for (const kube::ObjectPtr& pod : cluster.List(kube::kPods)) {
    const std::string name(kube::NameOf(*pod)), uid(kube::UidOf(*pod));
    const auto worker = workers_.find(uid);
    const bool busy = worker != workers_.end() && worker->second.running_epoch != 0;
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

void World::Connect(FakeWorker& worker) {
  worker.connection = next_connection_++;
  brain_->workers.OnOpen(worker.connection, {kNs, worker.pod, worker.uid});
  messages::WorkerMessage message;
  messages::WorkerHello& hello = *message.mutable_hello();
  hello.set_kind("postgresql");
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
  const Status said = brain_->workers.OnMessage(worker.connection, message.SerializeAsString());
  LS_CHECK(said.has_value());
}

void World::Deliver(uint64_t connection, const std::string& bytes) {
  messages::ControllerMessage message;
  LS_CHECK(message.ParseFromString(bytes));
  for (auto& [uid, worker] : workers_) {
    if (worker.connection != connection) continue;
    if (message.has_assign()) OnAssign(worker, message.assign());
    if (message.has_cancel() && worker.running_epoch == message.cancel().epoch()) {
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
    --worker.steps_left;
    message.mutable_progress()->set_epoch(worker.running_epoch);
    message.mutable_progress()->set_phase("Copying");
  } else if (worker.running_epoch != 0) {
    worker.result = next_result;
    worker.result->set_epoch(worker.running_epoch);
    worker.result->set_operation(worker.operation);
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
  report.set_interval_end_ns(clock.Monotonic().time_since_epoch().count());
  report.set_wall_end_ns(std::chrono::nanoseconds(clock.Now().time_since_epoch()).count());
  for (const auto& [uid, worker] : workers_) {
    const auto set = cpu.find(worker.pod);
    cpu_ns_[uid] += static_cast<uint64_t>((set == cpu.end() ? 5 : set->second) * 1e6);
    messages::PodCounters& pod = *report.add_pods();
    pod.set_pod_uid(uid);
    pod.set_cpu_ns(cpu_ns_[uid]);
  }
  if (brain_->usage.Add("node", "epoch", report).empty()) return;
  for (const kube::ObjectPtr& request : cluster.List(kube::kComputeRequests)) {
    brain_->env.Wake(kRequestKey, kNs, std::string(kube::NameOf(*request)));
  }
}

// ---- what is seen ----------------------------------------------------------------------------

void World::CheckInvariants() {
  if (LivePods() > max_pods) violations.push_back("more pods than the cap");
  const auto& deleted = cluster.deleted_pods();
  for (; deletes_checked_ < deleted.size(); ++deletes_checked_) {
    const FakeWorker* worker = WorkerOf(deleted[deletes_checked_]);
    if (worker != nullptr && worker->running_epoch != 0) {
      violations.push_back("deleted the busy pod " + worker->pod);
    }
  }
  for (const kube::ObjectPtr& object : cluster.List(kube::kBackupPods)) {
    const std::string name(kube::NameOf(*object));
    const FakeWorker* worker = WorkerOf(name);
    if (kube::StringAt(*object, "/status/state") == api::kAvailable && worker != nullptr &&
        worker->running_epoch != 0) {
      violations.push_back(name + " is offered while it works");
    }
  }
}

std::optional<api::ComputeRequest> World::Request(const std::string& name) const {
  return Find<api::ComputeRequest>(cluster, kNs, name);
}
std::optional<api::Operation> World::Operation(const std::string& name) const {
  return Find<api::Operation>(cluster, kNs, name);
}
std::vector<api::BackupPod> World::Rows(const std::string& request) const {
  return OfRequest<api::BackupPod>(cluster, kNs, request);
}

int World::InState(const std::string& request, const std::string& state) const {
  const auto rows = Rows(request);
  return static_cast<int>(std::count_if(rows.begin(), rows.end(), [&](const api::BackupPod& row) {
    return row.status.state == state;
  }));
}

int World::LivePods() const { return static_cast<int>(cluster.List(kube::kPods).size()); }

const api::Condition* World::Condition(const std::string& request, const std::string& type) {
  static std::map<std::string, api::ComputeRequest> kept;
  const auto found = Request(request);
  if (!found) return nullptr;
  kept[request] = *found;
  return api::FindCondition(kept[request].status.conditions, type);
}

std::vector<Announcement> World::Announced(const std::string& type) {
  std::vector<Announcement> found;
  for (const Announcement& one : heard_) {
    if (one.type == type) found.push_back(one);
  }
  return found;
}

FakeWorker* World::WorkerOf(const std::string& pod) {
  for (auto& [uid, worker] : workers_) {
    if (worker.pod == pod) return &worker;
  }
  return nullptr;
}

}  // namespace longshore::controller
