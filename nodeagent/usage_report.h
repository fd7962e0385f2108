// SPDX-License-Identifier: Apache-2.0
//
// A sample as the message that the leader gets. Pure functions; called by reporter.cc.
#pragma once

#include <cstdint>

#include "common/messages/agent.pb.h"
#include "nodeagent/sample.h"

namespace longshore::nodeagent {

// `told` is the sample that the leader was last sent on this stream: of the pods and preemptions,
// only what differs from it is said. Null, or of a pod that is not known any more: all, marked
// complete. The node is said whole each time.
// `report` is empty.
void FillReport(messages::UsageReport& report, const Sample& sample, uint64_t sequence,
                const Sample* told);
messages::PodCounters ToMessage(const PodSample& pod);

}  // namespace longshore::nodeagent
