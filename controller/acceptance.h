// SPDX-License-Identifier: Apache-2.0
//
// Can a request be answered at all? Follows its references, checks that the source admits it, that
// an image serves it and that the secrets exist; says which field is wrong and what helps. Used by
// the request reconciler, and again wherever a pod is rendered or an operation assigned.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "common/api/source_ref.h"
#include "common/scaling/rules.h"
#include "controller/cluster.h"
#include "controller/memory_need.h"

namespace longshore::controller {

// Everything that a request refers to.
struct References {
  api::BackupSource source;
  api::PodPolicy policy;  // with the limit of memory as raised
  api::BackupRepository repository;
  api::SourceImage image;
  api::ImageChoice choice;
  scaling::Policy scaling;
  MemoryAllowance memory;
};

struct Acceptance {
  std::optional<References> references;  // set when accepted
  api::ImageChoice choice;   // also of a request that is not accepted, when there is one
  api::Condition condition;  // type Accepted
};

// From the caches only.
Acceptance Accept(const Cluster& cluster, const api::ComputeRequest& request);

// Reads by name every secret that the request's operations will need. Errors: kNotFound or
// kPermissionDenied with the remedy; others when the API could not say.
Status CheckSecrets(Cluster& cluster, const References& references, const std::string& purpose);

// "NS/NAME" of the operation's source, as its metadata.Key().
std::string SourceKey(const api::Operation& operation);
// What is wrong when the operation is of another source than the pods of its request; else empty.
std::string OtherSource(const api::Operation& operation, const api::ComputeRequest& request);

}  // namespace longshore::controller
