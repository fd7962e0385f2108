// SPDX-License-Identifier: Apache-2.0
#include "common/kube/informer.h"

#include <atomic>
#include <utility>

#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/kube/reflector.h"
#include "common/kube/store.h"

namespace longshore::kube {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

std::function<void(Json&)> WithoutManagedFields(std::function<void(Json&)> prune) {
  return [prune = std::move(prune)](Json& object) {
    const auto metadata = object.find("metadata");
    if (metadata != object.end() && metadata->is_object()) metadata->erase("managedFields");
    if (prune) prune(object);
  };
}

// Its lists come pruned.
InformerOptions ForReflector(InformerOptions options, const std::function<void(Json&)>& prune) {
  options.selector.prune = prune;
  return options;
}

}  // namespace

class Informer::Impl {
 public:
  Impl(Client& client, const Resource& resource, InformerOptions options)
      : resource_(resource),
        ns_(options.ns),
        prune_(WithoutManagedFields(options.prune)),
        reflector_(client.config(), client.user_agent(), resource,
                   ForReflector(std::move(options), prune_),
                   {.on_list = [this](ListResult list) { Take(std::move(list)); },
                    .on_event = [this](WatchEvent event) { Take(std::move(event)); },
                    .on_alive = [this] { alive_ = steady_clock::now(); }}) {}

  void Start() {
    alive_ = steady_clock::now();
    reflector_.Start();
  }
  void Stop() { reflector_.Stop(); }

  ObjectPtr Pruned(Json object) const {
    prune_(object);
    return std::make_shared<const Json>(std::move(object));
  }

  void Observe(const Json& written) {
    if (!written.is_object() || NameOf(written).empty()) return;
    if (!ns_.empty() && NamespaceOf(written) != ns_) return;
    ObjectPtr object = Pruned(written);
    MutexLock lock(mutex_);
    store_.Observe(std::move(object));
  }

  bool WaitForSync(milliseconds timeout) {
    const auto end = steady_clock::now() + timeout;
    MutexLock lock(mutex_);
    while (!synced_ && steady_clock::now() < end) changed_.wait_until(mutex_, end);
    return synced_;
  }
  bool synced() {
    MutexLock lock(mutex_);
    return synced_;
  }
  milliseconds staleness() const {
    return std::chrono::duration_cast<milliseconds>(steady_clock::now() - alive_.load());
  }

  milliseconds lag() {
    MutexLock lock(mutex_);
    const auto oldest = store_.OldestUnseen();
    if (!oldest) return milliseconds(0);
    return std::chrono::duration_cast<milliseconds>(Clock::Real().Monotonic() - *oldest);
  }

  const Resource& resource() const { return resource_; }

  template <class F>
  auto Read(const F& read) {
    MutexLock lock(mutex_);
    return read(store_);
  }

  std::vector<Handler> handlers;  // fixed before Start

 private:
  void Take(ListResult list) {
    std::vector<ObjectPtr> objects;
    objects.reserve(list.items.size());
    for (Json& item : list.items) {
      objects.push_back(std::make_shared<const Json>(std::move(item)));
    }
    std::vector<Store::Change> changes;
    {
      MutexLock lock(mutex_);
      changes = store_.Replace(std::move(objects), list.resource_version);
    }
    Tell(changes);
    MutexLock lock(mutex_);
    synced_ = true;
    changed_.notify_all();
  }

  void Take(WatchEvent event) {
    const bool removed = event.type == WatchEventType::kDeleted;
    const ObjectPtr object = Pruned(std::move(event.object));
    std::vector<Store::Change> changes;
    {
      MutexLock lock(mutex_);
      changes = removed ? store_.Remove(*object) : store_.Apply(object);
    }
    Tell(changes);
  }

  void Tell(const std::vector<Store::Change>& changes) {
    for (const Store::Change& change : changes) {
      for (const Handler& handler : handlers) handler(change.before, change.after);
    }
  }

  const Resource resource_;
  const std::string ns_;
  const std::function<void(Json&)> prune_;
  std::atomic<steady_clock::time_point> alive_{steady_clock::now()};
  Mutex mutex_;
  ConditionVariable changed_;
  Store store_ LS_GUARDED_BY(mutex_);
  bool synced_ LS_GUARDED_BY(mutex_) = false;
  Reflector reflector_;  // last: its thread uses everything above
};

Informer::Informer(Client& client, const Resource& resource, InformerOptions options)
    : impl_(std::make_unique<Impl>(client, resource, std::move(options))) {}
Informer::~Informer() { Stop(); }

void Informer::OnChange(Handler handler) { impl_->handlers.push_back(std::move(handler)); }
void Informer::AddIndex(const std::string& name, IndexFunction keys) {
  impl_->Read([&](Store& store) { store.AddIndex(name, std::move(keys)); });
}

void Informer::Start() { impl_->Start(); }
void Informer::Stop() { impl_->Stop(); }
bool Informer::synced() const { return impl_->synced(); }
bool Informer::WaitForSync(milliseconds timeout) const { return impl_->WaitForSync(timeout); }
milliseconds Informer::staleness() const { return impl_->staleness(); }
milliseconds Informer::lag() const { return impl_->lag(); }
const Resource& Informer::resource() const { return impl_->resource(); }

ObjectPtr Informer::Get(const std::string& ns, const std::string& name) const {
  return impl_->Read([&](const Store& store) { return store.Get(ns, name); });
}
std::vector<ObjectPtr> Informer::List() const {
  return impl_->Read([](const Store& store) { return store.List(); });
}
std::vector<ObjectPtr> Informer::ListByIndex(const std::string& index,
                                             const std::string& value) const {
  return impl_->Read([&](const Store& store) { return store.ListByIndex(index, value); });
}
void Informer::Observe(const Json& written) { impl_->Observe(written); }

std::string_view StringAt(const Json& object, const char* json_pointer) {
  const Json* at = &object;
  std::string_view rest = json_pointer;
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the slash
    const std::string_view step = rest.substr(0, rest.find('/'));
    rest.remove_prefix(step.size());
    if (at->is_array()) {
      const Result<int64_t> index = ParseInt(step);
      if (!index.has_value() || *index < 0 || static_cast<size_t>(*index) >= at->size()) return "";
      at = &(*at)[static_cast<size_t>(*index)];
      continue;
    }
    if (!at->is_object()) return "";
    const auto found = at->find(std::string(step));
    if (found == at->end()) return "";
    at = &*found;
  }
  return at->is_string() ? std::string_view(at->get_ref<const std::string&>()) : "";
}

std::string_view NameOf(const Json& object) { return StringAt(object, "/metadata/name"); }
std::string_view NamespaceOf(const Json& object) { return StringAt(object, "/metadata/namespace"); }
std::string_view UidOf(const Json& object) { return StringAt(object, "/metadata/uid"); }

namespace {
std::string_view MapEntry(const Json& object, const char* map, const std::string& key) {
  const auto metadata = object.is_object() ? object.find("metadata") : object.end();
  if (!object.is_object() || metadata == object.end() || !metadata->is_object()) return "";
  const auto entries = metadata->find(map);
  if (entries == metadata->end() || !entries->is_object()) return "";
  const auto entry = entries->find(key);
  if (entry == entries->end() || !entry->is_string()) return "";
  return entry->get_ref<const std::string&>();
}
}  // namespace

std::string_view LabelOf(const Json& object, const std::string& key) {
  return MapEntry(object, "labels", key);
}
std::string_view AnnotationOf(const Json& object, const std::string& key) {
  return MapEntry(object, "annotations", key);
}

}  // namespace longshore::kube
