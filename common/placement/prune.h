// SPDX-License-Identifier: Apache-2.0
//
// What is taken out of Nodes and Pods before a copy of them is kept: all that neither placement nor
// the controller reads. A cluster has many thousands of other people's pods, and each is 20 KB of
// JSON in memory as it comes and 2 KB like this.
#pragma once

#include "common/api/archive.h"

namespace longshore::placement {

// Leaves what ReadNode reads.
void PruneNode(api::Json& node);

// Leaves what ReadPod reads, with the resource requests of all containers added up in
// spec.resources; of our own backup pods also the first container's limit of memory there, the UIDs
// of their owners, annotations, the conditions that the controller goes by, in their places, and
// the states of the containers with how each ended last.
void PrunePod(api::Json& pod);

// Leaves what ReadStatefulSet reads.
void PruneStatefulSet(api::Json& set);

}  // namespace longshore::placement
