// SPDX-License-Identifier: Apache-2.0
//
// How a node's score looks in JSON, in the storage manager API as in the extender's own, and how it
// travels between the two.
#pragma once

#include "common/api/archive.h"
#include "common/messages/placement.pb.h"
#include "common/placement/ranking.h"

namespace longshore::placement {

// {"node","tier","feasible","score","localityPoints",…,"reasons"}, and where it was explained also
// "inputs": {"cpuPercent","pressureAgeMs","cpuFreeMilli",…}. What is not known is null.
api::Json ScoreView(const NodeScore& score);

messages::NodeVerdict ToMessage(const NodeScore& score);
NodeScore FromMessage(const messages::NodeVerdict& verdict);

}  // namespace longshore::placement
