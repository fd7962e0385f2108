// SPDX-License-Identifier: Apache-2.0
//
// What the storage manager is told, and when: each function appends one announcement. Called by the
// reconcilers after the write that made it true, never before.
#pragma once

#include <string>

#include "common/api/operation.h"
#include "common/api/request.h"
#include "controller/event_log.h"

namespace longshore::controller {

// cause: Requested, ThresholdExceeded, Released, Replaced, Resized or Reconnected.
void AnnounceAvailable(EventLog& events, const api::BackupPod& row, const std::string& cause);
void AnnounceWithdrawn(EventLog& events, const api::BackupPod& row);
void AnnounceLost(EventLog& events, const api::BackupPod& row);
void AnnounceDeconstructed(EventLog& events, const api::BackupPod& row);
void AnnounceReady(EventLog& events, const api::ComputeRequest& request);
void AnnounceDecision(EventLog& events, const api::ComputeRequest& request);
void AnnounceStarted(EventLog& events, const api::Operation& operation);
void AnnounceFinished(EventLog& events, const api::Operation& operation);
void AnnounceProgress(EventLog& events, const api::Operation& operation,
                      const api::OperationProgress& progress);

}  // namespace longshore::controller
