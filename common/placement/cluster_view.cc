// SPDX-License-Identifier: Apache-2.0
#include "common/placement/cluster_view.h"

#include <algorithm>
#include <thread>

#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/placement/prune.h"
#include "common/placement/snapshot.h"

namespace longshore::placement {
namespace {

// How often a new snapshot may be made, whatever the churn.
constexpr std::chrono::milliseconds kPublishInterval{50};
// How soon a list that brought no object is noticed (it calls no handler).
constexpr std::chrono::milliseconds kSyncPoll{20};
constexpr std::chrono::milliseconds kIdleWait{1000};

// Bound, and neither succeeded nor failed.
constexpr char kHoldingRoom[] = "spec.nodeName!=,status.phase!=Succeeded,status.phase!=Failed";

kube::InformerOptions PodOptions(WatchedPods pods) {
  kube::InformerOptions options;
  if (pods == WatchedPods::kHoldingRoom) options.selector.field_selector = kHoldingRoom;
  options.prune = PrunePod;
  return options;
}

// A big cluster has tens of thousands of attachments, and what drivers write about them is most of
// each.
void PruneAttachment(api::Json& attachment) {
  if (attachment.contains("metadata")) attachment["metadata"].erase("annotations");
  if (attachment.contains("status")) attachment["status"].erase("attachmentMetadata");
}

}  // namespace

class ClusterView::Impl {
 public:
  Impl(kube::Client& client, WatchedPods pods)
      : nodes_(client, kube::kNodes, {.prune = PruneNode}),
        pods_(client, kube::kPods, PodOptions(pods)),
        slices_(client, kube::kEndpointSlices),
        claims_(client, kube::kPersistentVolumeClaims),
        volumes_(client, kube::kPersistentVolumes),
        attachments_(client, kube::kVolumeAttachments, {.prune = PruneAttachment}),
        classes_(client, kube::kStorageClasses),
        sets_(client, kube::kStatefulSets, {.prune = PruneStatefulSet}),
        published_(SnapshotBuilder().Build({})) {
    Connect(nodes_, &SnapshotBuilder::Node);
    Connect(pods_, &SnapshotBuilder::Pod);
    Connect(slices_, &SnapshotBuilder::Slice);
    Connect(claims_, &SnapshotBuilder::Claim);
    Connect(volumes_, &SnapshotBuilder::Volume);
    Connect(attachments_, &SnapshotBuilder::Attachment);
    Connect(classes_, &SnapshotBuilder::StorageClass);
    Connect(sets_, &SnapshotBuilder::StatefulSet);
  }
  ~Impl() { Stop(); }

  void Start() {
    for (const auto& [kind, informer] : kinds_) informer->Start();
    publisher_ = std::jthread([this](const std::stop_token& stop) { Publish(stop); });
  }

  void Stop() {
    publisher_.request_stop();
    wake_.notify_all();
    if (publisher_.joinable()) publisher_.join();
    for (const auto& [kind, informer] : kinds_) informer->Stop();
  }

  bool synced() const {
    MutexLock lock(mutex_);
    return synced_;
  }

  bool WaitForSync(std::chrono::milliseconds timeout) const {
    const auto deadline = std::chrono::steady_clock::now() + timeout;
    MutexLock lock(mutex_);
    while (!synced_) {
      if (wake_.wait_until(mutex_, deadline) == std::cv_status::timeout) return synced_;
    }
    return true;
  }

  std::string WhyUnsynced() const {
    if (synced()) return "";
    std::vector<std::string> reasons;
    for (const auto& [kind, informer] : kinds_) {
      const std::string why = kube::WhyUnsynced(*informer);
      if (!DoesWithout(kind, *informer) && !why.empty()) reasons.push_back(why);
    }
    // All is listed, and the first snapshot of it is being made.
    return reasons.empty() ? "the first snapshot is not made yet" : Join(reasons, "; ");
  }

  std::chrono::milliseconds staleness() const {
    std::chrono::milliseconds oldest{0};
    for (const auto& [kind, informer] : kinds_) {
      if (!DoesWithout(kind, *informer)) oldest = std::max(oldest, informer->staleness());
    }
    return oldest;
  }

  std::shared_ptr<const View> Current() const { return published_.Get(); }
  void OnChange(std::function<void()> handler) { handlers_.push_back(std::move(handler)); }
  kube::Informer& pods() { return pods_; }

