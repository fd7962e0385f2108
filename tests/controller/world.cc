// SPDX-License-Identifier: Apache-2.0
#include "tests/controller/world.h"

#include <algorithm>

#include "common/base/strings.h"
#include "tests/controller/world_brain.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::milliseconds;
using std::chrono::seconds;

Json Named(const std::string& name, Json spec) {
  return {{"metadata", {{"name", name}, {"namespace", kNs}}}, {"spec", std::move(spec)}};
}

}  // namespace

World::World(uint32_t seed) : seed_(seed) {
  for (const char* node : {"node-1", "node-2", "node-3"}) cluster.view().AddNode(node);
  next_result.set_succeeded(true);
  next_copy.set_data_snapshot(std::string(64, 'd'));
  next_copy.set_record_snapshot(std::string(64, 'a'));
  next_copy.set_manifest_digest(std::string(64, 'b'));
  next_copy.set_record_digest(std::string(64, 'c'));
  audit_ = std::make_unique<Audit>(*this);
  cluster.OnChange([this](const kube::Resource& resource, const kube::ObjectPtr& before,
                          const kube::ObjectPtr& after) { OnChange(resource, before, after); });
  cluster.OnWritten(
      [this](const kube::Resource& resource, FakeCluster::By by, const kube::ObjectPtr& before,
             const kube::ObjectPtr& after) { audit_->OnWritten(resource, by, before, after); });
  last_second_ = clock.Monotonic();
  Boot();
}

World::~World() = default;

void World::Boot() {
  cluster.BeginTerm();
  brain_ = std::make_unique<Brain>(*this);
  brain_->events.BeginTerm(term_++);
  audit_->OnBoot();
  // What informers do after their first list.
  for (const auto* resource :
       {&kube::kComputeRequests, &kube::kBackupPods, &kube::kOperations, &kube::kBackupSources}) {
    for (const kube::ObjectPtr& object : cluster.List(*resource)) {
      OnChange(*resource, nullptr, object);
    }
  }
}

void World::Restart(bool sent_arrives) {
  for (const auto& [connection, wire] : std::exchange(wires_, {})) {
    if (!sent_arrives) continue;
    for (const Wire::Item& item : wire.down) Deliver(connection, item.bytes);
  }
  wires_.clear();  // nobody hears what was said to it
  for (auto& [uid, worker] : workers_) worker.connection = 0;
  cluster.Lag(false);  // it lists everything anew
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
    cluster.RunWatches();
    RunKubelets();
    RunWorkers();
    if (clock.Monotonic() - last_second_ >= seconds(1)) {
      last_second_ = clock.Monotonic();
      if (collects_garbage) CollectGarbage();
      for (auto& [uid, worker] : workers_) Work(worker);
      RunAgents();
      brain_->workers.WakeSilent(brain_->env.settings.offer_silence);
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
  const int requests = static_cast<int>(cluster.Objects(kube::kComputeRequests).size());
  const int most = 2000 + 100 * requests;
  for (int i = 0; i < most && !cluster.crashed(); ++i) {
    if (!brain_->loop.Step(milliseconds(0))) break;
    RunWires();
    audit_->AfterStep(i % (1 + requests / 8) == 0);  // of hundreds of requests not each time
    if (i == most - 1) audit_->OnRestless();
  }
  audit_->AtRest();
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
  if (resource.plural == kube::kOperations.plural) {
    add(kOperationKey, name);
    const std::string pod(kube::StringAt(*object, "/status/pod"));
    if (!after) add(kRequestKey, request);
    if (!after && !pod.empty()) add(kPodKey, pod);
  }
  if (resource.plural == kube::kPods.plural) add(kPodKey, name);
  if (resource.plural == kube::kBackupSources.plural) add(kSourceKey, name);
  if (resource.plural == kube::kSourceImages.plural) {
    for (const kube::ObjectPtr& source : cluster.List(kube::kBackupSources)) {
      brain_->queue.Add(std::string(kSourceKey) + "/" + kNs + "/" +
                        std::string(kube::NameOf(*source)));
    }
  }
}

// ---- what is seen ----------------------------------------------------------------------------

std::optional<api::ComputeRequest> World::Request(const std::string& name) const {
  return Find<api::ComputeRequest>(cluster, kNs, name);
}
std::optional<api::Operation> World::Operation(const std::string& name) const {
  return Find<api::Operation>(cluster, kNs, name);
}
std::vector<api::BackupPod> World::Rows(const std::string& request) const {
  std::vector<api::BackupPod> rows;
  for (const api::BackupPodPtr& row : cluster.RowsOf(kNs, request)) rows.push_back(*row);
  return rows;
}

int World::InState(const std::string& request, const std::string& state) const {
  const auto rows = Rows(request);
  return static_cast<int>(std::count_if(rows.begin(), rows.end(), [&](const api::BackupPod& row) {
    return row.status.state == state;
  }));
}

int World::LivePods() const { return static_cast<int>(cluster.Objects(kube::kPods).size()); }

const api::Condition* World::Condition(const std::string& request, const std::string& type) {
  static std::map<std::string, api::ComputeRequest> kept;
  const auto found = Request(request);
  if (!found) return nullptr;
  kept[request] = *found;
  return api::FindCondition(kept[request].status.conditions, type);
}

std::optional<ScalingNotes> World::NotesOf(const std::string& request_uid) const {
  return brain_->scaling.Get(request_uid);
}

std::vector<Announcement> World::Announced(const std::string& type) {
  std::vector<Announcement> found;
  for (const Announcement& one : audit_->heard()) {
    if (one.type == type) found.push_back(one);
  }
  return found;
}

std::vector<std::string> World::PodNames() const {
  std::vector<std::string> names;
  for (const kube::ObjectPtr& pod : cluster.Objects(kube::kPods)) {
    names.emplace_back(kube::NameOf(*pod));
  }
  return names;
}

size_t World::KnownWorkers() const { return brain_->workers.known(); }
size_t World::PodsWithUsage() const { return brain_->usage.pods(); }
size_t World::KeysQueued() const { return brain_->queue.size(); }
uint64_t World::ReconcileErrors() const { return brain_->loop.counts().errors; }

FakeWorker* World::WorkerOf(const std::string& pod) {
  for (auto& [uid, worker] : workers_) {
    if (worker.pod == pod) return &worker;
  }
  return nullptr;
}

}  // namespace longshore::controller
