// SPDX-License-Identifier: Apache-2.0
//
// POST /v1/pods:acquire and …:release. Taking a pod is one compare-and-swap of its row (an update
// with resourceVersion), so two managers never get the same pod, whatever the informers still show.
#include <algorithm>
#include <optional>

#include "common/base/strings.h"
#include "controller/api/objects.h"
#include "controller/api/view.h"
#include "controller/cluster.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;

// How long an acquired pod is kept for its holder before the first operation begins.
constexpr std::chrono::seconds kLeaseTime{60};
// A worker that was silent for longer is not offered: it is probably gone.
constexpr int64_t kWorkerFreshMs = 3000;

struct Wish {
  std::string ns, request, key;
};

bool WorkerIsFresh(const ApiContext& api, const api::BackupPod& row) {
  const int64_t age = api.live.WorkerAgeMs(row.status.pod_uid);
  return age >= 0 && age <= kWorkerFreshMs;
}

int TierRank(const api::BackupPod& row) {
  static constexpr std::string_view kTiers[] = {"Node", "Rack", "Zone", "Region"};
  const auto* found = std::find(std::begin(kTiers), std::end(kTiers), row.status.tier);
  return static_cast<int>(found - std::begin(kTiers));
}

std::vector<api::BackupPodPtr> RowsOf(const ApiContext& api, const Wish& wish) {
  return api.state.backup_pods.ListByIndex(kByRequest, wish.ns + "/" + wish.request);
}

// Assignable now, nearest to the data first.
std::vector<api::BackupPodPtr> Assignable(const ApiContext& api, const Wish& wish) {
  std::vector<api::BackupPodPtr> rows = RowsOf(api, wish);
  std::erase_if(rows, [&](const auto& row) {
    return api::StateOf(*row) != api::kAvailable || !WorkerIsFresh(api, *row) ||
           row->metadata.deleting();
  });
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return std::pair(TierRank(*a), std::string_view(a->metadata.name)) <
           std::pair(TierRank(*b), std::string_view(b->metadata.name));
  });
  return rows;
}

http::Response AcquiredResponse(const api::BackupPod& row) {
  const api::PodLease lease = row.status.lease.value_or(api::PodLease());
  return JsonResponse({{"namespace", row.metadata.ns},
                       {"pod", row.metadata.name},
                       {"epoch", lease.epoch},
                       {"node", row.status.node_name},
                       {"endpoint", {{"pathway", "Relay"}}},
                       {"expires", lease.expires},
                       {"operation", lease.operation}});
}

// The pod that this caller holds under this key already. Errors: kConflict when the key was used
// for another request.
Result<api::BackupPodPtr> HeldUnderKey(const ApiContext& api, const Caller& caller,
                                       const Wish& wish) {
  const std::string key_hash = Sha256Hex(wish.key);
  for (const auto& row : api.state.backup_pods.ListByIndex(kByNamespace, wish.ns)) {
    const auto& lease = row->status.lease;
    if (!lease || lease->key != key_hash || lease->holder != caller.username) continue;
    const std::string& request = row->spec.request_ref.name;
    if (request == wish.request) return row;
    return Conflict("header Idempotency-Key: holds a pod of request " + request +
                    "; use a new key for another request");
  }
  return api::BackupPodPtr();
}

// Writes the status under the resourceVersion of `row`.
Result<api::BackupPod> WriteRow(ApiContext& api, api::BackupPod row) {
  row.status.last_transition_time = FormatTime(api.clock.Now());
  LS_ASSIGN_OR_RETURN(const Json written,
                      api.kube.Update(kube::kBackupPods, row.metadata.ns, ToJson(row), "status"));
  api.state.backup_pods.Observe(written);
  return api::ReadJson<api::BackupPod>(written);
}

// Writes the lease into a copy of the row. kConflict: somebody was faster, or the view was stale.
Result<api::BackupPod> TakeRow(ApiContext& api, const Caller& caller, const Wish& wish,
                               api::BackupPod row) {
  api::BackupPodStatus& status = row.status;
  status.state = api::kAssigned;
  ++status.epoch;
  status.lease = api::PodLease{.holder = caller.username,
                               .operation = "",
                               .epoch = status.epoch,
                               .expires = FormatTime(api.clock.Now() + kLeaseTime),
                               .key = Sha256Hex(wish.key)};  // rows may be read by many
  status.reason = "Acquired";
  status.message = "acquired by " + caller.username;
  return WriteRow(api, std::move(row));
}

// One of the pods that are assignable now; empty when there is none.
Result<std::optional<api::BackupPod>> TryAcquire(ApiContext& api, const Caller& caller,
                                                 const Wish& wish) {
  for (const auto& row : Assignable(api, wish)) {
    Result<api::BackupPod> taken = TakeRow(api, caller, wish, *row);
    if (taken) return std::optional(*std::move(taken));
    const Code code = taken.error().code;
    if (code != Code::kConflict && code != Code::kNotFound) return taken.error();
  }
  return std::optional<api::BackupPod>();
}

// "2 Assigned, 1 Provisioning": what the request's pods do instead of being available.
std::string DescribeStates(const ApiContext& api, const Wish& wish) {
  std::map<std::string, int> counts;
  for (const auto& row : RowsOf(api, wish)) ++counts[api::StateOf(*row)];
  std::string text;
  for (const auto& [state, count] : counts) {
    text += (text.empty() ? "" : ", ") + std::to_string(count) + " " + state;
  }
  return text.empty() ? "it has no pods" : "its pods: " + text;
}

