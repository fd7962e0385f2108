// SPDX-License-Identifier: Apache-2.0
#include "common/kube/informer.h"

#include <atomic>
#include <utility>

#include "common/api/request.h"
#include "common/base/log.h"
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

// Moves a Json on. Null, and a warning, for what is no T: it stays as it is.
template <class T>
std::shared_ptr<const T> Decode(Json& object) {
  if constexpr (std::is_same_v<T, Json>) {
    return std::make_shared<const Json>(std::move(object));
  } else {
    std::optional<T> read = ReadOrWarn<T>(object);
    return read ? std::make_shared<const T>(*std::move(read)) : nullptr;
  }
}

}  // namespace

template <class T>
class BasicInformer<T>::Impl {
 public:
  using Change = typename BasicStore<T>::Change;

  Impl(Client& client, const Resource& resource, InformerOptions options)
      : resource_(resource),
        ns_(options.ns),
        prune_(WithoutManagedFields(options.prune)),
        reflector_(client.config(), client.user_agent(), resource, std::move(options),
                   {.list = {.begin = [this] { listed_.clear(); },
                             .take = [this](Json item) { TakeItem(std::move(item)); }},
                    .on_listed = [this](const std::string& version) { Take(version); },
                    .on_list_failed = [this](const Error& error) { NoteFailure(error); },
                    .on_event = [this](WatchEvent event) { Take(std::move(event)); },
                    .on_alive = [this] { alive_ = steady_clock::now(); }}) {}

  void Start() {
    alive_ = steady_clock::now();
    reflector_.Start();
  }
  void Stop() { reflector_.Stop(); }

  Ptr Kept(Json& object) const {
    prune_(object);
    return Decode<T>(object);
  }

  void Observe(const Json& written) {
    if (!written.is_object() || NameOf(written).empty()) return;
    if (!ns_.empty() && NamespaceOf(written) != ns_) return;
    Json copy = written;
    Ptr object = Kept(copy);
    if (object == nullptr) return;
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
  std::optional<Error> denial() {
    MutexLock lock(mutex_);
    return denials_ > 1 ? denial_ : std::nullopt;
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
  void TakeItem(Json item) {
    if (Ptr object = Kept(item)) listed_.push_back(std::move(object));
  }

  void Take(const std::string& list_version) {
    std::vector<Change> changes;
    {
      MutexLock lock(mutex_);
      changes = store_.Replace(std::exchange(listed_, {}), list_version);
    }
    Tell(changes);
    MutexLock lock(mutex_);
    synced_ = true;
    denials_ = 0;
    changed_.notify_all();
  }

  // What was denied stays so while the server is away.
  void NoteFailure(const Error& error) {
    if (error.code != Code::kPermissionDenied) return;
    MutexLock lock(mutex_);
    denial_ = error;
    ++denials_;
  }

  void Take(WatchEvent event) {
    const Ptr object = Kept(event.object);
    const bool gone = event.type == WatchEventType::kDeleted || object == nullptr;
    const Identity identity = object ? IdentityOf(*object) : IdentityOf(event.object);
    std::vector<Change> changes;
    {
      MutexLock lock(mutex_);
      changes = gone ? store_.Remove(identity) : store_.Apply(object);
    }
    Tell(changes);
  }

  void Tell(const std::vector<Change>& changes) {
    for (const Change& change : changes) {
      for (const Handler& handler : handlers) handler(change.before, change.after);
    }
  }

  const Resource resource_;
  const std::string ns_;
  const std::function<void(Json&)> prune_;
  std::atomic<steady_clock::time_point> alive_{steady_clock::now()};
  Mutex mutex_;
  ConditionVariable changed_;
  BasicStore<T> store_ LS_GUARDED_BY(mutex_);
  bool synced_ LS_GUARDED_BY(mutex_) = false;
  std::optional<Error> denial_ LS_GUARDED_BY(mutex_);  // the last
  int64_t denials_ LS_GUARDED_BY(mutex_) = 0;          // since the last list
  std::vector<Ptr> listed_;  // the list that is being read; of the reflector's thread
  Reflector reflector_;      // last: its thread uses everything above
};

template <class T>
BasicInformer<T>::BasicInformer(Client& client, const Resource& resource, InformerOptions options)
    : impl_(std::make_unique<Impl>(client, resource, std::move(options))) {}
template <class T>
BasicInformer<T>::~BasicInformer() {
  impl_->Stop();
}

template <class T>
void BasicInformer<T>::OnChange(Handler handler) {
  impl_->handlers.push_back(std::move(handler));
}
template <class T>
void BasicInformer<T>::AddIndex(const std::string& name, IndexFunction keys) {
  impl_->Read([&](BasicStore<T>& store) { store.AddIndex(name, std::move(keys)); });
}

template <class T>
auto BasicInformer<T>::Get(const std::string& ns, const std::string& name) const -> Ptr {
  return impl_->Read([&](const BasicStore<T>& store) { return store.Get(ns, name); });
}
template <class T>
auto BasicInformer<T>::List() const -> std::vector<Ptr> {
  return impl_->Read([](const BasicStore<T>& store) { return store.List(); });
}
template <class T>
auto BasicInformer<T>::ListByIndex(const std::string& index, const std::string& value) const
    -> std::vector<Ptr> {
  return impl_->Read([&](const BasicStore<T>& store) { return store.ListByIndex(index, value); });
}

template <class T>
void BasicInformer<T>::Start() {
  impl_->Start();
}
template <class T>
void BasicInformer<T>::Stop() {
  impl_->Stop();
}
template <class T>
bool BasicInformer<T>::synced() const {
  return impl_->synced();
}
template <class T>
bool BasicInformer<T>::WaitForSync(milliseconds timeout) const {
  return impl_->WaitForSync(timeout);
}
template <class T>
std::optional<Error> BasicInformer<T>::denial() const {
  return impl_->denial();
}
template <class T>
milliseconds BasicInformer<T>::staleness() const {
  return impl_->staleness();
}
template <class T>
milliseconds BasicInformer<T>::lag() const {
  return impl_->lag();
}
template <class T>
const Resource& BasicInformer<T>::resource() const {
  return impl_->resource();
}
template <class T>
void BasicInformer<T>::Observe(const Json& written) {
  impl_->Observe(written);
}

std::string WhyUnsynced(const AnyInformer& informer) {
  if (informer.synced()) return "";
  const std::string what(informer.resource().plural);
  const auto denial = informer.denial();
  return denial ? what + " may not be listed: " + denial->message : what + " are not listed yet";
}

template class BasicInformer<Json>;
template class BasicInformer<api::BackupPod>;

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

void WarnUnreadable(const Json& object, const Error& error) {
  LogWarn("object does not parse", {{"kind", StringAt(object, "/kind")},
                                    {"namespace", NamespaceOf(object)},
                                    {"name", NameOf(object)},
                                    {"error", error.message}});
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
