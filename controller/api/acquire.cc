// SPDX-License-Identifier: Apache-2.0
//
// POST /v1/pods:acquire and …:release. Taking a pod is one compare-and-swap of its row (an update
// with resourceVersion), so two managers never get the same pod, whatever the informers still show.
#include <algorithm>
#include <optional>

#include "common/base/strings.h"
#include "controller/api/objects.h"
#include "controller/api/view.h"

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

bool WorkerIsFresh(const ApiContext& api, const Json& row) {
  const int64_t age = api.live.WorkerAgeMs(std::string(kube::StringAt(row, "/status/podUID")));
  return age >= 0 && age <= kWorkerFreshMs;
}

int TierRank(const Json& row) {
  static constexpr std::string_view kTiers[] = {"Node", "Rack", "Zone", "Region"};
  const auto* found =
      std::find(std::begin(kTiers), std::end(kTiers), kube::StringAt(row, "/status/tier"));
  return static_cast<int>(found - std::begin(kTiers));
}

std::vector<kube::ObjectPtr> RowsOf(const ApiContext& api, const Wish& wish) {
  return api.state.backup_pods.ListByIndex("request", wish.ns + "/" + wish.request);
}

// Assignable now, nearest to the data first.
std::vector<kube::ObjectPtr> Assignable(const ApiContext& api, const Wish& wish) {
  std::vector<kube::ObjectPtr> rows = RowsOf(api, wish);
  std::erase_if(rows, [&](const auto& row) {
    return PodState(*row) != api::kAvailable || !WorkerIsFresh(api, *row) ||
           !kube::StringAt(*row, "/metadata/deletionTimestamp").empty();
  });
  std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) {
    return std::pair(TierRank(*a), kube::NameOf(*a)) < std::pair(TierRank(*b), kube::NameOf(*b));
  });
  return rows;
}

http::Response AcquiredResponse(const Json& row) {
  const Json lease = row.at("status").value("lease", Json::object());
  return JsonResponse({{"namespace", kube::NamespaceOf(row)},
                       {"pod", kube::NameOf(row)},
                       {"epoch", lease.value("epoch", int64_t{0})},
                       {"node", kube::StringAt(row, "/status/nodeName")},
                       {"endpoint", {{"pathway", "Relay"}}},
                       {"expires", lease.value("expires", "")},
                       {"operation", lease.value("operation", "")}});
}

// The pod that this caller holds under this key already. Errors: kConflict when the key was used
// for another request.
Result<std::optional<Json>> HeldUnderKey(const ApiContext& api, const Caller& caller,
                                         const Wish& wish) {
  const std::string key_hash = Sha256Hex(wish.key);
  for (const auto& row : api.state.backup_pods.List()) {
    if (kube::NamespaceOf(*row) != wish.ns ||
        kube::StringAt(*row, "/status/lease/key") != key_hash ||
        kube::StringAt(*row, "/status/lease/holder") != caller.username) {
      continue;
    }
    if (kube::StringAt(*row, "/spec/requestRef/name") != wish.request) {
      return Conflict("header Idempotency-Key: holds a pod of request " +
                      std::string(kube::StringAt(*row, "/spec/requestRef/name")) +
                      "; use a new key for another request");
    }
    return std::optional<Json>(*row);
  }
  return std::optional<Json>();
}

// Writes the lease into a copy of the row. kConflict: somebody was faster, or the view was stale.
Result<Json> TakeRow(ApiContext& api, const Caller& caller, const Wish& wish, const Json& row) {
  Json taken = row;
  Json& status = taken["status"];
  const int64_t epoch = status.value("epoch", int64_t{0}) + 1;
  const WallTime now = api.clock.Now();
  status["state"] = api::kAssigned;
  status["epoch"] = epoch;
  status["lease"] = {{"holder", caller.username},
                     {"epoch", epoch},
                     {"expires", FormatTime(now + kLeaseTime)},
                     {"key", Sha256Hex(wish.key)}};  // rows may be read by many
  status["reason"] = "Acquired";
  status["message"] = "acquired by " + caller.username;
  status["lastTransitionTime"] = FormatTime(now);
  LS_ASSIGN_OR_RETURN(Json written, api.kube.Update(kube::kBackupPods, wish.ns, taken, "status"));
  api.state.backup_pods.Observe(written);
  return written;
}

// One of the pods that are assignable now; empty when there is none.
Result<std::optional<Json>> TryAcquire(ApiContext& api, const Caller& caller, const Wish& wish) {
  for (const auto& row : Assignable(api, wish)) {
    Result<Json> taken = TakeRow(api, caller, wish, *row);
    if (taken) return std::optional<Json>(std::move(*taken));
    const Code code = taken.error().code;
    if (code != Code::kConflict && code != Code::kNotFound) return taken.error();
  }
  return std::optional<Json>();
}

// "2 Assigned, 1 Provisioning": what the request's pods do instead of being available.
std::string DescribeStates(const ApiContext& api, const Wish& wish) {
  std::map<std::string, int> counts;
  for (const auto& row : RowsOf(api, wish)) ++counts[PodState(*row)];
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
      return http::Problem(408, "No pod is available",
                           "request " + wish.ns + "/" + wish.request +
                               " has no available pod now (" + DescribeStates(api, wish) +
                               "); ask again with waitSeconds, or raise its pods.max");
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
  LS_ASSIGN_OR_RETURN(Json row, api.kube.Get(kube::kBackupPods, name.ns, name.name));
  const std::string holder(kube::StringAt(row, "/status/lease/holder"));
  if (holder.empty()) return JsonResponse(PodView(row, std::nullopt));
  if (holder != caller.username) {
    return Error{Code::kPermissionDenied, "pod " + name.ns + "/" + name.name +
                                              " is held by another user: only its holder may "
                                              "release it"};
  }
  if (const auto operation = kube::StringAt(row, "/status/lease/operation"); !operation.empty()) {
    return Conflict("pod " + name.ns + "/" + name.name + " runs operation " +
                    std::string(operation) + ": cancel that, or wait for its end");
  }
  Json& status = row["status"];
  status["state"] = api::kAvailable;
  status.erase("lease");
  status["reason"] = "Released";
  status["message"] = "released by " + caller.username;
  status["lastTransitionTime"] = FormatTime(api.clock.Now());
  LS_ASSIGN_OR_RETURN(const Json written,
                      api.kube.Update(kube::kBackupPods, name.ns, row, "status"));
  api.state.backup_pods.Observe(written);
  if (WorkerIsFresh(api, written)) {
    api.events.Append("PodsAvailable", name.ns,
                      std::string(kube::StringAt(written, "/spec/requestRef/name")),
                      std::string(kube::StringAt(written, "/spec/sourceRef/name")),
                      {{"pods", {name.name}},
                       {"cause", "Released"},
                       {"node", kube::StringAt(written, "/status/nodeName")}});
  }
  return JsonResponse(PodView(written, std::nullopt));
}

}  // namespace longshore::controller
