// SPDX-License-Identifier: Apache-2.0
#include "common/kube/store.h"

#include "common/base/strings.h"

namespace longshore::kube {
namespace {

constexpr size_t kMaxBuried = 4096;

std::string KeyOf(std::string_view ns, std::string_view name) {
  std::string key(ns);
  key += '/';
  return key += name;
}

std::string_view VersionOf(const Json& object) {
  return StringAt(object, "/metadata/resourceVersion");
}

// Whether version `a` is known to be newer than `b`. Kubernetes compares them as integers since
// 1.35; where one is not an integer nothing is known.
bool Newer(std::string_view a, std::string_view b) {
  const Result<int64_t> x = ParseInt(a), y = ParseInt(b);
  return x.has_value() && y.has_value() && *x > *y;
}

bool SameUid(const ObjectPtr& object, std::string_view uid) {
  return object != nullptr && UidOf(*object) == uid;
}

}  // namespace

void Store::AddIndex(const std::string& name, Informer::IndexFunction keys) {
  indexes_[name].keys = std::move(keys);
}

void Store::SetCurrent(const std::string& key, Entry& entry, ObjectPtr object) {
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

void Store::Bury(std::string_view uid, std::string_view version) {
  if (uid.empty()) return;
  const auto [buried, added] = buried_.insert_or_assign(std::string(uid), std::string(version));
  if (added) burials_.push_back(buried->first);
  if (burials_.size() <= kMaxBuried) return;
  buried_.erase(burials_.front());
  burials_.pop_front();
}

std::vector<Store::Change> Store::Apply(ObjectPtr object) {
  std::vector<Change> changes;
  const std::string key = KeyOf(NamespaceOf(*object), NameOf(*object));
  Entry& entry = entries_[key];
  if (entry.delivered != nullptr && !SameUid(entry.delivered, UidOf(*object))) {
    Bury(UidOf(*entry.delivered), VersionOf(*object));
    changes.push_back({std::exchange(entry.delivered, nullptr), nullptr});
  }
  const std::string_view version = VersionOf(*object);
  if (entry.delivered != nullptr) {
    const std::string_view last = VersionOf(*entry.delivered);
    if (last == version || Newer(last, version)) return changes;  // a relist says it once more
  }
  changes.push_back({entry.delivered, object});
  entry.delivered = object;
  if (entry.current == nullptr || !Newer(VersionOf(*entry.current), version)) {
    unseen_.erase(key);
    SetCurrent(key, entry, std::move(object));
  } else if (const auto unseen = unseen_.find(key); unseen != unseen_.end()) {
    unseen->second.first = unseen->second.last;  // which of ours are still to come is not known
  }
  return changes;
}

std::vector<Store::Change> Store::Remove(const Json& object) {
  std::vector<Change> changes;
  const std::string key = KeyOf(NamespaceOf(object), NameOf(object));
  // The event carries the version of the delete itself: all that is older than it is over.
  Bury(UidOf(object), VersionOf(object));
  const auto found = entries_.find(key);
  if (found == entries_.end()) return changes;
  Entry& entry = found->second;
  if (SameUid(entry.delivered, UidOf(object))) {
    changes.push_back({std::exchange(entry.delivered, nullptr), nullptr});
  }
  if (SameUid(entry.current, UidOf(object))) {
    unseen_.erase(key);
    SetCurrent(key, entry, nullptr);
  }
  if (entry.current == nullptr && entry.delivered == nullptr) entries_.erase(found);
  return changes;
}

std::vector<Store::Change> Store::Replace(std::vector<ObjectPtr> objects,
                                          const std::string& resource_version) {
  std::vector<Change> changes;
  std::set<std::string> listed;
  for (ObjectPtr& object : objects) {
    listed.insert(KeyOf(NamespaceOf(*object), NameOf(*object)));
    for (Change& change : Apply(std::move(object))) changes.push_back(std::move(change));
  }
  for (auto at = entries_.begin(); at != entries_.end();) {
    auto& [key, entry] = *at;
    if (listed.contains(key)) {
      ++at;
      continue;
    }
    if (entry.delivered != nullptr) {
      Bury(UidOf(*entry.delivered), resource_version);
      changes.push_back({std::exchange(entry.delivered, nullptr), nullptr});
    }
    // A write of ours that is newer than the list is not refuted by it.
    const bool newer =
        entry.current != nullptr && Newer(VersionOf(*entry.current), resource_version);
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

void Store::Observe(ObjectPtr object, MonotonicTime now) {
  const std::string_view version = VersionOf(*object);
  const auto buried = buried_.find(std::string(UidOf(*object)));
  if (buried != buried_.end() && !Newer(version, buried->second)) return;
  const std::string key = KeyOf(NamespaceOf(*object), NameOf(*object));
  Entry& entry = entries_[key];
  if (entry.current != nullptr) {
    const std::string_view current = VersionOf(*entry.current);
    if (current == version || Newer(current, version)) return;
  }
  unseen_.try_emplace(key, Unseen{now, now}).first->second.last = now;
  SetCurrent(key, entry, std::move(object));
}

std::optional<MonotonicTime> Store::OldestUnseen() const {
  std::optional<MonotonicTime> oldest;
  for (const auto& [key, unseen] : unseen_) {
    if (!oldest || unseen.first < *oldest) oldest = unseen.first;
  }
  return oldest;
}

ObjectPtr Store::Get(const std::string& ns, const std::string& name) const {
  const auto found = entries_.find(KeyOf(ns, name));
  return found == entries_.end() ? nullptr : found->second.current;
}

std::vector<ObjectPtr> Store::List() const {
  std::vector<ObjectPtr> objects;
  objects.reserve(entries_.size());
  for (const auto& [key, entry] : entries_) {
    if (entry.current != nullptr) objects.push_back(entry.current);
  }
  return objects;
}

std::vector<ObjectPtr> Store::ListByIndex(const std::string& index,
                                          const std::string& value) const {
  std::vector<ObjectPtr> objects;
  const auto found = indexes_.find(index);
  LS_CHECK(found != indexes_.end());
  const auto keys = found->second.objects.find(value);
  if (keys == found->second.objects.end()) return objects;
  for (const std::string& key : keys->second) objects.push_back(entries_.at(key).current);
  return objects;
}

}  // namespace longshore::kube
