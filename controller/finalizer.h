// SPDX-License-Identifier: Apache-2.0
//
// Requests and rows stay until we are done with them, whoever deletes them.
#pragma once

#include "common/api/meta.h"
#include "common/base/result.h"
#include "controller/cluster.h"

namespace longshore::controller {

// Lets an object go that is being deleted. What is gone already, or never had our finalizer, is
// fine. Errors: of the API; kConflict when the object is newer than `meta`.
Status DropFinalizer(Cluster& cluster, const kube::Resource& resource, const api::ObjectMeta& meta);

}  // namespace longshore::controller
