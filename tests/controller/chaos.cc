// SPDX-License-Identifier: Apache-2.0
#include "tests/controller/chaos.h"

#include "common/base/log.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::milliseconds;
using std::chrono::minutes;

}  // namespace

bool Chaos::Hit(int weight, const char* what) {
  const int from = std::exchange(at_, at_ + weight);
  const bool hit = dice_ >= from && dice_ < at_;
  if (hit) LogInfo("fault", {{"what", what}, {"step", step_}});
  return hit;
}

void Chaos::Step() {
  if (world_.cluster.crashed()) return world_.Restart(Pick(2) == 0);
  ++step_;
  dice_ = Pick(1000);
  at_ = 0;
  if (HitController() || HitApi() || HitStreams()) return;
  const auto pods = world_.PodNames();
  if (pods.empty()) return;
  const std::string pod = pods[Pick(static_cast<int>(pods.size()))];
  if (HitPod(pod)) return;
  FakeWorker* worker = world_.WorkerOf(pod);
  if (worker != nullptr) HitWorker(*worker);
}

bool Chaos::HitController() {
  using Fate = FakeCluster::Fate;
  const auto one_of_the_next = [&] { return 1 + Pick(4); };
  // What a leader of before has sent arrives some time.
  if (!world_.cluster.late().empty() && Pick(20) == 0) LandLate();
  if (Hit(15, "restart")) return world_.Restart(Pick(2) == 0), true;
  if (Hit(30, "death at a write")) {
    const Fate fates[] = {Fate::kLost, Fate::kApplied, Fate::kLate};
    return world_.cluster.CrashAtWrite(one_of_the_next(), fates[Pick(3)]), true;
  }
  if (Hit(20, "operation")) return AddOperation(), true;
  if (Hit(8, "cancel")) return CancelOperation(), true;
  if (Hit(2, "operation deleted")) return DeleteOperation(), true;
  if (Hit(4, "clock set")) return world_.clock.StepWall(minutes(Pick(240) - 120)), true;
  return false;
}

bool Chaos::HitApi() {
  FakeCluster& cluster = world_.cluster;
  if (Hit(20, "watches stop or go on")) return cluster.Lag(!cluster.lagging()), true;
  if (Hit(20, "slow watch"))
    return cluster.SlowWatch(AnyResource(), milliseconds(250) * Pick(12)), true;
  if (Hit(10, "new list")) return cluster.Relist(AnyResource()), true;
  if (Hit(10, "watch repeats")) return cluster.Repeat(AnyResource()), true;
  if (Hit(10, "writes refused or not")) return RefuseSome(), true;
  if (Hit(10, "replies lost or not")) return LoseSomeReplies(), true;
  if (Hit(6, "reads refused or not")) return RefuseSomeReads(), true;
  return false;
}

bool Chaos::HitStreams() {
  if (Hit(10, "messages delayed or not")) {
    const int most = Pick(3) == 0 ? 0 : 1 + Pick(3000);  // milliseconds
    world_.message_delay = {};
    if (most > 0) world_.message_delay = [this, most] { return milliseconds(Pick(most)); };
    return true;
  }
  if (Hit(10, "messages repeated or not")) {
    world_.message_repeats = {};
    if (Pick(2) == 0) world_.message_repeats = [this] { return Pick(4) == 0; };
    return true;
  }
  if (Hit(20, "agents stop or go on")) return world_.agents_report = !world_.agents_report, true;
  if (Hit(5, "agent restarts")) return world_.RestartAgent(), true;
  if (Hit(15, "kubelets stop or go on")) return world_.kubelets_work = !world_.kubelets_work, true;
  if (Hit(4, "node lost")) return LoseNode(), true;
  if (!world_.lost_nodes.empty() && Hit(40, "node back")) {
    return world_.ReturnNode(*world_.lost_nodes.begin()), true;
  }
  return false;
}

bool Chaos::HitPod(const std::string& pod) {
  if (Hit(60, "load")) return world_.cpu[pod] = Pick(2) == 0 ? 180 : 5, true;
  if (Hit(10, "pod left out or not")) {
    if (world_.unmeasured.erase(pod) == 0) world_.unmeasured.insert(pod);
    return true;
  }
  if (Hit(8, "pod removed")) return RemovePod(pod), true;
  if (Hit(8, "pod deleted")) return world_.cluster.UserDelete(kube::kPods, kNs, pod), true;
  if (Hit(8, "pod evicted")) return Evict(pod), true;
  if (Hit(40, "row touched")) return TouchRow(pod), true;
  if (Hit(6, "row deleted")) return DeleteRow(pod), true;
  if (Hit(6, "no image")) return world_.without_image.insert(pod), true;
  return false;
}

bool Chaos::HitWorker(FakeWorker& worker) {
  if (Hit(40, "stream breaks")) {
    // What is on its way is lost; who hears of it first, and when, is open.
    world_.Break(worker, milliseconds(250) * Pick(30), milliseconds(250) * Pick(30));
    return true;
  }
  if (worker.connection == 9999 && Hit(60, "heard again")) return worker.connection = 0, true;
  if (worker.connection != 9999 && Hit(15, "unheard")) {  // speaks into the void
    return worker.connection = worker.cut ? 0 : 9999, true;
  }
  if (Hit(10, "container restarts")) {
    world_.RestartContainer(worker, milliseconds(250) * Pick(4), milliseconds(250) * Pick(12));
    return true;
  }
  // SIGTERM comes while its container starts.
  if (!worker.holds() && Hit(10, "deaf")) return worker.deaf = true, true;
  if (Hit(5, "tool killed for memory")) return world_.KillToolForMemory(worker), true;
  if (Hit(5, "killed for memory")) return world_.KillForMemory(worker), true;
  return false;
}

