// SPDX-License-Identifier: Apache-2.0
#include "tests/controller/fake_cluster.h"

#include "common/placement/prune.h"

namespace longshore::controller {
namespace {

using api::Json;

using std::chrono::milliseconds;

constexpr milliseconds kTermKnownAfter{500};

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

int64_t VersionOf(const Json& object) {
  return std::stoll(std::string(kube::StringAt(object, "/metadata/resourceVersion")));
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

// ---- what goes wrong ---------------------------------------------------------------------------

void FakeCluster::CrashAtWrite(int n, Fate fate) {
  crash_in_ = n;
  fate_ = fate;
}

Result<Json> FakeCluster::Write(const kube::Resource& resource, const std::string& verb,
                                const Do& write) {
  if (crashed_) return Unavailable("crashed");
  ++writes_;
  if (crash_in_ > 0 && --crash_in_ == 0) {
    if (fate_ == Fate::kApplied) (void)write(By::kDead);
    if (fate_ == Fate::kLate) {
      late_ = write;
      late_what_ = verb + " " + std::string(resource.plural);
    }
    crashed_ = true;
    return Unavailable("crashed");
  }
  if (refuse_) {
    if (auto refused = refuse_(resource, verb)) return *std::move(refused);
  }
  if (lose_ && lose_(resource, verb)) {
    (void)write(By::kUnanswered);
    return Error{Code::kDeadlineExceeded, "no reply"};
  }
  return write(By::kController);
}

void FakeCluster::LandLate() {
  late_what_.clear();
  if (const Do write = std::exchange(late_, nullptr)) (void)write(By::kDead);
}

void FakeCluster::BeginTerm() {
  ++term_;
  term_known_ = clock_.Monotonic() + kTermKnownAfter;
}

Status FakeCluster::AllowedIn(int64_t term) const {
  if (term == term_ || clock_.Monotonic() < term_known_) return {};
  return Error{Code::kPermissionDenied, "another leads"};
}

bool FakeCluster::troubled() const {
  return crashed_ || lag_ || refuse_ || lose_ || refuse_read_ || !slow_.empty();
}

// ---- watches -----------------------------------------------------------------------------------

void FakeCluster::Lag(bool lag) {
  lag_ = lag;
  if (lag_) return;
  for (const auto& [plural, resource] : resources_) Relist(*resource);
}

void FakeCluster::SlowWatch(const kube::Resource& resource, milliseconds delay) {
  if (delay.count() > 0) {
    slow_[std::string(resource.plural)] = delay;
  } else {
    slow_.erase(std::string(resource.plural));
  }
}

void FakeCluster::RunWatches() {
  if (lag_) return;
  for (auto& [plural, telling] : telling_) {
    while (!telling.empty() && telling.front().due <= clock_.Monotonic()) {
      const Told told = std::move(telling.front());
      telling.pop_front();
      Hear(*resources_.at(plural), told);
    }
  }
}

void FakeCluster::Relist(const kube::Resource& resource) {
  const std::string plural(resource.plural);
  std::map<Key, kube::ObjectPtr> news;  // as they are
  for (const Told& told : std::exchange(telling_[plural], {})) news[told.key] = nullptr;
  for (const auto* objects : {&cached_, &objects_}) {
    for (auto at = objects->lower_bound({plural, ""});
         at != objects->end() && at->first.first == plural; ++at) {
      const auto cached = cached_.find(at->first);
      if (objects == &cached_) {
        if (!objects_.contains(at->first)) news[at->first] = nullptr;
      } else if (cached == cached_.end() || VersionOf(*cached->second) != VersionOf(*at->second) ||
                 news.contains(at->first)) {
        news[at->first] = at->second;
      }
    }
  }
  for (const auto& [key, now] : news) {
    const auto was = cached_.find(key);
    Hear(resource, {{}, key, was == cached_.end() ? nullptr : was->second, now});
  }
}

void FakeCluster::Repeat(const kube::Resource& resource) {
  for (const kube::ObjectPtr& object : List(resource)) {
    if (watch_) watch_(resource, object, object);
  }
}

void FakeCluster::Tell(const kube::Resource& resource, Told told) {
  std::deque<Told>& telling = telling_[told.key.first];
  const auto slow = slow_.find(told.key.first);
  if (!lag_ && telling.empty() && slow == slow_.end()) return Hear(resource, told);
  told.due = clock_.Monotonic() + (slow == slow_.end() ? milliseconds(0) : slow->second);
  telling.push_back(std::move(told));
}

// Of what is told late the caches may hold something newer, which the controller has written.
void FakeCluster::Hear(const kube::Resource& resource, const Told& told) {
  const auto found = cached_.find(told.key);
  const kube::ObjectPtr before = found == cached_.end() ? nullptr : found->second;
  if (told.now) {
    if (!before || VersionOf(*before) <= VersionOf(*told.now)) Hold(told.key, told.now);
  } else if (before && told.was && kube::UidOf(*before) == kube::UidOf(*told.was)) {
    Hold(told.key, nullptr);
  }
  if (watch_ && (before || told.now)) watch_(resource, before, told.now);
}

// Of Pods only what the controller's caches keep.
void FakeCluster::Hold(const Key& key, const kube::ObjectPtr& now) {
  if (now && key.first == kube::kPods.plural) {
    Json pod = *now;
    placement::PrunePod(pod);
    cached_[key] = std::make_shared<const Json>(std::move(pod));
  } else if (now) {
    cached_[key] = now;
  } else {
    cached_.erase(key);
  }
  if (key.first != kube::kBackupPods.plural) return;
  rows_.erase(key.second);
  if (auto row = ReadObject<api::BackupPod>(now)) {
    rows_[key.second] = std::make_shared<const api::BackupPod>(*std::move(row));
  }
}

// ---- objects -----------------------------------------------------------------------------------

Json FakeCluster::Store(const kube::Resource& resource, Json object, By by) {
  const Key key = KeyOf(resource, object["metadata"].value("namespace", ""),
                        object["metadata"].value("name", ""));
  object["metadata"]["resourceVersion"] = std::to_string(next_version_++);
  resources_[key.first] = &resource;
  const auto found = objects_.find(key);
  const kube::ObjectPtr was = found == objects_.end() ? nullptr : found->second;
  kube::ObjectPtr now;
  if (Deleting(object) && !HasFinalizers(object) && resource.plural != kube::kPods.plural) {
    objects_.erase(key);
  } else {
    now = objects_[key] = std::make_shared<const Json>(object);
  }
  if (by == By::kController && now) Hold(key, now);
  Tell(resource, {{}, key, was, now});
  if (by != By::kOthers && written_) written_(resource, by, was, now);
  return object;
}

// Stores a changed object, counting generations as the API server does.
Result<Json> FakeCluster::Apply(const kube::Resource& resource, Json object, Json changed, By by) {
  const std::string wanted = changed["metadata"].value("resourceVersion", "");
  if (!wanted.empty() && wanted != kube::StringAt(object, "/metadata/resourceVersion")) {
    return Conflict("the object has been modified");
  }
  if (At(changed, "/metadata/uid") != At(object, "/metadata/uid")) {
    return Conflict("another object of that name");
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
  const kube::ObjectPtr was = Object(resource, ns, name);
  if (objects_.erase(key) > 0) Tell(resource, {{}, key, was, nullptr});
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

}  // namespace longshore::controller
