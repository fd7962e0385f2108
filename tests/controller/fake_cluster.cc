// SPDX-License-Identifier: Apache-2.0
#include "tests/controller/fake_cluster.h"

namespace longshore::controller {
namespace {

using api::Json;

const Json kNothing;
const Json& At(const Json& json, const char* pointer) {
  const Json::json_pointer path(pointer);
  return json.contains(path) ? json.at(path) : kNothing;
}

bool Deleting(const Json& object) { return !At(object, "/metadata/deletionTimestamp").is_null(); }
bool HasFinalizers(const Json& object) {
  const Json& finalizers = At(object, "/metadata/finalizers");
  return finalizers.is_array() && !finalizers.empty();
}

}  // namespace

FakeCluster::Key FakeCluster::KeyOf(const kube::Resource& resource, const std::string& ns,
                                    const std::string& name) {
  return {std::string(resource.plural), ns + "/" + name};
}

void FakeCluster::CrashAtWrite(int n, bool applied) {
  crash_in_ = n;
  crash_applied_ = applied;
}

Result<Json> FakeCluster::Write(const std::function<Result<Json>()>& write) {
  if (crashed_) return Unavailable("crashed");
  ++writes_;
  if (crash_in_ > 0 && --crash_in_ == 0) {
    if (crash_applied_) (void)write();
    crashed_ = true;
    return Unavailable("crashed");
  }
  return write();
}

Json FakeCluster::Store(const kube::Resource& resource, Json object) {
  const Key key = KeyOf(resource, object["metadata"].value("namespace", ""),
                        object["metadata"].value("name", ""));
  object["metadata"]["resourceVersion"] = std::to_string(next_version_++);
  const auto found = objects_.find(key);
  const kube::ObjectPtr before = found == objects_.end() ? nullptr : found->second;
  if (Deleting(object) && !HasFinalizers(object) && resource.plural != kube::kPods.plural) {
    objects_.erase(key);
    if (watch_) watch_(resource, before, nullptr);
    return object;
  }
  objects_[key] = std::make_shared<const Json>(object);
  if (watch_) watch_(resource, before, objects_[key]);
  return object;
}

// Stores a changed object, counting generations as the API server does.
Result<Json> FakeCluster::Apply(const kube::Resource& resource, Json object, Json changed) {
  const std::string wanted = changed["metadata"].value("resourceVersion", "");
  if (!wanted.empty() && wanted != kube::StringAt(object, "/metadata/resourceVersion")) {
    return Conflict("the object has been modified");
  }
  if (At(changed, "/spec") != At(object, "/spec")) {
    changed["metadata"]["generation"] = object["metadata"].value("generation", 1) + 1;
  }
  return Store(resource, std::move(changed));
}

void FakeCluster::Put(const kube::Resource& resource, Json object) {
  object["kind"] = std::string(resource.kind);
  object["metadata"]["uid"] = "uid-" + std::to_string(next_uid_++);
  object["metadata"]["generation"] = 1;
  object["metadata"]["creationTimestamp"] = FormatTimeSeconds(clock_.Now());
  Store(resource, std::move(object));
}

void FakeCluster::Edit(const kube::Resource& resource, const std::string& ns,
                       const std::string& name, const std::function<void(Json&)>& edit) {
  const auto found = objects_.find(KeyOf(resource, ns, name));
  LS_CHECK(found != objects_.end());
  Json changed = *found->second;
  edit(changed);
  changed["metadata"].erase("resourceVersion");
  (void)Apply(resource, *found->second, changed);
}

void FakeCluster::Remove(const kube::Resource& resource, const std::string& ns,
                         const std::string& name) {
  const auto found = objects_.find(KeyOf(resource, ns, name));
  if (found == objects_.end()) return;
  const kube::ObjectPtr before = found->second;
  objects_.erase(found);
  if (watch_) watch_(resource, before, nullptr);
}

void FakeCluster::UserDelete(const kube::Resource& resource, const std::string& ns,
                             const std::string& name) {
  Edit(resource, ns, name, [&](Json& object) {
    object["metadata"]["deletionTimestamp"] = FormatTimeSeconds(clock_.Now());
  });
}

kube::ObjectPtr FakeCluster::Get(const kube::Resource& resource, const std::string& ns,
                                 const std::string& name) const {
  const auto found = objects_.find(KeyOf(resource, ns, name));
  return found == objects_.end() ? nullptr : found->second;
}

std::vector<kube::ObjectPtr> FakeCluster::List(const kube::Resource& resource) const {
  std::vector<kube::ObjectPtr> all;
  for (const auto& [key, object] : objects_) {
    if (key.first == resource.plural) all.push_back(object);
  }
  return all;
}

std::vector<kube::ObjectPtr> FakeCluster::OfRequest(const kube::Resource& resource,
                                                    const std::string& ns,
                                                    const std::string& request) const {
  std::vector<kube::ObjectPtr> all;
  for (const kube::ObjectPtr& object : List(resource)) {
    if (kube::NamespaceOf(*object) == ns &&
        kube::StringAt(*object, "/spec/requestRef/name") == request) {
      all.push_back(object);
    }
  }
  return all;
}

Result<Json> FakeCluster::Fetch(const kube::Resource& resource, const std::string& ns,
                                const std::string& name) {
  if (crashed_) return Unavailable("crashed");
  const kube::ObjectPtr object = Get(resource, ns, name);
  if (!object) return NotFound(std::string(resource.plural) + " " + name + " not found");
  return *object;
}

Result<Json> FakeCluster::Create(const kube::Resource& resource, const std::string& ns,
                                 const Json& given) {
  return Write([&]() -> Result<Json> {
    Json object = given;
    const std::string name = object["metadata"].value("name", "");
    if (Get(resource, ns, name)) return Error{Code::kAlreadyExists, name + " already exists"};
    object["metadata"]["namespace"] = ns;
    object["metadata"]["uid"] = "uid-" + std::to_string(next_uid_++);
    object["metadata"]["generation"] = 1;
    object["metadata"]["creationTimestamp"] = FormatTimeSeconds(clock_.Now());
    if (resource.plural == kube::kPods.plural) created_pods_.push_back(name);
    // The status is a subresource: what a create sends of it is dropped.
    if (resource.group == "longshore.dev") object.erase("status");
    return Store(resource, std::move(object));
  });
}

Result<Json> FakeCluster::UpdateStatus(const kube::Resource& resource, const std::string& ns,
                                       const Json& given) {
  return Write([&]() -> Result<Json> {
    const kube::ObjectPtr object = Get(resource, ns, given["metadata"].value("name", ""));
    if (!object) return NotFound("not found");
    if (given["metadata"].value("resourceVersion", "") !=
        kube::StringAt(*object, "/metadata/resourceVersion")) {
      return Conflict("the object has been modified");
    }
    Json changed = *object;
    changed["status"] = given.contains("status") ? given["status"] : Json::object();
    return Store(resource, std::move(changed));
  });
}

Result<Json> FakeCluster::Patch(const kube::Resource& resource, const std::string& ns,
                                const std::string& name, kube::PatchType type, const Json& patch,
                                const std::string&) {
  return Write([&]() -> Result<Json> {
    const kube::ObjectPtr object = Get(resource, ns, name);
    if (!object) return NotFound(name + " not found");
    Json changed = *object;
    if (type == kube::PatchType::kMerge) {
      changed.merge_patch(patch);
    } else {
      if (!changed["status"].contains("conditions")) {
        changed["status"]["conditions"] = Json::array();
      }
      changed = changed.patch(patch);
    }
    return Apply(resource, *object, changed);
  });
}

Status FakeCluster::Delete(const kube::Resource& resource, const std::string& ns,
                           const std::string& name, const kube::DeleteOptions& options) {
  const auto written = Write([&]() -> Result<Json> {
    const kube::ObjectPtr object = Get(resource, ns, name);
    if (!object) return NotFound(name + " not found");
    if (!options.uid.empty() && options.uid != kube::UidOf(*object)) return Conflict("other uid");
    if (resource.plural == kube::kPods.plural) deleted_pods_.push_back(name);
    if (!Deleting(*object)) UserDelete(resource, ns, name);
    return Json::object();
  });
  if (!written) return written.error();
  return {};
}

}  // namespace longshore::controller
