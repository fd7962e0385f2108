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
// A map by plural and name is in that order.
template <class Map>
std::vector<kube::ObjectPtr> OfPlural(const Map& objects, std::string_view plural) {
  std::vector<kube::ObjectPtr> all;
  for (auto at = objects.lower_bound({std::string(plural), ""});
       at != objects.end() && at->first.first == plural; ++at) {
    all.push_back(at->second);
  }
  return all;
}

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

Result<Json> FakeCluster::Write(const kube::Resource& resource, const std::string& verb,
                                const std::function<Result<Json>()>& write) {
  if (crashed_) return Unavailable("crashed");
  ++writes_;
  if (crash_in_ > 0 && --crash_in_ == 0) {
    if (crash_applied_) (void)write();
    crashed_ = true;
    return Unavailable("crashed");
  }
  if (refuse_) {
    if (auto refused = refuse_(resource, verb)) return *std::move(refused);
  }
  return write();
}

void FakeCluster::Lag(bool lag) {
  lag_ = lag;
  if (lag_) return;
  auto now = objects_;  // watchers may write
  for (const auto& [key, object] : cached_) now.try_emplace(key, nullptr);
  for (const auto& [key, object] : now) {
    const auto found = cached_.find(key);
    if (object != (found == cached_.end() ? nullptr : found->second)) {
      Observe(*resources_.at(key.first), key, object);
    }
  }
}

void FakeCluster::Observe(const kube::Resource& resource, const Key& key, kube::ObjectPtr now) {
  const auto found = cached_.find(key);
  const kube::ObjectPtr before = found == cached_.end() ? nullptr : found->second;
  if (now) {
    cached_[key] = now;
  } else {
    cached_.erase(key);
  }
  if (resource.plural == kube::kBackupPods.plural) {
    rows_.erase(key.second);
    if (auto row = ReadObject<api::BackupPod>(now)) {
      rows_[key.second] = std::make_shared<const api::BackupPod>(*std::move(row));
    }
  }
  if (watch_ && (before || now)) watch_(resource, before, now);
}

Json FakeCluster::Store(const kube::Resource& resource, Json object, By by) {
  const Key key = KeyOf(resource, object["metadata"].value("namespace", ""),
                        object["metadata"].value("name", ""));
  object["metadata"]["resourceVersion"] = std::to_string(next_version_++);
  resources_[key.first] = &resource;
  kube::ObjectPtr now;
  if (Deleting(object) && !HasFinalizers(object) && resource.plural != kube::kPods.plural) {
    objects_.erase(key);
  } else {
    now = objects_[key] = std::make_shared<const Json>(object);
  }
  if (by == By::kController || !lag_) Observe(resource, key, now);
  return object;
}

// Stores a changed object, counting generations as the API server does.
Result<Json> FakeCluster::Apply(const kube::Resource& resource, Json object, Json changed, By by) {
  const std::string wanted = changed["metadata"].value("resourceVersion", "");
  if (!wanted.empty() && wanted != kube::StringAt(object, "/metadata/resourceVersion")) {
    return Conflict("the object has been modified");
  }
  if (At(changed, "/spec") != At(object, "/spec")) {
    changed["metadata"]["generation"] = object["metadata"].value("generation", 1) + 1;
  }
  return Store(resource, std::move(changed), by);
}

void FakeCluster::Put(const kube::Resource& resource, Json object) {
  object["kind"] = std::string(resource.kind);
  object["metadata"]["uid"] = "uid-" + std::to_string(next_uid_++);
  object["metadata"]["generation"] = 1;
  object["metadata"]["creationTimestamp"] = FormatTimeSeconds(clock_.Now());
  Store(resource, std::move(object), By::kOthers);
}

void FakeCluster::Edit(const kube::Resource& resource, const std::string& ns,
                       const std::string& name, const std::function<void(Json&)>& edit) {
  const kube::ObjectPtr object = Object(resource, ns, name);
  LS_CHECK(object != nullptr);
  Json changed = *object;
  edit(changed);
  changed["metadata"].erase("resourceVersion");
  (void)Apply(resource, *object, changed, By::kOthers);
}

void FakeCluster::Remove(const kube::Resource& resource, const std::string& ns,
                         const std::string& name) {
  const Key key = KeyOf(resource, ns, name);
  if (objects_.erase(key) > 0 && !lag_) Observe(resource, key, nullptr);
}

