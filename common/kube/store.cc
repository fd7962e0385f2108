// SPDX-License-Identifier: Apache-2.0
#include "common/kube/store.h"

#include "common/api/request.h"
#include "common/base/strings.h"

namespace longshore::kube {
namespace {

constexpr size_t kMaxBuried = 4096;

std::string KeyOf(std::string_view ns, std::string_view name) {
  std::string key(ns);
  key += '/';
  return key += name;
}

template <class T>
std::string KeyOf(const std::shared_ptr<const T>& object) {
  const Identity identity = IdentityOf(*object);
  return KeyOf(identity.ns, identity.name);
}

template <class T>
std::string_view VersionOf(const std::shared_ptr<const T>& object) {
  return IdentityOf(*object).version;
}

// Whether version `a` is known to be newer than `b`. Kubernetes compares them as integers since
// 1.35; where one is not an integer nothing is known.
bool Newer(std::string_view a, std::string_view b) {
  const Result<int64_t> x = ParseInt(a), y = ParseInt(b);
  return x.has_value() && y.has_value() && *x > *y;
}

template <class T>
bool SameUid(const std::shared_ptr<const T>& object, std::string_view uid) {
  return object != nullptr && IdentityOf(*object).uid == uid;
}

}  // namespace

Identity IdentityOf(const Json& object) {
  return {NamespaceOf(object), NameOf(object), UidOf(object),
          StringAt(object, "/metadata/resourceVersion")};
}

template <class T>
void BasicStore<T>::AddIndex(const std::string& name,
                             typename BasicInformer<T>::IndexFunction keys) {
  indexes_[name].keys = std::move(keys);
}

template <class T>
void BasicStore<T>::SetCurrent(const std::string& key, Entry& entry, Ptr object) {
  for (auto& [name, index] : indexes_) {
    if (entry.current != nullptr) {
      for (const std::string& value : index.keys(*entry.current)) {
        const auto found = index.objects.find(value);
        if (found == index.objects.end()) continue;
        found->second.erase(key);
        if (found->second.empty()) index.objects.erase(found);
      }
    }
    if (object != nullptr) {
      for (const std::string& value : index.keys(*object)) index.objects[value].insert(key);
    }
  }
  entry.current = std::move(object);
}

template <class T>
void BasicStore<T>::Bury(std::string_view uid, std::string_view version) {
  if (uid.empty()) return;
  const auto [buried, added] = buried_.insert_or_assign(std::string(uid), std::string(version));
  if (added) burials_.push_back(buried->first);
  if (burials_.size() <= kMaxBuried) return;
  buried_.erase(burials_.front());
  burials_.pop_front();
}

template <class T>
auto BasicStore<T>::Apply(Ptr object) -> std::vector<Change> {
  std::vector<Change> changes;
  const std::string key = KeyOf(object);
  Entry& entry = entries_[key];
  if (entry.delivered != nullptr && !SameUid(entry.delivered, IdentityOf(*object).uid)) {
    Bury(IdentityOf(*entry.delivered).uid, VersionOf(object));
    changes.push_back({std::exchange(entry.delivered, nullptr), nullptr});
  }
  const std::string_view version = VersionOf(object);
  if (entry.delivered != nullptr) {
    const std::string_view last = VersionOf(entry.delivered);
    if (last == version || Newer(last, version)) return changes;  // a relist says it once more
  }
  changes.push_back({entry.delivered, object});
  entry.delivered = object;
  if (entry.current == nullptr || !Newer(VersionOf(entry.current), version)) {
    unseen_.erase(key);
    SetCurrent(key, entry, std::move(object));
  } else if (const auto unseen = unseen_.find(key); unseen != unseen_.end()) {
    unseen->second.first = unseen->second.last;  // which of ours are still to come is not known
  }
  return changes;
}

template <class T>
auto BasicStore<T>::Remove(const Identity& object) -> std::vector<Change> {
  std::vector<Change> changes;
  const std::string key = KeyOf(object.ns, object.name);
  // The event carries the version of the delete itself: all that is older than it is over.
  Bury(object.uid, object.version);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return changes;
  Entry& entry = found->second;
  if (SameUid(entry.delivered, object.uid)) {
    changes.push_back({std::exchange(entry.delivered, nullptr), nullptr});
  }
  if (SameUid(entry.current, object.uid)) {
    unseen_.erase(key);
    SetCurrent(key, entry, nullptr);
  }
  if (entry.current == nullptr && entry.delivered == nullptr) entries_.erase(found);
  return changes;
}

template <class T>
auto BasicStore<T>::Replace(std::vector<Ptr> objects, const std::string& resource_version)
    -> std::vector<Change> {
  std::vector<Change> changes;
  std::set<std::string> listed;
  for (Ptr& object : objects) {
    listed.insert(KeyOf(object));
    for (Change& change : Apply(std::move(object))) changes.push_back(std::move(change));
  }
  for (auto at = entries_.begin(); at != entries_.end();) {
    auto& [key, entry] = *at;
    if (listed.contains(key)) {
      ++at;
      continue;
    }
    if (entry.delivered != nullptr) {
      Bury(IdentityOf(*entry.delivered).uid, resource_version);
      changes.push_back({std::exchange(entry.delivered, nullptr), nullptr});
    }
    // A write of ours that is newer than the list is not refuted by it.
    const bool newer =
        entry.current != nullptr && Newer(VersionOf(entry.current), resource_version);
    if (newer) {
      ++at;
    } else {
      unseen_.erase(key);
      SetCurrent(key, entry, nullptr);
      at = entries_.erase(at);
    }
  }
  return changes;
}

template <class T>
void BasicStore<T>::Observe(Ptr object, MonotonicTime now) {
  const std::string_view version = VersionOf(object);
  const auto buried = buried_.find(std::string(IdentityOf(*object).uid));
  if (buried != buried_.end() && !Newer(version, buried->second)) return;
  const std::string key = KeyOf(object);
  Entry& entry = entries_[key];
  if (entry.current != nullptr) {
    const std::string_view current = VersionOf(entry.current);
    if (current == version || Newer(current, version)) return;
  }
  unseen_.try_emplace(key, Unseen{now, now}).first->second.last = now;
  SetCurrent(key, entry, std::move(object));
}

template <class T>
std::optional<MonotonicTime> BasicStore<T>::OldestUnseen() const {
  std::optional<MonotonicTime> oldest;
  for (const auto& [key, unseen] : unseen_) {
    if (!oldest || unseen.first < *oldest) oldest = unseen.first;
  }
  return oldest;
}

template <class T>
auto BasicStore<T>::Get(const std::string& ns, const std::string& name) const -> Ptr {
  const auto found = entries_.find(KeyOf(ns, name));
  return found == entries_.end() ? nullptr : found->second.current;
}

template <class T>
auto BasicStore<T>::List() const -> std::vector<Ptr> {
  std::vector<Ptr> objects;
  objects.reserve(entries_.size());
  for (const auto& [key, entry] : entries_) {
    if (entry.current != nullptr) objects.push_back(entry.current);
  }
  return objects;
}

template <class T>
auto BasicStore<T>::ListByIndex(const std::string& index, const std::string& value) const
    -> std::vector<Ptr> {
  std::vector<Ptr> objects;
  const auto found = indexes_.find(index);
  LS_CHECK(found != indexes_.end());
  const auto keys = found->second.objects.find(value);
  if (keys == found->second.objects.end()) return objects;
  for (const std::string& key : keys->second) objects.push_back(entries_.at(key).current);
  return objects;
}

template class BasicStore<Json>;
template class BasicStore<api::BackupPod>;

}  // namespace longshore::kube
