// SPDX-License-Identifier: Apache-2.0
//
// What the Operations of this cluster say of a copy's record. Anybody who may append to a
// repository can write a record under a copy's id, so the Operation that made the copy decides
// which record a Restore or Verify reads, not the repository. Used when one is assigned and when it
// ends.
#pragma once

#include <optional>

#include "common/messages/worker.pb.h"
#include "controller/cluster.h"

namespace longshore::controller {

// The copy that a Restore or Verify reads, as the Backup that made it says; empty: no Operation
// here knows it (made by another cluster, deleted, or by a worker that named no record).
std::optional<api::CopySummary> KnownCopy(const Cluster& cluster, const api::Operation& operation);

messages::CopyRecord ToMessage(const api::CopySummary& copy);

// The result as it counts: a Restore or Verify that says it read another record than the known one
// has failed (Mismatch), whatever it found. Workers of a version that looks records up by id do
// that when there are several.
messages::OperationResult HeldToRecord(const Cluster& cluster, const api::Operation& operation,
                                       messages::OperationResult result);

}  // namespace longshore::controller
