// SPDX-License-Identifier: Apache-2.0
#include "controller/api/view.h"

#include <algorithm>
#include <cmath>

#include "common/scaling/samples.h"

namespace longshore::controller {
namespace {

constexpr int64_t kFreshUsageMs = 5000;

Json TextOrNull(std::string_view text) { return text.empty() ? Json() : Json(std::string(text)); }

const Json& At(const Json& object, const char* field) {
  static const Json kNone = Json::object();
  const auto found = object.find(field);
  return found == object.end() ? kNone : *found;
}

}  // namespace

Json ObjectView(const Json& object) {
  const Json& metadata = At(object, "metadata");
  Json view = {{"namespace", kube::NamespaceOf(object)},
               {"name", kube::NameOf(object)},
               {"uid", kube::UidOf(object)},
               {"createdAt", kube::StringAt(object, "/metadata/creationTimestamp")},
               {"generation", metadata.value("generation", int64_t{0})},
               {"spec", At(object, "spec")},
               {"status", At(object, "status")}};
  const auto deleted = kube::StringAt(object, "/metadata/deletionTimestamp");
  if (!deleted.empty()) view["deletedAt"] = deleted;
  return view;
}

std::string OperationState(const Json& operation) {
  const auto state = kube::StringAt(operation, "/status/state");
  return state.empty() ? api::kQueued : std::string(state);
}

bool IsTerminal(std::string_view state) {
  return state == api::kSucceeded || state == api::kOperationFailed || state == api::kCancelled;
}

Json OperationView(const Json& operation, const std::optional<api::OperationProgress>& live) {
  Json view = ObjectView(operation);
  const std::string state = OperationState(operation);
  view["status"]["state"] = state;
  if (live && !IsTerminal(state)) view["status"]["progress"] = api::WriteJson(*live);
  return view;
}

Json UsageView(const UsageSample& sample) {
  Json usage = Json::object();
  for (const auto& [signal, value] : sample.signals) {
    const auto known = scaling::SignalByName(signal);
    if (known && std::isfinite(value)) usage[signal] = scaling::FormatSignal(*known, value);
  }
  return usage;
}

Json PodView(const api::BackupPod& row, const std::optional<UsageSample>& usage) {
  const api::BackupPodStatus& status = row.status;
  Json view = {
      {"namespace", row.metadata.ns},
      {"name", row.metadata.name},
      {"request", row.spec.request_ref.name},
      {"source", row.spec.source_ref.name},
      {"state", api::StateOf(row)},
      {"node", TextOrNull(status.node_name)},
      {"tier", TextOrNull(status.tier)},
      {"epoch", status.epoch},
      {"lease", status.lease ? api::WriteJson(*status.lease) : Json()},
      {"reason", TextOrNull(status.reason)},
      {"message", TextOrNull(status.message)},
      {"since", TextOrNull(status.last_transition_time)},
      {"cause", TextOrNull(row.spec.cause)},
      {"vetting", TextOrNull(status.vetting)},
      {"usage", usage && usage->age_ms <= kFreshUsageMs ? UsageView(*usage) : Json()},
  };
  // The idempotency key is its owner's: whoever knows it could take over the answer.
  if (view["lease"].is_object()) view["lease"].erase("key");
  for (const api::DecisionInput& input : status.decision_inputs) {
    view["decisionInputs"].push_back(api::WriteJson(input));
  }
  return view;
}

Json CopyView(const Json& operation) {
  const Json& copy = At(At(operation, "status"), "copy");
  if (kube::StringAt(operation, "/spec/type") != api::kBackup ||
      OperationState(operation) != api::kSucceeded || copy.empty()) {
    return nullptr;
  }
  Json view = copy;
  view["namespace"] = kube::NamespaceOf(operation);
  view["operation"] = kube::NameOf(operation);
  view["source"] = kube::StringAt(operation, "/spec/sourceRef/name");
  const auto source_ns = kube::StringAt(operation, "/spec/sourceRef/namespace");
  view["sourceNamespace"] = source_ns.empty() ? kube::NamespaceOf(operation) : source_ns;
  view["part"] = kube::StringAt(operation, "/spec/part");
  view["request"] = kube::StringAt(operation, "/spec/requestRef/name");
  view["completedAt"] = kube::StringAt(operation, "/status/completionTime");
  return view;
}

http::Response JsonResponse(const Json& body, int status) {
  http::Response response;
  response.status = status;
  // Text from tools (error messages) may not be UTF-8: replaced rather than thrown at.
  response.body = body.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  return response;
}

http::Response ListResponse(std::vector<Json> items, const std::string& cursor) {
  std::sort(items.begin(), items.end(), [](const Json& a, const Json& b) {
    return std::tie(a.at("namespace").get_ref<const std::string&>(),
                    a.at("name").get_ref<const std::string&>()) <
           std::tie(b.at("namespace").get_ref<const std::string&>(),
                    b.at("name").get_ref<const std::string&>());
  });
  return JsonResponse({{"items", std::move(items)}, {"cursor", cursor}});
}

}  // namespace longshore::controller
