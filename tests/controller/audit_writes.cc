// SPDX-License-Identifier: Apache-2.0
//
// Audit: what a controller writes and says, in the moment it does.
#include <algorithm>
#include <cstdlib>

#include "controller/operation_moves.h"
#include "controller/pod_reconciler.h"
#include "controller/pod_template.h"
#include "tests/controller/world_brain.h"

namespace longshore::controller {
namespace {

using By = FakeCluster::By;
using std::chrono::seconds;

constexpr seconds kLongestSpan{10};  // of one sample
constexpr seconds kFresh{5};

std::string StateOf(const std::optional<api::BackupPod>& row) {
  if (!row) return "";
  return row->status.state.empty() ? api::kPlanned : row->status.state;
}

bool Silently(const std::string& reason) {
  return reason == kReasonUnplaced || reason == kReasonRequireTimedOut || reason == "NameTaken";
}

}  // namespace

void Audit::OnBoot() {
  cursor_.clear();
  revision_ = 0;
  owed_.clear();
  measured_.clear();
  booted_ = now();
}

void Audit::Owe(const std::string& subject, const std::string& type) {
  owed_[subject].push_back(type);
}

void Audit::OnWritten(const kube::Resource& resource, By by, const kube::ObjectPtr& before,
                      const kube::ObjectPtr& after) {
  if (resource.plural == kube::kBackupPods.plural) OnRowWritten(by, before, after);
  if (resource.plural == kube::kOperations.plural && by != By::kDead) {
    OnOperationWritten(before, after);
  }
  if (resource.plural == kube::kComputeRequests.plural) OnRequestWritten(by, before, after);
  const bool deleted = before && after &&
                       kube::StringAt(*before, "/metadata/deletionTimestamp").empty() &&
                       !kube::StringAt(*after, "/metadata/deletionTimestamp").empty();
  if (resource.plural == kube::kPods.plural && deleted) OnPodDeleted(*before);
}

// Withdrawn before it goes, and never while it works; a stuck one is another matter.
void Audit::OnPodDeleted(const api::Json& pod) {
  const std::string name(kube::NameOf(pod));
  const auto worker = world_.workers_.find(std::string(kube::UidOf(pod)));
  if (worker != world_.workers_.end() && worker->second.running_epoch != 0 &&
      !worker->second.hung) {
    Violate("I1: the busy pod " + name + " is deleted");
  }
  const auto row = Row(name);
  if (!row || row->status.pod_uid != kube::UidOf(pod)) return;
  const std::string state = StateOf(row);
  const bool withdrawn = state == api::kDraining || state == api::kFailed || state == api::kLost ||
                         state == api::kDeconstructed ||
                         (state == api::kAssigned && row->status.reason == kReasonStalled);
  if (!withdrawn) Violate("I5: pod " + name + " is deleted while it is " + state);
}

void Audit::OnRowWritten(By by, const kube::ObjectPtr& before, const kube::ObjectPtr& after) {
  const auto was = ReadObject<api::BackupPod>(before), is = ReadObject<api::BackupPod>(after);
  if (!is) return;
  const std::string from = StateOf(was), to = StateOf(is), subject = "pod/" + is->metadata.name;
  if (is->status.lease.has_value() != (to == api::kAssigned)) {
    Violate("I4: " + is->metadata.name + " is " + to +
            (is->status.lease ? " and leased" : " without a lease"));
  }
  if (was && is->status.epoch < was->status.epoch) Violate("I5: an epoch of " + subject + " falls");
  if (by == By::kDead || from == to) return;
  if (to == api::kAvailable) CheckOffer(*is);
  if (from == api::kAvailable && to != api::kAssigned) Owe(subject, "PodsWithdrawn");
  if (to == api::kAvailable) Owe(subject, "PodsAvailable");
  const bool lost = to == api::kFailed || to == api::kLost;
  if (lost && !Silently(is->status.reason)) Owe(subject, "PodLost");
  if (to == api::kDeconstructed) Owe(subject, "PodDeconstructed");
}

// In the moment of the offer, by what the controller knows then.
void Audit::CheckOffer(const api::BackupPod& row) {
  const auto& brain = *world_.brain_;
  const std::string& name = row.metadata.name;
  const auto worker = brain.workers.Facts(row.status.pod_uid);
  if (!worker || !worker->Present(now(), brain.env.settings.offer_silence)) {
    return Violate("I4: " + name + " is offered (" + row.status.reason +
                   ") though nothing is heard of its worker");
  }
  if (worker->gate_closed) Violate("I4: " + name + " is offered with a closed gate");
  if (worker->running_epoch != 0) Violate("I4: " + name + " is offered with work");
  if (worker->last_epoch > static_cast<uint64_t>(row.status.epoch)) {
    Violate("I4: " + name + " is offered under an old epoch");
  }
  const PodFacts pod = FactsOf(world_.cluster.Get(kube::kPods, kNs, name));
  if (pod.uid != row.status.pod_uid || !pod.alive() || pod.deleting) {
    Violate("I4: " + name + " is offered without a Pod that stays");
  }
}

void Audit::OnOperationWritten(const kube::ObjectPtr& before, const kube::ObjectPtr& after) {
  const auto was = ReadObject<api::Operation>(before), is = ReadObject<api::Operation>(after);
  if (!is) return;
  const std::string subject = "operation/" + is->metadata.name;
  const std::string from = was ? was->status.state : "", to = is->status.state;
  if (api::Terminal(from)) Violate("I8: " + subject + " was " + from + " and is written again");
  if (from == to) return;
  if (to == api::kPreparing) Owe(subject, "OperationStarted");
  if (api::Terminal(to)) Owe(subject, "OperationFinished");
}

void Audit::OnRequestWritten(By by, const kube::ObjectPtr& before, const kube::ObjectPtr& after) {
  const auto was = ReadObject<api::ComputeRequest>(before);
  const auto is = ReadObject<api::ComputeRequest>(after);
  if (!is || !was || by == By::kDead) return;
  if (is->status.last_decision.time == was->status.last_decision.time) return;
  Owe("request/" + is->metadata.name, "ScalingDecided");
  CheckDecision(*is);
}

// What nobody has measured decides nothing: who is to go has been measured for its idle time by
// this controller, and who is over a threshold is measured now.
void Audit::CheckDecision(const api::ComputeRequest& request) {
  const api::ScalingDecision& decision = request.status.last_decision;
  if (decision.inputs.empty()) return;
  const std::string& pod = decision.inputs.front().pod;
  const std::deque<Measured>& measured = measured_[pod];
  const bool fresh = !measured.empty() && now() - measured.back().at <= kFresh;
  if (decision.cause == api::kCauseThreshold) {
    const double up = std::strtod(decision.inputs.front().threshold.c_str(), nullptr);
    const bool over = std::any_of(measured.begin(), measured.end(), [&](const Measured& one) {
      return now() - one.at <= kFresh && one.millicores > up;
    });
    const bool by_cpu = decision.inputs.front().signal == "cpu";
    if (!fresh || (by_cpu && !over)) Violate("I8: grown for " + pod + ", which nobody measured");
  }
  if (decision.cause == api::kCauseIdle) {
    const seconds idle(request.spec.scaling.idle_seconds);
    std::chrono::nanoseconds covered{0};
    for (const Measured& one : measured) {
      if (one.at >= now() - idle) covered += one.span;
    }
    if (!fresh || covered < idle * 0.8 - seconds(1)) {
      Violate("I8: " + pod + " is to go, which nobody measured for its idle time");
    }
  }
}

void Audit::OnMeasured(const std::string& pod, double millicores) {
  std::deque<Measured>& measured = measured_[pod];
  const bool follows = !measured.empty() && now() - measured.back().at <= kLongestSpan;
  measured.push_back(
      {now(), follows ? now() - measured.back().at : std::chrono::nanoseconds(0), millicores});
  if (measured.size() > 600) measured.pop_front();
}

void Audit::OnSent(const std::string& pod_uid, const std::string& bytes) {
  const auto worker = world_.workers_.find(pod_uid);
  if (worker == world_.workers_.end()) return;
  const std::string& pod = worker->second.pod;
  messages::ControllerMessage message;
  LS_CHECK(message.ParseFromString(bytes));
  const auto row = Row(pod);
  const bool current = row && row->status.pod_uid == pod_uid;
  // Whether the row and the operation say that it works on that now.
  const auto has = [&](const std::optional<api::Operation>& operation, uint64_t epoch) {
    return operation && Active(*operation) && operation->status.pod == pod &&
           operation->status.epoch == static_cast<int64_t>(epoch) && current && row->status.lease &&
           row->status.lease->epoch == static_cast<int64_t>(epoch);
  };
  if (message.has_assign()) {
    const auto operation = Operation(message.assign().operation());
    if (operation && !has(operation, message.assign().epoch())) {
      Violate("I2: " + operation->metadata.name + " is assigned to " + pod +
              " before it is written");
    }
  }
  const auto held = current && row->status.lease ? Operation(row->status.lease->operation)
                                                 : std::optional<api::Operation>();
  if (message.has_cancel() && has(held, message.cancel().epoch()) && !held->spec.cancel) {
    Violate("I1: " + held->metadata.name + " is cancelled, which nobody wanted");
  }
  if (message.has_released() && has(held, message.released().epoch())) {
    Violate("I1: the result of " + held->metadata.name + " is released before it is written");
  }
  if (message.has_retire() && current && StateOf(row) != api::kDraining) {
    Violate("I5: " + pod + " is to retire while it is " + StateOf(row));
  }
}

void Audit::OnBegun(const FakeWorker& worker, const messages::Assign& assign) {
  const std::string& name = assign.operation();
  for (const auto& [uid, other] : world_.workers_) {
    if (other.running_epoch != 0 && other.operation == name) {
      Violate("I2: operation " + name + " runs on two pods");
    }
  }
  const auto operation = Operation(name);
  if (!operation) return;  // deleted under it
  if (api::Terminal(operation->status.state)) {
    Violate("I2: operation " + name + " begins on " + worker.pod + " when it has ended");
  }
  // A container that starts anew may be given the same attempt again.
  std::set<std::string>& begun = begun_[operation->metadata.uid];
  begun.insert(worker.uid + "/" + std::to_string(assign.epoch()));
  if (begun.size() > static_cast<size_t>(operation->status.attempt)) {
    Violate("I2: operation " + name + " begins more often than it is attempted");
  }
}

}  // namespace longshore::controller
