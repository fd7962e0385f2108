// SPDX-License-Identifier: Apache-2.0
#include "controller/finalizer.h"

namespace longshore::controller {

Status DropFinalizer(Cluster& cluster, const kube::Resource& resource,
                     const api::ObjectMeta& meta) {
  std::vector<std::string> left;
  for (const std::string& finalizer : meta.finalizers) {
    if (finalizer != api::kFinalizer) left.push_back(finalizer);
  }
  if (left.size() == meta.finalizers.size()) return {};
  const api::Json patch = {
      {"metadata", {{"resourceVersion", meta.resource_version}, {"finalizers", left}}}};
  const auto written =
      cluster.Patch(resource, meta.ns, meta.name, kube::PatchType::kMerge, patch, "");
  if (!written && written.error().code != Code::kNotFound) return written.error();
  return {};
}

}  // namespace longshore::controller
