// SPDX-License-Identifier: Apache-2.0
//
// Which Pod UIDs are backup pods, on which node, for which request: what the agents' stream needs
// at thousands of samples a second without parsing objects. Fed by the pods' informer.
#pragma once

#include <optional>
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
  // As an informer's handler: null `before` is an add, null `after` a delete. Returns our pod that
  // changed, or nothing when the pod isn't ours.
  std::optional<IndexedPod> OnChange(const kube::ObjectPtr& before, const kube::ObjectPtr& after);
  std::optional<IndexedPod> Find(const std::string& uid) const;

 private:
  mutable Mutex mutex_;
  std::unordered_map<std::string, IndexedPod> by_uid_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::controller