void FakeCluster::UserDelete(const kube::Resource& resource, const std::string& ns,
                             const std::string& name) {
  Edit(resource, ns, name, [&](Json& object) {
    object["metadata"]["deletionTimestamp"] = FormatTimeSeconds(clock_.Now());
  });
}

kube::ObjectPtr FakeCluster::Object(const kube::Resource& resource, const std::string& ns,
                                    const std::string& name) const {
  const auto found = objects_.find(KeyOf(resource, ns, name));
  return found == objects_.end() ? nullptr : found->second;
}

std::vector<kube::ObjectPtr> FakeCluster::Objects(const kube::Resource& resource) const {
  return OfPlural(objects_, resource.plural);
}

kube::ObjectPtr FakeCluster::Get(const kube::Resource& resource, const std::string& ns,
                                 const std::string& name) const {
  const auto found = cached_.find(KeyOf(resource, ns, name));
  return found == cached_.end() ? nullptr : found->second;
}

std::vector<kube::ObjectPtr> FakeCluster::List(const kube::Resource& resource) const {
  return OfPlural(cached_, resource.plural);
}

api::BackupPodPtr FakeCluster::Row(const std::string& ns, const std::string& name) const {
  const auto found = rows_.find(ns + "/" + name);
  return found == rows_.end() ? nullptr : found->second;
}

std::vector<api::BackupPodPtr> FakeCluster::Rows(const std::string& ns) const {
  std::vector<api::BackupPodPtr> rows;
  for (const auto& [key, row] : rows_) {
    if (row->metadata.ns == ns) rows.push_back(row);
  }
  return rows;
}

std::vector<api::BackupPodPtr> FakeCluster::RowsOf(const std::string& ns,
                                                   const std::string& request) const {
  std::vector<api::BackupPodPtr> rows;
  for (const auto& [key, row] : rows_) {
    if (row->spec.request_ref.name == request && row->metadata.ns == ns) rows.push_back(row);
  }
  return rows;
}

std::vector<api::BackupPodPtr> FakeCluster::RowsLooking() const {
  std::vector<api::BackupPodPtr> rows;
  for (const auto& [key, row] : rows_) {
    if (LooksForANode(*row)) rows.push_back(row);
  }
  return rows;
}

std::vector<kube::ObjectPtr> FakeCluster::OperationsOf(const std::string& ns,
                                                       const std::string& request) const {
  std::vector<kube::ObjectPtr> operations = List(kube::kOperations);
  std::erase_if(operations, [&](const auto& operation) {
    return kube::NamespaceOf(*operation) != ns ||
           kube::StringAt(*operation, "/spec/requestRef/name") != request;
  });
  return operations;
}

Result<Json> FakeCluster::Fetch(const kube::Resource& resource, const std::string& ns,
                                const std::string& name) {
  if (crashed_) return Unavailable("crashed");
  const kube::ObjectPtr object = Object(resource, ns, name);
  if (!object) return NotFound(std::string(resource.plural) + " " + name + " not found");
  return *object;
}

Result<Json> FakeCluster::Create(const kube::Resource& resource, const std::string& ns,
                                 const Json& given) {
  return Write(resource, "create", [&]() -> Result<Json> {
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
    return Store(resource, std::move(object), By::kController);
  });
}

Result<Json> FakeCluster::UpdateStatus(const kube::Resource& resource, const std::string& ns,
                                       const Json& given) {
  return Write(resource, "update", [&]() -> Result<Json> {
    const kube::ObjectPtr object = Object(resource, ns, given["metadata"].value("name", ""));
    if (!object) return NotFound("not found");
    if (given["metadata"].value("resourceVersion", "") !=
        kube::StringAt(*object, "/metadata/resourceVersion")) {
      return Conflict("the object has been modified");
    }
    Json changed = *object;
    changed["status"] = given.contains("status") ? given["status"] : Json::object();
    return Store(resource, std::move(changed), By::kController);
  });
}

Result<Json> FakeCluster::Patch(const kube::Resource& resource, const std::string& ns,
                                const std::string& name, kube::PatchType type, const Json& patch,
                                const std::string&) {
  return Write(resource, "patch", [&]() -> Result<Json> {
    const kube::ObjectPtr object = Object(resource, ns, name);
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
    return Apply(resource, *object, changed, By::kController);
  });
}

Status FakeCluster::Delete(const kube::Resource& resource, const std::string& ns,
                           const std::string& name, const kube::DeleteOptions& options) {
  const auto written = Write(resource, "delete", [&]() -> Result<Json> {
    const kube::ObjectPtr object = Object(resource, ns, name);
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
