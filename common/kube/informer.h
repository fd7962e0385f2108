// SPDX-License-Identifier: Apache-2.0
//
// A local copy of one resource, kept by LIST and WATCH: what controllers read instead of the API.
// Survives 410 Gone, ERROR events, half-open connections and API outages; synthesises deletes after
// a relist; objects are immutable and shared.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
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

class Informer {
 public:
  // The client must outlive the informer.
  Informer(Client& client, const Resource& resource, InformerOptions options = {});
  ~Informer();  // stops

  // A handler for changes: `before` is null for an add, `after` for a delete. Called on the
  // informer's thread without a lock held; keep it short (push a key to a WorkQueue). Before Start.
  // Handlers get what LIST and WATCH say, each object's changes in order, also the ones that
  // Observe put into the store before; Get may therefore return something newer than `after`.
  using Handler = std::function<void(const ObjectPtr& before, const ObjectPtr& after)>;
  void OnChange(Handler handler);
  // A secondary index: `keys` gives the index values of an object. Before Start.
  using IndexFunction = std::function<std::vector<std::string>(const Json&)>;
  void AddIndex(const std::string& name, IndexFunction keys);

  void Start();
  void Stop();
  // Whether the first LIST is in the store and its handlers have run.
  bool synced() const;
  bool WaitForSync(std::chrono::milliseconds timeout) const;
  // Age of the last sign of life from the watch (event, bookmark, relist).
  std::chrono::milliseconds staleness() const;
  // Age of the oldest write of ours (Observe) that the watch has not shown yet; zero: it has shown
  // all of them. What others wrote is then at least so much behind. Thread-safe.
  std::chrono::milliseconds lag() const;
  const Resource& resource() const;

  ObjectPtr Get(const std::string& ns, const std::string& name) const;  // null: unknown
  std::vector<ObjectPtr> List() const;
  std::vector<ObjectPtr> ListByIndex(const std::string& index, const std::string& value) const;

  // Puts the result of our own write into the store at once, so that the next reconcile sees it
  // even before the watch delivers it; older watch events are then ignored by resourceVersion.
  void Observe(const Json& written);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// metadata of any object, without parsing the rest.
std::string_view NameOf(const Json& object);
std::string_view NamespaceOf(const Json& object);
std::string_view UidOf(const Json& object);
std::string_view LabelOf(const Json& object, const std::string& key);
std::string_view AnnotationOf(const Json& object, const std::string& key);
// A string at a path like "/spec/nodeName", or "".
std::string_view StringAt(const Json& object, const char* json_pointer);

}  // namespace longshore::kube
