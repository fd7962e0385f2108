// SPDX-License-Identifier: Apache-2.0
//
// What the controller asks of the API server past its caches, and what it writes.
#include "tests/controller/fake_cluster.h"

namespace longshore::controller {

using api::Json;

Status FakeCluster::MayRead(const kube::Resource& resource) const {
  if (crashed_) return Unavailable("crashed");
  if (refuse_read_) {
    if (auto refused = refuse_read_(resource)) return *std::move(refused);
  }
  return {};
}

Result<Json> FakeCluster::Fetch(const kube::Resource& resource, const std::string& ns,
                                const std::string& name) {
  LS_RETURN_IF_ERROR(MayRead(resource));
  const kube::ObjectPtr object = Object(resource, ns, name);
  if (!object) return NotFound(std::string(resource.plural) + " " + name + " not found");
  return *object;
}

Result<std::vector<std::string>> FakeCluster::FetchNames(const kube::Resource& resource,
                                                         const std::string& ns) {
  LS_RETURN_IF_ERROR(MayRead(resource));
  std::vector<std::string> names;
  for (const kube::ObjectPtr& object : Objects(resource)) {
    const bool ours = !kube::LabelOf(*object, api::kLabelRequestUid).empty();
    if (ours && kube::NamespaceOf(*object) == ns) names.emplace_back(kube::NameOf(*object));
  }
  return names;
}

Result<Json> FakeCluster::Create(const kube::Resource& resource, const std::string& ns,
                                 const Json& given) {
  const auto create = [this, &resource, ns, given, term = term_](By by) -> Result<Json> {
    // By the label of a term, which only what has labels is given.
    const bool fenced =
        given.contains("/metadata/labels"_json_pointer) &&
        (resource.plural == kube::kPods.plural || resource.plural == kube::kBackupPods.plural);
    if (fenced) LS_RETURN_IF_ERROR(AllowedIn(term));
    Json object = given;
    const std::string name = object["metadata"].value("name", "");
    if (Object(resource, ns, name)) return Error{Code::kAlreadyExists, name + " already exists"};
    object["metadata"]["namespace"] = ns;
    object["metadata"]["uid"] = "uid-" + std::to_string(next_uid_++);
    object["metadata"]["generation"] = 1;
    object["metadata"]["creationTimestamp"] = FormatTimeSeconds(clock_.Now());
    if (resource.plural == kube::kPods.plural) created_pods_.push_back(name);
    // The status is a subresource: what a create sends of it is dropped.
    if (resource.group == "longshore.dev") object.erase("status");
    return Store(resource, std::move(object), by);
  };
  return Write(resource, "create", create);
}

Result<Json> FakeCluster::UpdateStatus(const kube::Resource& resource, const std::string& ns,
                                       const Json& given) {
  return Write(resource, "update", [this, &resource, ns, given](By by) -> Result<Json> {
    const kube::ObjectPtr object = Object(resource, ns, given["metadata"].value("name", ""));
    if (!object) return NotFound("not found");
    if (given["metadata"].value("resourceVersion", "") !=
        kube::StringAt(*object, "/metadata/resourceVersion")) {
      return Conflict("the object has been modified");
    }
    Json changed = *object;
    changed["status"] = given.contains("status") ? given["status"] : Json::object();
    for (const std::string& field : unknown_status) changed["status"].erase(field);
    return Store(resource, std::move(changed), by);
  });
}

Result<Json> FakeCluster::Patch(const kube::Resource& resource, const std::string& ns,
                                const std::string& name, kube::PatchType type, const Json& patch,
                                const std::string&) {
  const auto apply = [this, &resource, ns, name, type, patch, term = term_](By by) -> Result<Json> {
    const kube::ObjectPtr object = Object(resource, ns, name);
    if (!object) return NotFound(name + " not found");
    const bool labels =
        type == kube::PatchType::kMerge && patch.contains("/metadata/labels"_json_pointer);
    if (labels && resource.plural == kube::kPods.plural) LS_RETURN_IF_ERROR(AllowedIn(term));
    Json changed = *object;
    if (type == kube::PatchType::kMerge) {
      changed.merge_patch(patch);
    } else {
      if (!changed["status"].contains("conditions")) {
        changed["status"]["conditions"] = Json::array();
      }
      try {
        changed = changed.patch(patch);
      } catch (const Json::exception& refused) {  // a test that fails, a place that is not there
        return InvalidArgument(refused.what());
      }
    }
    return Apply(resource, *object, changed, by);
  };
  return Write(resource, "patch", apply);
}

Status FakeCluster::Delete(const kube::Resource& resource, const std::string& ns,
                           const std::string& name, const kube::DeleteOptions& options) {
  const auto written =
      Write(resource, "delete", [this, &resource, ns, name, options](By by) -> Result<Json> {
        const kube::ObjectPtr object = Object(resource, ns, name);
        if (!object) return NotFound(name + " not found");
        if (!options.uid.empty() && options.uid != kube::UidOf(*object))
          return Conflict("other uid");
        if (resource.plural == kube::kPods.plural) deleted_pods_.push_back(name);
        if (kube::StringAt(*object, "/metadata/deletionTimestamp").empty()) {
          UserDelete(resource, ns, name);
        }
        if (written_) written_(resource, by, object, Object(resource, ns, name));
        return Json::object();
      });
  if (!written) return written.error();
  return {};
}

}  // namespace longshore::controller
