// SPDX-License-Identifier: Apache-2.0
//
// What an informer knows: objects by namespace and name, and by index. Three things feed it: LIST,
// WATCH and our own writes (Observe). The store holds the newest of them; the changes that it
// reports follow LIST and WATCH only, each object's in order and none left out, so that whoever
// counts by them counts right. Not thread-safe: the informer locks.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/kube/informer.h"

namespace longshore::kube {

struct Identity {
  std::string_view ns, name, uid, version;
};
Identity IdentityOf(const Json& object);
template <class Spec, class Status>
Identity IdentityOf(const api::Object<Spec, Status>& object) {
  const api::ObjectMeta& meta = object.metadata;
  return {meta.ns, meta.name, meta.uid, meta.resource_version};
}

// Defined for the same T as BasicInformer.
template <class T>
class BasicStore {
 public:
  using Ptr = std::shared_ptr<const T>;
  struct Change {
    Ptr before, after;  // as in BasicInformer::Handler
  };

  void AddIndex(const std::string& name, typename BasicInformer<T>::IndexFunction keys);

  // ADDED or MODIFIED. Several changes when a delete in between was missed.
  std::vector<Change> Apply(Ptr object);
  // DELETED, by UID: a new object of the same name stays.
  std::vector<Change> Remove(const Identity& object);
  // All that exist at that resourceVersion; what is missing from it was deleted.
  std::vector<Change> Replace(std::vector<Ptr> objects, const std::string& resource_version);
  // The answer to a write of ours. Ignored when the store has a newer one, or saw it deleted.
  void Observe(Ptr object, MonotonicTime now = Clock::Real().Monotonic());

  Ptr Get(const std::string& ns, const std::string& name) const;
  std::vector<Ptr> List() const;
  std::vector<Ptr> ListByIndex(const std::string& index, const std::string& value) const;
  // When the oldest write of ours was observed that LIST and WATCH have not shown yet; empty: they
  // have shown all. Of an object that is written again and again meanwhile, never too early.
  std::optional<MonotonicTime> OldestUnseen() const;

 private:
  struct Entry {
    Ptr current;    // the newest; null: known to be deleted
    Ptr delivered;  // what LIST and WATCH said last; null: nothing yet
  };
  using Entries = std::map<std::string, Entry>;
  struct Index {
    typename BasicInformer<T>::IndexFunction keys;
    std::map<std::string, std::set<std::string>> objects;  // value -> keys of entries
  };

  void SetCurrent(const std::string& key, Entry& entry, Ptr object);
  void Bury(std::string_view uid, std::string_view version);

  Entries entries_;
  // Keys of entries whose current object is a write of ours that was not delivered: when the first
  // such write was observed, as far as we know, and the last.
  struct Unseen {
    MonotonicTime first, last;
  };
  std::map<std::string, Unseen> unseen_;
  std::map<std::string, Index> indexes_;
  // UIDs whose delete was seen and the version then, the oldest first: a slow Observe must not
  // bring one back.
  std::deque<std::string> burials_;
  std::unordered_map<std::string, std::string> buried_;
};

using Store = BasicStore<Json>;

}  // namespace longshore::kube
