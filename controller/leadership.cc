// SPDX-License-Identifier: Apache-2.0
#include "controller/leadership.h"

#include <pthread.h>

#include <atomic>
#include <optional>
#include <thread>

#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/kube/informer.h"
#include "common/kube/lease_elector.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLook{250};           // how often the label is compared with the lease
constexpr std::chrono::seconds kOthers{10};  // how often other pods are looked at for the label
bool IsLabelled(const api::Json& pod) { return !kube::LabelOf(pod, kLeaderLabel).empty(); }

// Another process in the same Pod is another candidate: what this one knows died with it.
std::string Identity(const std::string& pod) { return pod + "_" + RandomId(8); }

}  // namespace

class Leadership::Impl {
 public:
  Impl(kube::Client& client, LeadershipOptions options, Callbacks callbacks)
      : client_(client),
        options_(std::move(options)),
        callbacks_(std::move(callbacks)),
        ns_(options_.lease.substr(0, options_.lease.find('/'))) {}

  Status Start() {
    if (options_.lease.empty()) {
      callbacks_.began(0);
      return {};
    }
    const auto parts = Split(options_.lease, '/');
    if (parts.size() != 2 || parts[0].empty() || parts[1].empty()) {
      return InvalidArgument("--lease: NAMESPACE/NAME is needed, not \"" + options_.lease + "\"");
    }
    if (options_.pod.empty()) {
      return InvalidArgument("--pod: the name of this Pod is needed to lead by --lease");
    }
    identity_ = Identity(options_.pod);
    elector_ = std::make_unique<kube::LeaseElector>(
        client_,
        kube::LeaseOptions{.ns = parts[0],
                           .name = parts[1],
                           .identity = identity_,
                           .duration = options_.duration,
                           .renew_deadline = options_.renew_deadline,
                           .retry_period = options_.retry_period},
        kube::LeaseElector::Callbacks{
            .on_started = [this](int64_t epoch) { OnStarted(epoch); },
            .on_stopped = [] { LogWarn("no longer certain to lead: nothing is written", {}); }});
    LS_RETURN_IF_ERROR(elector_->Start());
    keeper_ = std::jthread([this](const std::stop_token& stop) { Keep(stop); });
    return {};
  }

  void Stop() {
    if (!elector_ || stopped_.exchange(true)) return;
    keeper_.request_stop();
    if (keeper_.joinable()) keeper_.join();
    if (elector_->leading()) (void)Label(options_.pod, false);
    elector_->Stop();
  }

  bool leading() const { return elector_ ? elector_->leading() : options_.lease.empty(); }
  int64_t epoch() const { return first_epoch_ < 0 ? 0 : first_epoch_.load(); }
  std::string holder() const { return elector_ ? elector_->holder() : ""; }

 private:
  // On the elector's thread.
  void OnStarted(int64_t epoch) {
    if (first_epoch_ < 0) {
      first_epoch_ = epoch;
      callbacks_.began(epoch);
    } else if (first_epoch_ != epoch) {
      Replaced();
    }
  }

  void Replaced() {
    if (!replaced_.exchange(true)) callbacks_.replaced();
  }

  void Keep(const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "leadership");
    std::optional<bool>
        labelled;  // our Pod, as far as we know; it stays so while we are not certain
    auto others_at = std::chrono::steady_clock::time_point{};
    while (!stop.stop_requested()) {
      const bool leads = elector_->leading();
      const std::string holder = elector_->holder();
      if (!leads && first_epoch_ >= 0 && !holder.empty() && holder != identity_) Replaced();
      // A container that was started again finds the label of the one before it.
      if (leads ? labelled != true : !labelled) {
        const Status done = Label(options_.pod, leads);
        if (done) labelled = leads;
        Tell(done);
      }
      if (leads && std::chrono::steady_clock::now() >= others_at) {
        const Status done = UnlabelOthers();
        if (done) others_at = std::chrono::steady_clock::now() + kOthers;
        Tell(done);
      }
      MutexLock lock(mutex_);
      wake_.wait_for(mutex_, stop, kLook, [] { return false; });
    }
  }

  // Under the version that was read: a leader that slept between its look at the lease and its
  // write has been overtaken by then, and is refused.
  Status Label(const std::string& pod, bool leads) {
    LS_ASSIGN_OR_RETURN(const api::Json read, client_.Get(kube::kPods, ns_, pod));
    if (IsLabelled(read) == leads) return {};
    if (leads && !elector_->leading()) return {};
    return Write(read, leads);
  }

  Status UnlabelOthers() {
    LS_ASSIGN_OR_RETURN(
        const kube::ListResult pods,
        client_.List(kube::kPods, ns_, {.label_selector = kLeaderLabel, .field_selector = ""}));
    for (const api::Json& pod : pods.items) {
      if (kube::NameOf(pod) != options_.pod) LS_RETURN_IF_ERROR(Write(pod, false));
    }
    return {};
  }

  Status Write(const api::Json& pod, bool leads) {
    const api::Json patch = {
        {"metadata",
         {{"resourceVersion", kube::StringAt(pod, "/metadata/resourceVersion")},
          {"labels", {{kLeaderLabel, leads ? api::Json("true") : api::Json(nullptr)}}}}}};
    LS_RETURN_IF_ERROR(client_.Patch(kube::kPods, ns_, std::string(kube::NameOf(pod)),
                                     kube::PatchType::kMerge, patch));
    LogInfo(leads ? "labelled as the leader" : "the leader's label is taken away",
            {{"pod", kube::NameOf(pod)}});
    return {};
  }

  // A Pod changes while it starts, so a conflict is common and over at the next look.
  static void Tell(const Status& done) {
    if (!done && done.error().code != Code::kConflict) {
      LogWarn("the leader's label is not as it should be, will be repeated",
              {{"error", done.error().ToString()}});
    }
  }

  kube::Client& client_;
  const LeadershipOptions options_;
  const Callbacks callbacks_;
  const std::string ns_;
  std::string identity_;
  std::atomic<int64_t> first_epoch_{-1};
  std::atomic<bool> replaced_{false}, stopped_{false};
  std::unique_ptr<kube::LeaseElector> elector_;
  Mutex mutex_;
  ConditionVariable wake_;
  std::jthread keeper_;
};

Leadership::Leadership(kube::Client& client, LeadershipOptions options, Callbacks callbacks)
    : impl_(std::make_unique<Impl>(client, std::move(options), std::move(callbacks))) {}
Leadership::~Leadership() { Stop(); }
Status Leadership::Start() { return impl_->Start(); }
void Leadership::Stop() { impl_->Stop(); }
bool Leadership::leading() const { return impl_->leading(); }
int64_t Leadership::epoch() const { return impl_->epoch(); }
std::string Leadership::holder() const { return impl_->holder(); }

}  // namespace longshore::controller
