// SPDX-License-Identifier: Apache-2.0
//
// A local copy of one resource, kept by LIST and WATCH: what controllers read instead of the API.
// Survives 410 Gone, ERROR events, half-open connections and API outages; synthesises deletes after
// a relist; objects are immutable and shared.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/api/archive.h"
#include "common/api/meta.h"
#include "common/base/result.h"
#include "common/kube/client.h"

namespace longshore::kube {

using ObjectPtr = std::shared_ptr<const Json>;

// How patient an informer is; tests shorten it.
struct InformerTiming {
  // Without a byte for so long, the watch is given up; bookmarks come every 60 to 75 s.
  std::chrono::milliseconds silence{90000};
  // Between tries after failures: full jitter, doubling from `first` to `most`; from `first` again
  // after `reset` without a failure.
  std::chrono::milliseconds first_backoff{800}, max_backoff{30000}, backoff_reset{120000};
};

struct InformerOptions {
  std::string ns;  // empty: all namespaces
  ListOptions selector;
  // Takes out what nobody reads, before an object is stored: thousands of pods are mostly that.
  // Never write such an object back with Update. metadata.managedFields is always taken out.
  std::function<void(Json&)> prune;
  InformerTiming timing;
};

// What all informers have in common, whatever they hold. Thread-safe.
class AnyInformer {
 public:
  virtual ~AnyInformer() = default;

  virtual void Start() = 0;
  virtual void Stop() = 0;
  // Whether the first LIST is in the store and its handlers have run.
  virtual bool synced() const = 0;
  virtual bool WaitForSync(std::chrono::milliseconds timeout) const = 0;
  // LISTs are denied for want of a right (kPermissionDenied), maybe one that was there before, and
  // nothing was listed since: more than one of them, since a server that has just started may not
  // have read the rights. It is tried again all the while, since rights may be given later.
  virtual std::optional<Error> denial() const = 0;
  // Age of the last sign of life from the watch (event, bookmark, relist).
  virtual std::chrono::milliseconds staleness() const = 0;
  // Age of the oldest write of ours (Observe) that the watch has not shown yet; zero: it has shown
  // all of them. What others wrote is then at least so much behind.
  virtual std::chrono::milliseconds lag() const = 0;
  virtual const Resource& resource() const = 0;
  // Puts the result of our own write into the store at once, so that the next reconcile sees it
  // even before the watch delivers it; older watch events are then ignored by resourceVersion.
  virtual void Observe(const Json& written) = 0;
};

// Holds objects as T: Json, or where there are many thousands of them the type that they parse as,
// which takes less memory and is parsed once. One that does not parse is logged, and as good as
// absent. Defined for Json and api::BackupPod.
template <class T>
class BasicInformer : public AnyInformer {
 public:
  using Ptr = std::shared_ptr<const T>;

  // The client must outlive the informer.
  BasicInformer(Client& client, const Resource& resource, InformerOptions options = {});
  ~BasicInformer() override;  // stops

  // A handler for changes: `before` is null for an add, `after` for a delete. Called on the
  // informer's thread without a lock held; keep it short (push a key to a WorkQueue). Before Start.
  // Handlers get what LIST and WATCH say, each object's changes in order, also the ones that
  // Observe put into the store before; Get may therefore return something newer than `after`.
  using Handler = std::function<void(const Ptr& before, const Ptr& after)>;
  void OnChange(Handler handler);
  // A secondary index: `keys` gives the index values of an object. Before Start.
  using IndexFunction = std::function<std::vector<std::string>(const T&)>;
  void AddIndex(const std::string& name, IndexFunction keys);

  Ptr Get(const std::string& ns, const std::string& name) const;  // null: unknown
  std::vector<Ptr> List() const;
  std::vector<Ptr> ListByIndex(const std::string& index, const std::string& value) const;

  void Start() override;
  void Stop() override;
  bool synced() const override;
  bool WaitForSync(std::chrono::milliseconds timeout) const override;
  std::optional<Error> denial() const override;
  std::chrono::milliseconds staleness() const override;
  std::chrono::milliseconds lag() const override;
  const Resource& resource() const override;
  void Observe(const Json& written) override;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

using Informer = BasicInformer<Json>;

// "nodes are not listed yet", or why they may not be; empty once they were listed.
std::string WhyUnsynced(const AnyInformer& informer);

// metadata of any object, without parsing the rest.
std::string_view NameOf(const Json& object);
std::string_view NamespaceOf(const Json& object);
std::string_view UidOf(const Json& object);
std::string_view LabelOf(const Json& object, const std::string& key);
std::string_view AnnotationOf(const Json& object, const std::string& key);
// A string at a path like "/spec/nodeName", or "".
std::string_view StringAt(const Json& object, const char* json_pointer);

// Logs that the object does not parse as its kind.
void WarnUnreadable(const Json& object, const Error& error);
// The object as its type; empty, and logged, when it does not parse.
template <class T>
std::optional<T> ReadOrWarn(const Json& object) {
  Result<T> read = api::ReadJson<T>(object);
  if (read) return *std::move(read);
  WarnUnreadable(object, read.error());
  return std::nullopt;
}

}  // namespace longshore::kube
