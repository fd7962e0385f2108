// SPDX-License-Identifier: Apache-2.0
//
// Audit: what exists and what was announced, after each reconcile and at rest.
#include "tests/controller/audit.h"

#include <algorithm>

#include "common/base/log.h"
#include "controller/busy_budget.h"
#include "controller/pod_facts.h"
#include "controller/pod_reconciler.h"
#include "tests/controller/world_brain.h"

namespace longshore::controller {
namespace {

using std::chrono::seconds;

constexpr size_t kMostViolations = 20;
constexpr seconds kReaped{60};
constexpr seconds kSaid{15};  // that something is waited for
constexpr seconds kHeardAgain{2};

std::string Text(const api::Json& object, const char* pointer) {
  return std::string(kube::StringAt(object, pointer));
}

bool RowEnded(const api::Json& row) { return api::Ended(kube::StringAt(row, "/status/state")); }

// What has to be of a kind for so long before it counts.
bool Lasts(std::map<std::string, MonotonicTime>& since, const std::string& what, bool is,
           MonotonicTime now, seconds time) {
  if (!is) {
    since.erase(what);
    return false;
  }
  return now - since.try_emplace(what, now).first->second > time;
}

}  // namespace

void Audit::Violate(const std::string& what) {
  if (world_.violations.size() >= kMostViolations) return;
  const auto at = std::chrono::duration<double>(now() - FakeClock().Monotonic()).count();
  world_.violations.push_back(std::to_string(at).substr(0, 7) + " s: " + what);
  LogWarn("violated", {{"what", what}});
}

std::optional<api::BackupPod> Audit::Row(const std::string& name) const {
  return ReadObject<api::BackupPod>(world_.cluster.Object(kube::kBackupPods, kNs, name));
}

std::optional<api::Operation> Audit::Operation(const std::string& name) const {
  return ReadObject<api::Operation>(world_.cluster.Object(kube::kOperations, kNs, name));
}

void Audit::AfterStep(bool all) {
  ReadAnnouncements();
  if (!all) return;
  CheckPods();
  CheckRows();
  CheckWork();
}

// Each transition is announced once, after it is durable, in the order of the transitions.
void Audit::ReadAnnouncements() {
  auto page = world_.brain_->events.Read(cursor_, std::chrono::milliseconds(0));
  LS_CHECK(page.has_value());
  cursor_ = page->cursor;
  for (Announcement& one : page->announcements) {
    if (one.revision <= revision_) Violate("I5: a revision falls");
    revision_ = one.revision;
    std::string subject;
    if (one.data.contains("pods")) {
      subject = "pod/" + one.data["pods"][0].get<std::string>();
    } else if (one.type == "OperationStarted" || one.type == "OperationFinished") {
      subject = "operation/" + one.data["operation"].get<std::string>();
    } else if (one.type == "ScalingDecided") {
      subject = "request/" + one.request;
    }
    if (!subject.empty()) {
      std::deque<std::string>& owed = owed_[subject];
      if (owed.empty() || owed.front() != one.type) {
        Violate("I5: " + one.type + " of " + subject + " is announced, not " +
                (owed.empty() ? "anything" : owed.front()));
      } else {
        owed.pop_front();
      }
    }
    heard_.push_back(std::move(one));
  }
  if (world_.cluster.crashed()) return;
  for (const auto& [subject, types] : owed_) {
    for (const std::string& type : types)
      Violate("I5: " + type + " of " + subject + " is not told");
  }
  owed_.clear();
}

// I2, I3: one Pod a slot and attempt, no more than the caps; busy ones are safe from evictions.
void Audit::CheckPods() {
  int may_run = 0;
  std::ptrdiff_t busy = 0;
  std::set<std::string> slots;
  for (const kube::ObjectPtr& pod : world_.cluster.Objects(kube::kPods)) {
    const bool leaves = !kube::StringAt(*pod, "/metadata/deletionTimestamp").empty();
    if (!kube::LabelOf(*pod, kLabelBusy).empty() && !leaves) ++busy;
    if (kube::StringAt(*pod, "/status/phase") == "Failed") continue;
    ++may_run;
    std::string slot(kube::LabelOf(*pod, api::kLabelRequestUid));
    if (slot.empty()) continue;  // not ours
    for (const char* label : {api::kLabelSlot, api::kLabelAttempt}) {
      slot += "/" + std::string(kube::LabelOf(*pod, label));
    }
    if (!slots.insert(slot).second) Violate("I2: two Pods of slot " + slot);
  }
  if (may_run > world_.max_pods) Violate("I3: more pods than the cap");
  const auto budget = world_.cluster.Object(kube::kPodDisruptionBudgets, kNs, kBusyBudget);
  if (busy > (budget ? budget->at("spec").value("minAvailable", 0) : 0)) {
    Violate("a busy pod may be evicted");
  }
}

// I3, I4: rows and Pods together are within the caps; what is offered does not work.
void Audit::CheckRows() {
  std::map<std::string, std::set<std::string>> exist;  // names, by request UID
  for (const kube::ObjectPtr& pod : world_.cluster.Objects(kube::kPods)) {
    const std::string request(kube::LabelOf(*pod, api::kLabelRequestUid));
    if (!request.empty() && kube::StringAt(*pod, "/status/phase") != "Failed") {
      exist[request].emplace(kube::NameOf(*pod));
    }
  }
  for (const kube::ObjectPtr& row : world_.cluster.Objects(kube::kBackupPods)) {
    const std::string name(kube::NameOf(*row));
    if (!RowEnded(*row))
      exist[std::string(kube::LabelOf(*row, api::kLabelRequestUid))].insert(name);
    if (kube::StringAt(*row, "/status/state") != api::kAvailable) continue;
    const auto worker = world_.workers_.find(Text(*row, "/status/podUID"));
    if (worker != world_.workers_.end() && worker->second.running_epoch != 0) {
      Violate("I4: " + name + " is offered while it works");
    }
  }
  int all = 0;
  std::string names;
  for (const kube::ObjectPtr& request : world_.cluster.Objects(kube::kComputeRequests)) {
    const std::string uid(kube::UidOf(*request));
    int& most = most_pods_[uid];
    most = std::max(most, request->at("spec").at("pods").value("max", 0));
    const int count = static_cast<int>(exist[uid].size());
    all += count;
    for (const std::string& name : exist[uid]) names += " " + name;
    if (count > most) {
      Violate("I3: " + std::string(kube::NameOf(*request)) + " has " + std::to_string(count) +
              " pods of " + std::to_string(most));
    }
  }
  for (const kube::ObjectPtr& policy : world_.cluster.Objects(kube::kPodPolicies)) {
    const int cap = policy->at("spec").value("maxPodsPerNamespace", world_.max_pods);
    if (cap <= world_.max_pods && world_.max_pods < 100 && all > cap) {
      Violate("I3: the namespace has " + std::to_string(all) + " pods of " + std::to_string(cap) +
              ":" + names);
    }
  }
}

// I2: no operation is executed twice at once, wherever its processes are.
void Audit::CheckWork() {
  std::map<std::string, int> running;
  for (const auto& [uid, worker] : world_.workers_) {
    if (worker.running_epoch != 0 && ++running[worker.operation] > 1) {
      Violate("I2: operation " + worker.operation + " is executed twice at once");
    }
  }
}

// ---- at rest -----------------------------------------------------------------------------------

bool Audit::Settled() {
  const bool troubled = world_.cluster.troubled();
  if (troubled && !troubled_) trouble_began_ = now();
  if (troubled) trouble_ended_ = now();
  troubled_ = troubled;
  // What failed is tried again after no longer than it has failed.
  const auto back_off =
      std::min<std::chrono::nanoseconds>(trouble_ended_ - trouble_began_, seconds(60));
  return !troubled && now() - trouble_ended_ > back_off + seconds(1) &&
         now() - booted_ > world_.brain_->env.settings.leader_grace + seconds(1);
}

void Audit::AtRest() {
  if (!Settled()) {
    unowned_since_.clear(), wanting_since_.clear(), waiting_since_.clear();
    return;
  }
  for (const kube::ObjectPtr& object : world_.cluster.Objects(kube::kBackupPods)) {
    if (kube::StringAt(*object, "/status/state") != api::kAvailable) continue;
    if (const auto row = ReadObject<api::BackupPod>(object)) CheckOffered(*row);
  }
  CheckOwned();
  CheckSaid();
}

// I4: ready, heard of, unleased, of the current epoch, and not on its way out.
void Audit::CheckOffered(const api::BackupPod& row) {
  const std::string& name = row.metadata.name;
  const auto worker = world_.brain_->workers.Facts(row.status.pod_uid);
  const auto silence = world_.brain_->env.settings.offer_silence + kHeardAgain;
  if (!worker || now() - worker->heard > silence)
    Violate("I4: " + name + " is offered, and silent");
  if (worker && worker->last_epoch > static_cast<uint64_t>(row.status.epoch)) {
    Violate("I4: " + name + " is offered under an old epoch");
  }
  const PodFacts pod = FactsOf(world_.cluster.Object(kube::kPods, kNs, name));
  if (pod.uid != row.status.pod_uid || !pod.alive() || pod.deleting) {
    Violate("I4: " + name + " is offered without a Pod that stays");
  }
}

// I7: each Pod has a row that wants it, or goes within a minute.
void Audit::CheckOwned() {
  for (const kube::ObjectPtr& pod : world_.cluster.Objects(kube::kPods)) {
    if (kube::LabelOf(*pod, api::kLabelRequestUid).empty()) continue;
    const std::string name(kube::NameOf(*pod)), uid(kube::UidOf(*pod));
    const kube::ObjectPtr row = world_.cluster.Object(kube::kBackupPods, kNs, name);
    const bool owned =
        row && !RowEnded(*row) &&
        kube::UidOf(*row) == kube::StringAt(*pod, "/metadata/ownerReferences/0/uid") &&
        (Text(*row, "/status/podUID").empty() || Text(*row, "/status/podUID") == uid);
    const bool left = !owned && kube::StringAt(*pod, "/metadata/deletionTimestamp").empty();
    if (Lasts(unowned_since_, uid, left, now(), kReaped)) Violate("I7: nobody owns Pod " + name);
  }
}

// I6: whatever waits says for what.
void Audit::CheckSaid() {
  std::map<std::string, int, std::less<>> working;  // by request UID
  for (const kube::ObjectPtr& row : world_.cluster.Objects(kube::kBackupPods)) {
    const std::string_view state = kube::StringAt(*row, "/status/state");
    if (state == api::kAvailable || state == api::kAssigned) {
      ++working[std::string(kube::LabelOf(*row, api::kLabelRequestUid))];
    }
  }
  for (const kube::ObjectPtr& object : world_.cluster.Objects(kube::kComputeRequests)) {
    const auto request = ReadObject<api::ComputeRequest>(object);
    if (!request || request->metadata.deleting()) continue;
    const auto* accepted = api::FindCondition(request->status.conditions, "Accepted");
    const auto* made = api::FindCondition(request->status.conditions, "PodsProvisioned");
    const bool wants = working[request->metadata.uid] < request->status.desired_pods;
    const bool says = (accepted != nullptr && accepted->status == "False") ||
                      (made != nullptr && made->status == "False" && !made->reason.empty() &&
                       !made->message.empty());
    if (Lasts(wanting_since_, request->metadata.uid, wants && !says, now(), kSaid)) {
      Violate("I6: request " + request->metadata.name + " waits and does not say for what");
    }
  }
  for (const kube::ObjectPtr& object : world_.cluster.Objects(kube::kOperations)) {
    const auto operation = ReadObject<api::Operation>(object);
    if (!operation || api::Terminal(operation->status.state)) continue;
    const auto* said = api::FindCondition(operation->status.conditions, "Succeeded");
    const bool says = said != nullptr && said->status == "Unknown" && !said->reason.empty() &&
                      !said->message.empty();
    if (Lasts(waiting_since_, operation->metadata.uid, !says, now(), kSaid)) {
      Violate("I6: operation " + operation->metadata.name + " does not say what it waits for");
    }
  }
}

}  // namespace longshore::controller
