// SPDX-License-Identifier: Apache-2.0
//
// World: what happens around the controller. Kubelets start and remove pods, nodes are lost, agents
// report, garbage is collected. The workers are in world_workers.cc.
#include "tests/controller/world_brain.h"

namespace longshore::controller {
namespace {

using api::Json;

constexpr std::chrono::seconds kGrace{60};  // from SIGTERM to SIGKILL

std::string OwnerOf(const Json& object) {
  return std::string(kube::StringAt(object, "/metadata/ownerReferences/0/uid"));
}

}  // namespace

// ---- kubelets and nodes ------------------------------------------------------------------------

// As the scheduler chooses: the first node of the affinity that is there.
std::string World::NodeFor(const Json& pod) const {
  const Json::json_pointer terms(
      "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/"
      "nodeSelectorTerms");
  if (!pod.contains(terms)) return lost_nodes.contains("node-3") ? "" : "node-3";
  for (const Json& term : pod.at(terms)) {
    const std::string node(kube::StringAt(term, "/matchFields/0/values/0"));
    if (!lost_nodes.contains(node)) return node;
  }
  return "";
}

void World::StartPod(const std::string& name, const std::string& uid) {
  const kube::ObjectPtr pod = cluster.Object(kube::kPods, kNs, name);
  std::string node(kube::StringAt(*pod, "/spec/nodeName"));
  if (node.empty()) node = NodeFor(*pod);
  if (node.empty()) return;
  const bool pulled = !without_image.contains(name);
  cluster.Edit(kube::kPods, kNs, name, [&](Json& object) {
    object["spec"]["nodeName"] = node;
    object["status"]["phase"] = pulled ? "Running" : "Pending";
    object["status"]["containerStatuses"] = {
        {{"state", pulled ? Json{{"running", Json::object()}}
                          : Json{{"waiting", {{"reason", "ImagePullBackOff"}}}}}}};
  });
  if (!pulled) return;
  if (extender_speaks) {
    messages::PlacementVerdict verdict;
    verdict.set_pod_uid(uid);
    brain_->verdicts.Add(verdict);
  }
  FakeWorker& made = workers_[uid];
  made.pod = name;
  made.uid = uid;
  made.node = node;
}

// SIGTERM: a worker finishes first, and gets rid of its result. Whether it goes on.
bool World::StopPod(const std::string& name, const std::string& uid) {
  const auto found = workers_.find(uid);
  if (found != workers_.end()) {
    FakeWorker& worker = found->second;
    if (!worker.signalled) worker.signalled = clock.Monotonic();
    const bool over = !worker.holds() && clock.Monotonic() - *worker.signalled >= kGrace;
    if (worker.deaf && !over) return true;
    worker.stopping = true;
    if (worker.holds() && !worker.hung) return true;
    HangUp(worker);
  }
  cluster.Remove(kube::kPods, kNs, name);
  return false;
}

void World::RunKubelets() {
  std::set<std::string> alive;
  for (const kube::ObjectPtr& pod : cluster.Objects(kube::kPods)) {
    const std::string name(kube::NameOf(*pod)), uid(kube::UidOf(*pod));
    const std::string node(kube::StringAt(*pod, "/spec/nodeName"));
    const std::string_view phase = kube::StringAt(*pod, "/status/phase");
    if (lost_nodes.contains(node)) {
      if (workers_.contains(uid)) alive.insert(uid);
    } else if (!kube::StringAt(*pod, "/metadata/deletionTimestamp").empty()) {
      if (StopPod(name, uid)) alive.insert(uid);
    } else if (phase != "Failed") {  // evicted: nothing runs
      alive.insert(uid);
      const bool runs = phase == "Running" && (workers_.contains(uid) || node.empty());
      if (kubelets_work && !runs && (phase != "Pending" || !without_image.contains(name))) {
        StartPod(name, uid);
      }
    }
  }
  // Pods that were removed by force take their worker with them, at once or soon.
  const auto gone = [&](const FakeWorker& worker) {
    return !alive.contains(worker.uid) && clock.Monotonic() >= worker.lives_until;
  };
  for (auto& [uid, worker] : workers_) {
    if (gone(worker)) HangUp(worker);
  }
  std::erase_if(workers_, [&](const auto& entry) { return gone(entry.second); });
}

void World::LoseNode(const std::string& node, bool dies) {
  lost_nodes.insert(node);
  cluster.view().AddNode(node).ready = false;
  for (auto& [uid, worker] : workers_) {
    if (worker.node != node) continue;
    worker.cut = true;
    worker.connection = 0;  // the controller hears of nothing
  }
  if (!dies) return;
  std::erase_if(workers_, [&](const auto& entry) { return entry.second.node == node; });
}

void World::ReturnNode(std::string node) {
  lost_nodes.erase(node);
  cluster.view().AddNode(node);
  for (auto& [uid, worker] : workers_) {
    if (worker.node == node) worker.cut = false;
  }
}

// ---- agents ------------------------------------------------------------------------------------

void World::RestartAgent() {
  ++agent_starts_;
  reports_ = 0;
  cpu_ns_.clear();
  sent_bytes_.clear();
}

void World::RunAgents() {
  if (!agents_report) return;
  messages::UsageReport report;
  report.set_sequence(++reports_);
  report.set_complete(true);
  report.set_interval_end_ns(clock.Monotonic().time_since_epoch().count());
  report.set_wall_end_ns(std::chrono::nanoseconds(clock.Now().time_since_epoch()).count());
  for (const auto& [uid, worker] : workers_) {
    if (unmeasured.contains(worker.pod) || worker.cut) continue;
    const auto set = cpu.find(worker.pod);
    const double millicores = set == cpu.end() ? 5 : set->second;
    cpu_ns_[uid] += static_cast<uint64_t>(static_cast<int64_t>(millicores * 1e6));
    messages::PodCounters& pod = *report.add_pods();
    pod.set_pod_uid(uid);
    pod.mutable_usage()->set_cpu_ns(cpu_ns_[uid]);
    const auto bytes = sent.find(worker.pod);
    sent_bytes_[uid] += static_cast<uint64_t>(bytes == sent.end() ? 0 : bytes->second);
    pod.mutable_usage()->set_network_send_bytes(sent_bytes_[uid]);
    audit_->OnMeasured(worker.pod, millicores);
  }
  std::map<std::string, kube::ObjectPtr> rows;
  for (const kube::ObjectPtr& row : cluster.List(kube::kBackupPods)) {
    rows[std::string(kube::StringAt(*row, "/status/podUID"))] = row;
  }
  const std::string epoch = "epoch" + std::to_string(agent_starts_);
  const auto stream = static_cast<uint64_t>(agent_starts_);
  for (const PodSample& one :
       brain_->usage.Add({"node", epoch, stream, UnknownSignals(hello)}, report)) {
    const auto row = rows.find(one.pod_uid);
    if (row == rows.end()) continue;
    const auto due = brain_->gate.Admit(
        std::string(kube::LabelOf(*row->second, api::kLabelRequestUid)), one.sample);
    if (!due) continue;
    brain_->env.Wake(kRequestKey, kNs,
                     std::string(kube::StringAt(*row->second, "/spec/requestRef/name")), *due);
  }
}

// ---- the cluster's own controllers -------------------------------------------------------------

void World::CollectGarbage() {
  std::set<std::string> owners;
  for (const kube::ObjectPtr& request : cluster.Objects(kube::kComputeRequests)) {
    owners.emplace(kube::UidOf(*request));
  }
  for (const kube::Resource* resource : {&kube::kBackupPods, &kube::kPods}) {
    for (const kube::ObjectPtr& object : cluster.Objects(*resource)) {
      const bool deleting = !kube::StringAt(*object, "/metadata/deletionTimestamp").empty();
      const bool owned = owners.contains(OwnerOf(*object));
      if (!owned && !deleting) {
        cluster.UserDelete(*resource, kNs, std::string(kube::NameOf(*object)));
      }
      if (owned) owners.emplace(kube::UidOf(*object));
    }
  }
}

}  // namespace longshore::controller
