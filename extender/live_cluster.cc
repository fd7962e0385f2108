// SPDX-License-Identifier: Apache-2.0
#include "extender/live_cluster.h"

#include <algorithm>

#include "common/base/log.h"

namespace longshore::extender {

LiveCluster::LiveCluster(kube::Client& client)
    : view_(client, placement::WatchedPods::kHoldingRoom), sources_(client, kube::kBackupSources) {
  sources_.OnChange([this](const kube::ObjectPtr& before, const kube::ObjectPtr& after) {
    SourceChanged(before, after);
  });
}

void LiveCluster::Start() {
  view_.Start();
  sources_.Start();
}

void LiveCluster::Stop() {
  sources_.Stop();
  view_.Stop();
}

bool LiveCluster::synced() const { return view_.synced() && sources_.synced(); }
std::string LiveCluster::WhyUnsynced() const {
  const std::string view = view_.WhyUnsynced(), sources = kube::WhyUnsynced(sources_);
  return view + (view.empty() || sources.empty() ? "" : "; ") + sources;
}
std::vector<const kube::AnyInformer*> LiveCluster::informers() const {
  std::vector<const kube::AnyInformer*> all{&sources_};
  for (const kube::Informer* informer : view_.informers()) all.push_back(informer);
  return all;
}
std::shared_ptr<const placement::View> LiveCluster::Snapshot() const { return view_.Snapshot(); }
std::chrono::milliseconds LiveCluster::age() const {
  return std::max(view_.staleness(), sources_.staleness());
}

std::shared_ptr<const api::BackupSource> LiveCluster::Source(const std::string& ns,
                                                             const std::string& name) const {
  MutexLock lock(mutex_);
  const auto found = parsed_.find(ns + "/" + name);
  return found == parsed_.end() ? nullptr : found->second;
}

void LiveCluster::SourceChanged(const kube::ObjectPtr& before, const kube::ObjectPtr& after) {
  const kube::Json& object = after != nullptr ? *after : *before;
  const std::string key =
      std::string(kube::NamespaceOf(object)) + "/" + std::string(kube::NameOf(object));
  std::shared_ptr<const api::BackupSource> source;
  if (after != nullptr) {
    auto parsed = api::ReadJson<api::BackupSource>(*after);
    if (parsed.has_value()) {
      source = std::make_shared<const api::BackupSource>(*std::move(parsed));
    } else {
      LogWarn("source cannot be read", {{"source", key}, {"error", parsed.error().message}});
    }
  }
  MutexLock lock(mutex_);
  if (source == nullptr) {
    parsed_.erase(key);
  } else {
    parsed_[key] = std::move(source);
  }
}

}  // namespace longshore::extender