// ---- faults ------------------------------------------------------------------------------------

void Chaos::LandLate() {
  LogInfo("fault", {{"what", "late " + world_.cluster.late()}, {"step", step_}});
  world_.cluster.LandLate();
}

const kube::Resource& Chaos::AnyResource() {
  const kube::Resource* const all[] = {&kube::kPods, &kube::kBackupPods, &kube::kOperations,
                                       &kube::kComputeRequests};
  return *all[Pick(4)];
}

// Until it is called again: each write may be refused, as by a server that is overloaded or
// restarting, or by a quota.
void Chaos::RefuseSome() {
  if (refuses_ = !refuses_; !refuses_) return world_.cluster.RefuseWrites({});
  world_.cluster.RefuseWrites(
      [this](const kube::Resource&, const std::string& verb) -> std::optional<Error> {
        if (Pick(4) != 0) return std::nullopt;
        if (verb == "create" && Pick(2) == 0) return Error{Code::kResourceExhausted, "quota"};
        return Unavailable("the server is restarting");
      });
}

// Not while what was done cannot be read either: then nobody can say what is owed.
void Chaos::LoseSomeReplies() {
  if (loses_ = !loses_; !loses_) return world_.cluster.LoseReplies({});
  world_.cluster.LoseReplies([this](const kube::Resource&, const std::string&) {
    return !refuses_reads_ && Pick(6) == 0;
  });
}

void Chaos::RefuseSomeReads() {
  if (refuses_reads_ = !refuses_reads_; !refuses_reads_) return world_.cluster.RefuseReads({});
  world_.cluster.RefuseReads([this](const kube::Resource&) -> std::optional<Error> {
    if (Pick(3) == 0) return std::nullopt;
    return Unavailable("the server is restarting");
  });
}

void Chaos::AddOperation() {
  if (operations_ >= kOperations) return;
  const std::string request = world_.Request("s") && operations_ % 2 == 1 ? "s" : "r";
  world_.AddOperation("op" + std::to_string(operations_++), request);
}

void Chaos::CancelOperation() {
  if (operations_ == 0) return;
  const std::string name = "op" + std::to_string(Pick(operations_));
  if (!world_.cluster.Object(kube::kOperations, kNs, name)) return;
  world_.cluster.Edit(kube::kOperations, kNs, name,
                      [](Json& object) { object["spec"]["cancel"] = true; });
}

void Chaos::DeleteOperation() {
  if (operations_ == 0) return;
  world_.cluster.Remove(kube::kOperations, kNs, "op" + std::to_string(Pick(operations_)));
}

void Chaos::LoseNode() {
  const std::string node = "node-" + std::to_string(1 + Pick(3));
  if (world_.lost_nodes.empty()) world_.LoseNode(node, Pick(2) == 0);
}

// By force: a process whose node is in order may live on for a moment, and its stream with it.
void Chaos::RemovePod(const std::string& pod) {
  FakeWorker* worker = world_.WorkerOf(pod);
  const bool heard = worker != nullptr && worker->connection != 0 && worker->connection != 9999;
  if (heard) worker->lives_until = world_.clock.Monotonic() + milliseconds(250) * Pick(16);
  world_.cluster.Remove(kube::kPods, kNs, pod);
}

void Chaos::Evict(const std::string& pod) {
  world_.cluster.Edit(kube::kPods, kNs, pod, [](Json& object) {
    object["status"]["phase"] = "Failed";
    object["status"]["reason"] = "Evicted";
  });
}

// Another writer: what the controller has read is stale now.
void Chaos::TouchRow(const std::string& name) {
  if (!world_.cluster.Object(kube::kBackupPods, kNs, name)) return;
  world_.cluster.Edit(kube::kBackupPods, kNs, name,
                      [](Json& object) { object["metadata"]["annotations"]["touched"] = "yes"; });
}

void Chaos::DeleteRow(const std::string& name) {
  if (!world_.cluster.Object(kube::kBackupPods, kNs, name)) return;
  world_.cluster.UserDelete(kube::kBackupPods, kNs, name);
}

void Chaos::CalmDown() {
  if (world_.cluster.crashed()) world_.Restart();
  world_.cluster.Recover();
  LandLate();
  while (operations_ < kOperations) AddOperation();
  for (const auto* resource :
       {&kube::kPods, &kube::kBackupPods, &kube::kOperations, &kube::kComputeRequests}) {
    world_.cluster.SlowWatch(*resource, milliseconds(0));
  }
  world_.cluster.Lag(false);
  world_.cluster.RefuseWrites({});
  world_.cluster.RefuseReads({});
  world_.cluster.LoseReplies({});
  world_.message_delay = {};
  world_.message_repeats = {};
  world_.agents_report = world_.kubelets_work = true;
  world_.unmeasured.clear();
  world_.without_image.clear();
  world_.cpu.clear();
  while (!world_.lost_nodes.empty()) world_.ReturnNode(*world_.lost_nodes.begin());
  for (const std::string& pod : world_.PodNames()) {
    FakeWorker* worker = world_.WorkerOf(pod);
    if (worker != nullptr && worker->connection == 9999) worker->connection = 0;
  }
}

}  // namespace longshore::controller
