// SPDX-License-Identifier: Apache-2.0
//
// The Assign message of an operation, with its credentials: read by name at this moment, put into
// the message, kept nowhere. Used by the pod reconciler.
#pragma once

#include "common/messages/worker.pb.h"
#include "controller/acceptance.h"
#include "controller/cluster.h"

namespace longshore::controller {

// `epoch` is that of the row's lease. Errors name the object or key that is missing and what helps;
// kUnavailable and the like mean that the API could not say now.
Result<messages::Assign> MakeAssign(Cluster& cluster, const api::Operation& operation,
                                    const api::BackupSource& source,
                                    const api::BackupRepository& repository,
                                    const api::OperationLimits& limits, int64_t epoch);

}  // namespace longshore::controller
