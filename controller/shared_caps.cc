// SPDX-License-Identifier: Apache-2.0
#include "controller/shared_caps.h"

#include <algorithm>
#include <ranges>
#include <set>

#include "common/base/strings.h"
#include "common/scaling/deadline.h"
#include "controller/crew.h"
#include "controller/operation_moves.h"
#include "controller/pod_facts.h"
#include "controller/steering.h"

namespace longshore::controller {
namespace {

using kube::ObjectPtr;
using kube::StringAt;

// Objects are read without being parsed whole: there may be thousands.
int IntAt(const api::Json& object, const char* pointer, int otherwise) {
  const api::Json::json_pointer path(pointer);
  if (!object.contains(path) || !object.at(path).is_number_integer()) return otherwise;
  return object.at(path).get<int>();
}

std::string RequestOf(const api::Json& object) {
  return std::string(StringAt(object, "/spec/requestRef/name"));
}

// Of spec.sourceRef: "NS/NAME".
std::string SourceOf(const api::Json& object) {
  const std::string_view ns = StringAt(object, "/spec/sourceRef/namespace");
  return std::string(ns.empty() ? kube::NamespaceOf(object) : ns) + "/" +
         std::string(StringAt(object, "/spec/sourceRef/name"));
}

scaling::Claim ClaimOf(const api::Json& request, WallTime now) {
  scaling::Claim claim;
  claim.source = SourceOf(request);
  claim.deadline = ParseTime(StringAt(request, "/spec/deadline"))
                       .value_or(scaling::NextDaily(StringAt(request, "/spec/dailyDeadline"), now)
                                     .value_or(WallTime::max()));
  claim.since = ParseTime(StringAt(request, "/metadata/creationTimestamp")).value_or(WallTime());
  return claim;
}

// Of a condition that is False, else "".
std::string_view WhyNot(const api::Json& request, std::string_view type) {
  const api::Json::json_pointer path("/status/conditions");
  if (!request.contains(path)) return "";
  for (const api::Json& condition : request.at(path)) {
    if (StringAt(condition, "/type") == type && StringAt(condition, "/status") == "False") {
      return StringAt(condition, "/reason");
    }
  }
  return "";
}

// Nothing is in the way of another pod: it was accepted, and those before have no trouble.
bool CanMakePods(const api::Json& request) {
  const std::string_view why = WhyNot(request, "PodsProvisioned");
  return StringAt(request, "/metadata/deletionTimestamp").empty() &&
         WhyNot(request, "Accepted").empty() &&
         (why.empty() || why == "CreatingPods" || why == kReasonContainerCreating ||
          why == api::kLimitNamespace);
}

int PodsWanted(const api::Json& request) {
  if (StringAt(request, "/status/lastDecision/time").empty()) {
    return IntAt(request, "/spec/pods/initial", 1);
  }
  return IntAt(request, "/status/desiredPods", 0);
}

// What a request has to do with writers.
struct Backups {
  int active = 0;                              // a pod has them
  std::set<std::string, std::less<>> waiting;  // any of its pods may have them now
  int free_pods = 0;
  WallTime free_since = WallTime::max();  // the first of those
};

bool IsActive(std::string_view state) {
  return state == api::kPreparing || state == api::kRunning || state == api::kCommitting;
}
bool Waits(std::string_view state) { return state.empty() || state == api::kQueued; }

bool IsForAnyPod(const api::Json& operation) {
  const api::Json::json_pointer cancel("/spec/cancel");
  return StringAt(operation, "/spec/podRef/name").empty() &&
         !(operation.contains(cancel) && operation.at(cancel) == true);
}

bool IsDue(const ObjectPtr& object, WallTime now) {
  if (IntAt(*object, "/status/attempt", 0) == 0) return true;
  const auto operation = ReadObject<api::Operation>(object);
  return operation && RetryIn(*operation, now).count() == 0;
}

// A pod that can be given work, or was claimed for a backup which is about to say so itself.
void AddRow(const Cluster& cluster, const api::BackupPod& row, const UsablePod& usable,
            Backups& backups) {
  const std::string lease = row.status.lease ? row.status.lease->operation : "";
  if (!lease.empty()) {
    const ObjectPtr operation = cluster.Get(kube::kOperations, row.metadata.ns, lease);
    const bool silent = operation && Waits(StringAt(*operation, "/status/state")) &&
                        StringAt(*operation, "/spec/type") == api::kBackup;
    if (silent) ++backups.active;
    if (const auto found = backups.waiting.find(lease); found != backups.waiting.end()) {
      backups.waiting.erase(found);
    }
  }
  if (row.status.state != api::kAvailable) return;
  if (usable && !usable(row.status.pod_uid)) return;
  ++backups.free_pods;
  const auto since = ParseTime(row.status.last_transition_time);
  if (since) backups.free_since = std::min(backups.free_since, *since);
}

// Operations of other requests that pods have on the source now.
int OfOthers(const Cluster& cluster, const api::ComputeRequest& request,
             const std::string& source) {
  int active = 0;
  for (const ObjectPtr& operation : cluster.List(kube::kOperations)) {
    const bool own = kube::NamespaceOf(*operation) == request.metadata.ns &&
                     RequestOf(*operation) == request.metadata.name;
    if (!own && IsActive(StringAt(*operation, "/status/state")) && SourceOf(*operation) == source) {
      ++active;
    }
  }
  return active;
}

int MaxConcurrent(const Cluster& cluster, const std::string& source) {
  const size_t slash = source.find('/');
  const int otherwise = api::BackupSourceSpec().max_concurrent;
  const ObjectPtr object =
      cluster.Get(kube::kBackupSources, source.substr(0, slash), source.substr(slash + 1));
  return object ? IntAt(*object, "/spec/maxConcurrent", otherwise) : otherwise;
}

// What the nodes may have by the policy's maxPodsPerNode: the request's bound pods, and the places
// that are left of those that others look for.
std::optional<api::ScalingLimit> NodeLimit(const Cluster& cluster,
                                           const api::ComputeRequest& request,
                                           const References& references) {
  const auto view = cluster.View();
  const auto places = PlacesUnderNodeCap({references, request, *view, {}});
  if (!places) return std::nullopt;
  const auto is_own = [&](const api::BackupPod& row) {
    return row.metadata.ns == request.metadata.ns &&
           row.spec.request_ref.name == request.metadata.name;
  };
  int pods = *places;
  for (const api::BackupPodPtr& row : cluster.RowsLooking()) {
    if (!is_own(*row)) --pods;
  }
  for (const api::BackupPodPtr& row : cluster.RowsOf(request.metadata.ns, request.metadata.name)) {
    if (!api::Ended(row->status.state) && !row->status.node_name.empty()) ++pods;
  }
  const api::PodPolicy& policy = references.policy;
  return api::ScalingLimit{api::kLimitNode, std::max(0, pods),
                           "PodPolicy " + policy.metadata.name + " has spec.maxPodsPerNode " +
                               std::to_string(policy.spec.max_pods_per_node.value_or(0)) +
                               ", and nodes that would do have room for " +
                               std::to_string(std::max(0, *places)) +
                               " more: raise it, or add nodes"};
}

// Also of a request that has and wants nothing so far.
scaling::Claim& Own(std::map<std::string, scaling::Claim>& claims,
                    const api::ComputeRequest& request, WallTime now) {
  const auto [own, made] = claims.try_emplace(request.metadata.name);
  if (made) own->second = ClaimOf(api::WriteJson(request), now);
  return own->second;
}

// The requests that have most of the pods, without numbers, which change too often to be written.
std::string OtherHolders(const SharedCap& cap, const std::string& request) {
  constexpr size_t kNamed = 3;
  std::vector<std::pair<int, std::string>> holders;  // most first, then by name
  for (const auto& [name, claim] : cap.claims) {
    if (name != request && claim.has > 0) holders.emplace_back(-claim.has, name);
  }
  std::ranges::sort(holders);
  std::vector<std::string> names;
  for (const auto& [has, name] : holders | std::views::take(kNamed)) names.push_back(name);
  std::ranges::sort(names);  // which has most changes more often than which three have
  return Join(names, ", ") + (holders.size() > kNamed ? " and more" : "");
}

}  // namespace

std::map<std::string, int> SharedCap::Next(const api::ComputeRequest& request, int wants) const {
  auto wanted = claims;
  Own(wanted, request, now).wants = wants;
  return scaling::DivideFairly(wanted, free);
}

int SharedCap::Share(const api::ComputeRequest& request, int wants) const {
  auto wanted = claims;
  Own(wanted, request, now).wants = wants;
  for (auto& [name, claim] : wanted) claim.has = 0;
  return scaling::DivideFairly(wanted, cap)[request.metadata.name];
}

std::optional<SharedCap> PodsOfNamespace(const Cluster& cluster, const std::string& ns,
                                         WallTime now) {
  SharedCap pods;
  pods.now = now;
  for (const ObjectPtr& policy : cluster.List(kube::kPodPolicies)) {
    const int most = IntAt(*policy, "/spec/maxPodsPerNamespace", 0);
    if (kube::NamespaceOf(*policy) != ns || most <= 0) continue;
    if (!pods.set_by.empty() && pods.cap <= most) continue;
    pods.cap = most;
    pods.set_by = kube::NameOf(*policy);
  }
  if (pods.set_by.empty()) return std::nullopt;
  pods.free = pods.cap;
  for (const ObjectPtr& request : cluster.List(kube::kComputeRequests)) {
    if (kube::NamespaceOf(*request) != ns) continue;
    pods.claims[std::string(kube::NameOf(*request))] = ClaimOf(*request, now);
  }
  for (const api::BackupPodPtr& row : cluster.Rows(ns)) {
    const std::string& state = row->status.state;
    const bool ended = api::Ended(state);
    if (!ended || FactsOf(cluster.Get(kube::kPods, ns, row->metadata.name)).alive()) --pods.free;
    const auto claim = pods.claims.find(row->spec.request_ref.name);
    if (claim == pods.claims.end()) continue;
    if (!ended && state != api::kDraining) ++claim->second.has;
    const auto made = ParseTime(row->metadata.creation_timestamp);
    if (made) claim->second.since = std::max(claim->second.since, *made);
  }
  for (auto& [name, claim] : pods.claims) {
    const ObjectPtr request = cluster.Get(kube::kComputeRequests, ns, name);
    claim.wants = request && CanMakePods(*request) ? PodsWanted(*request) : claim.has;
  }
  return pods;
}

bool WritesInto::operator()(const std::string& request) {
  const auto [known, asked] = known_.try_emplace(request);
  if (!asked) return known->second;
  const ObjectPtr object = cluster_.Get(kube::kComputeRequests, ns_, request);
  const ObjectPtr policy =
      object ? cluster_.Get(kube::kPodPolicies, ns_,
                            std::string(StringAt(*object, "/spec/policyRef/name")))
             : nullptr;
  known->second = !policy || StringAt(*policy, "/spec/repositoryRef/name") == repository_;
  return known->second;
}

SharedCap WritersOf(const Cluster& cluster, const std::string& ns, const std::string& repository,
                    int max_writers, const UsablePod& usable, WallTime now) {
  WritesInto writes(cluster, ns, repository);
  std::map<std::string, Backups> by_request;
  std::map<std::string, int> on_source;  // operations of all namespaces
  for (const ObjectPtr& operation : cluster.List(kube::kOperations)) {
    const std::string_view state = StringAt(*operation, "/status/state");
    if (!IsActive(state) && !Waits(state)) continue;
    if (IsActive(state)) ++on_source[SourceOf(*operation)];
    if (StringAt(*operation, "/spec/type") != api::kBackup || kube::NamespaceOf(*operation) != ns) {
      continue;
    }
    const std::string request = RequestOf(*operation);
    if (!writes(request)) continue;
    Backups& backups = by_request[request];
    if (IsActive(state)) {
      ++backups.active;
    } else if (IsForAnyPod(*operation) && IsDue(operation, now)) {
      backups.waiting.emplace(kube::NameOf(*operation));
    }
  }
  SharedCap writers{max_writers, max_writers, "", {}, now};
  for (auto& [name, backups] : by_request) {
    const int told = backups.active;
    for (const api::BackupPodPtr& row : cluster.RowsOf(ns, name)) {
      AddRow(cluster, *row, usable, backups);
    }
    writers.free -= backups.active;
    const ObjectPtr request = cluster.Get(kube::kComputeRequests, ns, name);
    if (!request) continue;
    scaling::Claim& claim = writers.claims[name] = ClaimOf(*request, now);
    on_source[claim.source] += backups.active - told;
    claim.has = backups.active;
    if (backups.free_pods > 0) claim.since = backups.free_since;
    int pods = usable ? backups.free_pods : IntAt(*request, "/spec/pods/max", 1) - claim.has;
    if (!WhyNot(*request, "Accepted").empty()) pods = 0;
    claim.wants =
        claim.has + std::clamp(static_cast<int>(backups.waiting.size()), 0, std::max(0, pods));
  }
  for (auto& [name, claim] : writers.claims) {
    const int room = MaxConcurrent(cluster, claim.source) - on_source[claim.source];
    claim.wants = std::min(claim.wants, claim.has + std::max(0, room));
  }
  return writers;
}

std::vector<api::ScalingLimit> CapsOf(const Cluster& cluster, const api::ComputeRequest& request,
                                      const References& references, bool others, WallTime now) {
  const api::ObjectMeta& meta = request.metadata;
  const api::BackupSource& source = references.source;
  const api::BackupRepository& repository = references.repository;
  const int most = request.spec.pods.max;
  const auto limit = [](const char* reason, const std::string& of, const char* field, int value,
                        int taken) {
    std::string message = of + " has " + field + " " + std::to_string(value);
    if (taken > 0) message += ", and other requests have work for " + std::to_string(taken);
    return api::ScalingLimit{reason, std::max(0, value - taken), message + ": raise it"};
  };
  const int at_once = source.spec.max_concurrent;
  std::vector<api::ScalingLimit> caps = {
      limit(api::kLimitSource, "source " + source.metadata.name, "spec.maxConcurrent", at_once,
            others ? OfOthers(cluster, request, source.metadata.Key()) : 0)};
  if (request.spec.purpose == api::kBackup) {
    const int writers = repository.spec.max_writers;
    const int share =
        others ? WritersOf(cluster, meta.ns, repository.metadata.name, writers, nullptr, now)
                     .Share(request, most)
               : writers;
    caps.push_back(limit(api::kLimitRepository, "repository " + repository.metadata.name,
                         "spec.maxWriters", writers, writers - share));
  }
  if (!others) return caps;
  if (auto nodes = NodeLimit(cluster, request, references)) caps.push_back(*std::move(nodes));
  if (const auto pods = PodsOfNamespace(cluster, meta.ns, now)) {
    caps.push_back(NamespaceLimit(*pods, meta, pods->Share(request, most)));
  }
  return caps;
}

api::ScalingLimit NamespaceLimit(const SharedCap& cap, const api::ObjectMeta& request, int pods) {
  const std::string others = OtherHolders(cap, request.name);
  return {api::kLimitNamespace, pods,
          "namespace " + request.ns + " may have " + std::to_string(cap.cap) +
              " backup pods (spec.maxPodsPerNamespace of PodPolicy " + cap.set_by + "), of which " +
              std::to_string(pods) + (pods == 1 ? " is" : " are") + " for this request" +
              (others.empty() ? "" : "; pods are with " + others) + ": raise it, or end others"};
}

}  // namespace longshore::controller
