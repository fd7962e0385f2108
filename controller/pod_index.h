// SPDX-License-Identifier: Apache-2.0
//
// Which Pod UIDs are backup pods, on which node, for which request: what the agents' stream needs
// at thousands of samples a second without parsing objects. Fed by the pods' informer.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "common/base/mutex.h"
#include "common/kube/informer.h"

namespace longshore::controller {

struct IndexedPod {
  std::string ns, name, request, request_uid, node;
};

// Thread-safe.
class PodIndex {
 public:
  using Ptr = std::shared_ptr<const IndexedPod>;

  // As an informer's handler: null `before` is an add, null `after` a delete. Returns our pod that
  // changed, or null when the pod isn't ours.
  Ptr OnChange(const kube::ObjectPtr& before, const kube::ObjectPtr& after);
  Ptr Find(const std::string& uid) const;

 private:
  mutable Mutex mutex_;
  std::unordered_map<std::string, Ptr> by_uid_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::controller
