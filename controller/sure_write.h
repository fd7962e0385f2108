// SPDX-License-Identifier: Apache-2.0
//
// Status writes after which something is announced. A write that nobody answered may have been
// applied; the next visit would find everything as it should be and announce nothing. So it is
// looked up. Used by the reconcilers.
#pragma once

#include "controller/cluster.h"

namespace longshore::controller {

// As WriteStatus. Errors: those of the write, when it was not applied or that cannot be told.
template <class T>
Status WriteStatusSurely(Cluster& cluster, T& object) {
  Status written = WriteStatus(cluster, object);
  if (written) return written;
  const Error& error = written.error();
  const bool open = error.code == Code::kDeadlineExceeded ||
                    (error.code == Code::kUnavailable && !error.retry_after);
  if (!open) return written;
  const auto found = cluster.FetchSurely(ResourceOf<T>(), object.metadata.ns, object.metadata.name);
  if (!found) return written;
  auto now = api::ReadJson<T>(*found);
  const bool applied = now && now->metadata.uid == object.metadata.uid &&
                       now->metadata.resource_version != object.metadata.resource_version &&
                       api::WriteJson(now->status) == api::WriteJson(object.status);
  if (!applied) return written;
  object.metadata.resource_version = now->metadata.resource_version;
  return {};
}

}  // namespace longshore::controller