  const auto& informers() const { return kinds_; }

 private:
  // Of these the last that was known counts, even where they are denied later.
  static bool IsNeeded(Kind kind) { return kind == Kind::kNodes || kind == Kind::kPods; }
  static bool DoesWithout(Kind kind, const kube::Informer& informer) {
    return !IsNeeded(kind) && informer.denial().has_value();
  }

  using Apply = void (SnapshotBuilder::*)(const api::Json*, const api::Json*);

  void Connect(kube::Informer& informer, Apply apply) {
    informer.OnChange([this, apply](const kube::ObjectPtr& before, const kube::ObjectPtr& after) {
      {
        MutexLock lock(mutex_);
        (builder_.*apply)(before.get(), after.get());
      }
      wake_.notify_all();
    });
  }

  Listed ListedNow() const {
    Listed listed;
    for (const auto& [kind, informer] : kinds_) {
      const auto denial = informer->denial();
      if (informer->synced() && (!denial || IsNeeded(kind))) {
        listed.kinds.insert(kind);
      } else if (denial) {
        listed.denied[kind] = denial->message;
      }
    }
    return listed;
  }

  // Waits for a change, or for a list to complete; returns the next snapshot, null on stop.
  std::shared_ptr<const ClusterSnapshot> NextSnapshot(const std::stop_token& stop, Listed& last) {
    while (!stop.stop_requested()) {
      // Asked before the snapshot is built: what was listed by now has gone through the handlers.
      const Listed listed = ListedNow();
      MutexLock lock(mutex_);
      if (builder_.changed() || listed != last) {
        last = listed;
        return builder_.Build(listed);
      }
      wake_.wait_for(mutex_, listed.all() ? kIdleWait : kSyncPoll);
    }
    return nullptr;
  }

  void Publish(const std::stop_token& stop) {
    Listed listed;
    while (auto snapshot = NextSnapshot(stop, listed)) {
      published_.Set(std::move(snapshot));
      if (listed.all()) {
        MutexLock lock(mutex_);
        if (!synced_) LogInfo("cluster view synced");
        synced_ = true;
      }
      wake_.notify_all();
      for (const auto& handler : handlers_) handler();
      std::this_thread::sleep_for(kPublishInterval);
    }
  }

  mutable Mutex mutex_;
  mutable ConditionVariable wake_;  // something changed, synced, or stops
  SnapshotBuilder builder_ LS_GUARDED_BY(mutex_);
  bool synced_ LS_GUARDED_BY(mutex_) = false;
  std::vector<std::function<void()>> handlers_;
  kube::Informer nodes_, pods_, slices_, claims_, volumes_, attachments_, classes_, sets_;
  const std::vector<std::pair<Kind, kube::Informer*>> kinds_{
      {Kind::kNodes, &nodes_},     {Kind::kPods, &pods_},
      {Kind::kSlices, &slices_},   {Kind::kClaims, &claims_},
      {Kind::kVolumes, &volumes_}, {Kind::kAttachments, &attachments_},
      {Kind::kClasses, &classes_}, {Kind::kStatefulSets, &sets_}};
  Published<ClusterSnapshot> published_;
  std::jthread publisher_;
};

ClusterView::ClusterView(kube::Client& client, WatchedPods pods)
    : impl_(std::make_unique<Impl>(client, pods)) {}
ClusterView::~ClusterView() = default;
void ClusterView::Start() { impl_->Start(); }
void ClusterView::Stop() { impl_->Stop(); }
bool ClusterView::synced() const { return impl_->synced(); }
std::string ClusterView::WhyUnsynced() const { return impl_->WhyUnsynced(); }
bool ClusterView::WaitForSync(std::chrono::milliseconds timeout) const {
  return impl_->WaitForSync(timeout);
}
std::chrono::milliseconds ClusterView::staleness() const { return impl_->staleness(); }
std::shared_ptr<const View> ClusterView::Snapshot() const { return impl_->Current(); }
void ClusterView::OnChange(std::function<void()> handler) { impl_->OnChange(std::move(handler)); }
kube::Informer& ClusterView::pods() { return impl_->pods(); }
std::vector<const kube::Informer*> ClusterView::informers() const {
  std::vector<const kube::Informer*> all;
  for (const auto& [kind, informer] : impl_->informers()) all.push_back(informer);
  return all;
}

}  // namespace longshore::placement
