// SPDX-License-Identifier: Apache-2.0
//
// Would what takes the data take its copies, too? Compares where a source's data is with where its
// repository keeps the copies, which is looked for by the same chain of evidence. Pure; the request
// reconciler makes it a condition, and decides nothing by it: a copy that is too near is better
// than none.
#pragma once

#include "common/api/meta.h"
#include "common/api/source.h"
#include "common/placement/location.h"

namespace longshore::controller {

inline constexpr char kCopiesApart[] = "CopiesApart";

// Condition CopiesApart: True with reason OutsideCluster or Apart; False with SameNode, SameRack or
// SameZone, when the repository is nearer than its spec.apartFrom allows; Unknown with NotLocated.
// `data`: what placement::Locate found of the source.
api::Condition CopiesApart(const placement::Location& data, const api::BackupRepository& repository,
                           const placement::View& view);

}  // namespace longshore::controller