Result<http::Response> AcquireOrWait(ApiContext& api, const Caller& caller, const Wish& wish,
                                     milliseconds wait) {
  const MonotonicTime until = api.clock.Monotonic() + wait;
  while (true) {
    const uint64_t seen = api.pods_changed.version();
    LS_ASSIGN_OR_RETURN(const auto held, HeldUnderKey(api, caller, wish));
    if (held) return AcquiredResponse(*held);
    LS_ASSIGN_OR_RETURN(const auto taken, TryAcquire(api, caller, wish));
    if (taken) return AcquiredResponse(*taken);
    const auto left = std::chrono::duration_cast<milliseconds>(until - api.clock.Monotonic());
    if (left.count() <= 0 || api.pods_changed.closed()) {
      return http::Problem(
          408, "No pod is available",
          "request " + wish.ns + "/" + wish.request + " has no available pod now (" +
              DescribeStates(api, wish) +
              "); ask again, wait longer (waitSeconds, --wait), or raise its pods.max");
    }
    // A worker's heartbeat going stale or fresh changes no row: look again each second.
    api.pods_changed.Wait(seen, std::min(left, milliseconds(1000)));
  }
}

Status CheckRequestTakesWork(ApiContext& api, const Wish& wish) {
  LS_ASSIGN_OR_RETURN(const Json object, GetObject(api, kube::kComputeRequests, api.state.requests,
                                                   wish.ns, wish.request));
  if (!kube::StringAt(object, "/metadata/deletionTimestamp").empty()) {
    return FailedPrecondition("request " + wish.ns + "/" + wish.request + " is being deleted");
  }
  return {};
}

}  // namespace

Result<http::Response> AcquirePod(ApiContext& api, const Caller& caller,
                                  const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {}));
  LS_ASSIGN_OR_RETURN(const std::string key, IdempotencyKey(request));
  LS_ASSIGN_OR_RETURN(const Json body, ParseBody(request, {"namespace", "request", "waitSeconds"}));
  LS_ASSIGN_OR_RETURN(const std::string ns, RequiredString(body, "namespace"));
  LS_ASSIGN_OR_RETURN(const std::string name, RequiredString(body, "request"));
  LS_RETURN_IF_ERROR(CheckNamespace("namespace", ns));
  LS_RETURN_IF_ERROR(CheckName("request", name));
  const Json wait_field = body.value("waitSeconds", Json(0));
  if (!wait_field.is_number_integer()) return InvalidArgument("waitSeconds: expected an integer");
  LS_ASSIGN_OR_RETURN(const int64_t wait, CheckRange("waitSeconds", wait_field, 0, 60));
  LS_RETURN_IF_ERROR(
      api.auth.Allow(caller, {.verb = "acquire", .ns = ns, .resource = kube::kBackupPods}));
  const Wish wish{ns, name, key};
  LS_RETURN_IF_ERROR(CheckRequestTakesWork(api, wish));

  // Whoever does not wait needs no place among those who do.
  std::optional<WaitSlots::Ticket> ticket;
  if (wait > 0) ticket.emplace(api.waits.TryEnter(caller.username));
  if (ticket && !*ticket) {
    return Error{Code::kUnavailable, "too many callers are waiting", milliseconds(1000)};
  }
  const std::string gate = DerivedName("", ns, caller.username, key) + "/" + name;
  if (!api.acquiring.Enter(gate, std::chrono::seconds(wait + 1))) {
    return Error{Code::kUnavailable, "the same acquire is still being answered",
                 milliseconds(1000)};
  }
  Result<http::Response> response = AcquireOrWait(api, caller, wish, std::chrono::seconds(wait));
  api.acquiring.Leave(gate);
  return response;
}

// Only its holder may give a pod back, and only when it has no operation; repeating it is harmless.
Result<http::Response> ReleasePod(ApiContext& api, const Caller& caller,
                                  const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {}));
  LS_ASSIGN_OR_RETURN(const ObjectName name, PathName(request));
  LS_RETURN_IF_ERROR(ParseBody(request, {}));
  LS_RETURN_IF_ERROR(
      api.auth.Allow(caller, {.verb = "acquire", .ns = name.ns, .resource = kube::kBackupPods}));
  // Read from the API server: releasing is rare, and a stale view would refuse or conflict.
  LS_ASSIGN_OR_RETURN(const Json read, api.kube.Get(kube::kBackupPods, name.ns, name.name));
  LS_ASSIGN_OR_RETURN(api::BackupPod row, api::ReadJson<api::BackupPod>(read));
  if (!row.status.lease) return JsonResponse(PodView(row, std::nullopt));
  if (row.status.lease->holder != caller.username) {
    return Error{Code::kPermissionDenied, "pod " + name.ns + "/" + name.name +
                                              " is held by another user: only its holder may "
                                              "release it"};
  }
  if (const std::string& operation = row.status.lease->operation; !operation.empty()) {
    return Conflict("pod " + name.ns + "/" + name.name + " runs operation " + operation +
                    ": cancel that, or wait for its end");
  }
  row.status.state = api::kAvailable;
  row.status.lease.reset();
  row.status.reason = "Released";
  row.status.message = "released by " + caller.username;
  LS_ASSIGN_OR_RETURN(const api::BackupPod written, WriteRow(api, std::move(row)));
  if (WorkerIsFresh(api, written)) {
    api.events.Append(
        "PodsAvailable", name.ns, written.spec.request_ref.name, written.spec.source_ref.name,
        {{"pods", {name.name}}, {"cause", "Released"}, {"node", written.status.node_name}});
  }
  return JsonResponse(PodView(written, std::nullopt));
}

}  // namespace longshore::controller
