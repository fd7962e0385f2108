// SPDX-License-Identifier: Apache-2.0
#include "controller/announcements.h"

namespace longshore::controller {
namespace {

using api::Json;

void AboutPod(EventLog& events, const char* type, const api::BackupPod& row, Json data) {
  data["pods"] = Json::array({row.metadata.name});
  events.Append(type, row.metadata.ns, row.spec.request_ref.name, row.spec.source_ref.name,
                std::move(data));
}

void AboutRequest(EventLog& events, const char* type, const api::ComputeRequest& request,
                  Json data) {
  events.Append(type, request.metadata.ns, request.metadata.name, request.spec.source_ref.name,
                std::move(data));
}

Json DataOf(const api::Operation& operation, Json data) {
  data["operation"] = operation.metadata.name;
  data["type"] = operation.spec.type;
  data["pod"] = operation.status.pod;
  data["attempt"] = operation.status.attempt;
  if (!operation.spec.part.empty()) data["part"] = operation.spec.part;
  if (!operation.spec.manager_job_id.empty()) data["managerJobID"] = operation.spec.manager_job_id;
  return data;
}

void AboutOperation(EventLog& events, const char* type, const api::Operation& operation,
                    Json data) {
  events.Append(type, operation.metadata.ns, operation.spec.request_ref.name,
                operation.spec.source_ref.name, DataOf(operation, std::move(data)));
}

}  // namespace

void AnnounceAvailable(EventLog& events, const api::BackupPod& row, const std::string& cause) {
  AboutPod(events, "PodsAvailable", row,
           {{"cause", cause}, {"node", row.status.node_name}, {"tier", row.status.tier}});
}

void AnnounceWithdrawn(EventLog& events, const api::BackupPod& row) {
  AboutPod(events, "PodsWithdrawn", row,
           {{"reason", row.status.reason}, {"message", row.status.message}});
}

void AnnounceLost(EventLog& events, const api::BackupPod& row) {
  AboutPod(events, "PodLost", row,
           {{"state", row.status.state},
            {"reason", row.status.reason},
            {"message", row.status.message}});
}

void AnnounceDeconstructed(EventLog& events, const api::BackupPod& row) {
  AboutPod(events, "PodDeconstructed", row,
           {{"reason", row.status.reason},
            {"inputs", api::JsonWriter::Write(row.status.decision_inputs)}});
}

void AnnounceReady(EventLog& events, const api::ComputeRequest& request) {
  AboutRequest(
      events, "RequestReady", request,
      {{"available", request.status.pods.available}, {"assigned", request.status.pods.assigned}});
}

void AnnounceDecision(EventLog& events, const api::ComputeRequest& request) {
  AboutRequest(events, "ScalingDecided", request, api::WriteJson(request.status.last_decision));
}

void AnnounceStarted(EventLog& events, const api::Operation& operation) {
  AboutOperation(events, "OperationStarted", operation, {{"node", operation.status.node}});
}

void AnnounceFinished(EventLog& events, const api::Operation& operation) {
  Json data = {{"state", operation.status.state}};
  if (operation.status.error) data["error"] = api::WriteJson(*operation.status.error);
  if (operation.status.copy) data["copy"] = api::WriteJson(*operation.status.copy);
  AboutOperation(events, "OperationFinished", operation, std::move(data));
}

void AnnounceProgress(EventLog& events, const api::Operation& operation,
                      const api::OperationProgress& progress) {
  events.AppendLatest(operation.metadata.Key(), "OperationProgress", operation.metadata.ns,
                      operation.spec.request_ref.name, operation.spec.source_ref.name,
                      DataOf(operation, {{"progress", api::WriteJson(progress)}}));
}

}  // namespace longshore::controller
