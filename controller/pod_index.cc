// SPDX-License-Identifier: Apache-2.0
#include "controller/pod_index.h"

#include "common/api/meta.h"

namespace longshore::controller {

PodIndex::Ptr PodIndex::OnChange(const kube::ObjectPtr& before, const kube::ObjectPtr& after) {
  const kube::ObjectPtr& any = after ? after : before;
  if (!any || kube::LabelOf(*any, api::kLabelManagedBy) != "longshore") return nullptr;
  const auto pod = std::make_shared<const IndexedPod>(
      IndexedPod{std::string(kube::NamespaceOf(*any)), std::string(kube::NameOf(*any)),
                 std::string(kube::LabelOf(*any, api::kLabelRequest)),
                 std::string(kube::LabelOf(*any, api::kLabelRequestUid)),
                 std::string(kube::StringAt(*any, "/spec/nodeName"))});
  MutexLock lock(mutex_);
  if (before && (!after || kube::UidOf(*before) != kube::UidOf(*after))) {
    by_uid_.erase(std::string(kube::UidOf(*before)));
  }
  if (after) by_uid_[std::string(kube::UidOf(*after))] = pod;
  return pod;
}

PodIndex::Ptr PodIndex::Find(const std::string& uid) const {
  MutexLock lock(mutex_);
  const auto found = by_uid_.find(uid);
  return found == by_uid_.end() ? nullptr : found->second;
}

}  // namespace longshore::controller
