// SPDX-License-Identifier: Apache-2.0
#include "common/kube/lease_elector.h"

#include <pthread.h>

#include <atomic>
#include <ctime>
#include <random>
#include <thread>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/kube/errors.h"
#include "common/kube/informer.h"
#include "common/kube/transport.h"

namespace longshore::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// Goes on while the machine is suspended, unlike steady_clock.
nanoseconds BootTime() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::seconds(now.tv_sec) + nanoseconds(now.tv_nsec);
}

int64_t NumberIn(const Json& lease, const char* field) {
  const auto spec = lease.find("spec");
  if (spec == lease.end() || !spec->is_object()) return 0;
  const auto number = spec->find(field);
  return number != spec->end() && number->is_number_integer() ? number->get<int64_t>() : 0;
}

}  // namespace

class LeaseElector::Impl {
 public:
  Impl(Client& client, LeaseOptions options, Callbacks callbacks)
      : config_(client.config()),
        user_agent_(client.user_agent()),
        options_(std::move(options)),
        callbacks_(std::move(callbacks)) {}

  Status Start() {
    LS_CHECK(!thread_.joinable());
    const bool sound = options_.retry_period < options_.renew_deadline &&
                       options_.renew_deadline < options_.duration &&
                       options_.duration >= milliseconds(1000);
    if (!sound) return InvalidArgument("lease: retry_period < renew_deadline < duration must hold");
    if (options_.identity.empty()) return InvalidArgument("lease: the identity is empty");
    // A call that takes longer than half of the deadline is worth less than another one.
    TransportOptions transport{.connections = 1, .read_timeout = options_.renew_deadline / 2};
    transport.max_tries = 1;
    LS_ASSIGN_OR_RETURN(transport_, Transport::Create(config_, user_agent_, transport));
    thread_ = std::thread([this] { Run(); });
    return {};
  }

  void Stop() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
  }

  bool leading() const { return BootTime().count() < valid_until_; }
  int64_t epoch() const { return epoch_; }
  std::string holder() const {
    MutexLock lock(mutex_);
    return holder_;
  }

 private:
  void Run() {
    pthread_setname_np(pthread_self(), "ls-lease");
    while (!stopping()) {
      const Status tried = Try();
      if (started_ && !leading()) {
        LogWarn("leadership lost", {{"lease", options_.name}, {"reason", Reason(tried)}});
        Step(false);
      } else if (!tried.has_value() && tried.error().code != Code::kFailedPrecondition) {
        LogWarn("lease not renewed", {{"lease", options_.name}, {"reason", Reason(tried)}});
      }
      Wait();
    }
    const bool ours = leading();
    Step(false);
    if (ours) Release();
  }

  static std::string Reason(const Status& status) {
    return status.has_value() ? "" : status.error().ToString();
  }

  // One renewal or one try to acquire. Errors: kFailedPrecondition while another leads.
  Status Try() {
    if (lease_.is_null() || !started_) LS_RETURN_IF_ERROR(Read());
    const bool ours = holder_ == options_.identity;
    if (!ours) valid_until_ = 0;  // taken from us, or given away by hand
    if (!ours && !holder_.empty() && BootTime() - seen_at_ < Announced()) {
      return FailedPrecondition("held by " + holder_);
    }
    const nanoseconds before = BootTime();  // what we may rely on begins before the request
    LS_RETURN_IF_ERROR(Write(ours));
    valid_until_ = (before + options_.renew_deadline).count();
    epoch_ = NumberIn(lease_, "leaseTransitions");
    if (!started_) Step(true);
    return {};
  }

  // How long the holder said that others must wait.
  nanoseconds Announced() const {
    const int64_t seconds = NumberIn(lease_, "leaseDurationSeconds");
    return seconds > 0 ? nanoseconds(std::chrono::seconds(seconds)) : options_.duration;
  }

  Status Read() {
    Result<Json> read = Call("GET", Path(), nullptr);
    if (!read.has_value() && read.error().code == Code::kNotFound) {
      Note(Json::object());
      return {};
    }
    if (!read.has_value()) return read.error();
    Note(*std::move(read));
    return {};
  }

  // Remembers a lease and, if it is another version, that its holder was alive just now: times
  // in the object are of another machine and mean nothing here.
  void Note(Json lease) {
    const bool changed = lease_.is_null() || StringAt(lease, "/metadata/resourceVersion") !=
                                                 StringAt(lease_, "/metadata/resourceVersion");
    if (changed) seen_at_ = BootTime();
    lease_ = std::move(lease);
    MutexLock lock(mutex_);
    holder_ = StringAt(lease_, "/spec/holderIdentity");
  }

  Status Write(bool ours) {
    const std::string now = FormatTime(Clock::Real().Now());
    const bool create = lease_.empty();
    Json spec = {
        {"holderIdentity", options_.identity},
        {"leaseDurationSeconds", (options_.duration.count() + 999) / 1000},
        {"renewTime", now},
        {"acquireTime", ours ? std::string(StringAt(lease_, "/spec/acquireTime")) : now},
        {"leaseTransitions", NumberIn(lease_, "leaseTransitions") + (ours || create ? 0 : 1)}};
    Json lease = lease_;
    lease["apiVersion"] = "coordination.k8s.io/v1";
    lease["kind"] = "Lease";
    lease["metadata"]["name"] = options_.name;
    lease["metadata"]["namespace"] = options_.ns;
    lease["spec"] = std::move(spec);
    Result<Json> written = create ? Call("POST", ResourcePath(kLeases, options_.ns), &lease)
                                  : Call("PUT", Path(), &lease);
    if (!written.has_value()) {
      // Somebody else was faster, or an earlier write of ours did arrive: the truth is there.
      const Code code = written.error().code;
      if (code == Code::kConflict || code == Code::kAlreadyExists || code == Code::kNotFound) {
        LS_RETURN_IF_ERROR(Read());
      }
      return written.error();
    }
    Note(*std::move(written));
    return {};
  }

  // So that the next one need not wait. The lease's versions make sure that it is still ours.
  void Release() {
    Json lease = lease_;
    lease["spec"]["holderIdentity"] = "";
    lease["spec"]["leaseDurationSeconds"] = 1;
    lease["spec"]["renewTime"] = FormatTime(Clock::Real().Now());
    const Result<Json> released = Call("PUT", Path(), &lease);
    if (!released.has_value()) {
      LogWarn("lease not released", {{"reason", released.error().ToString()}});
    }
  }

  Result<Json> Call(const char* method, const std::string& path, const Json* body) {
    http::ClientRequest request;
    request.method = method;
    request.path = path;
    if (body != nullptr) request.body = api::DumpJson(*body);
    const std::string context = "lease " + options_.ns + "/" + options_.name;
    Result<http::ClientResponse> response = transport_->Send(std::move(request));
    if (!response.has_value()) return Annotate(response.error(), context);
    if (response->status >= 300) return ErrorFromResponse(*response, context);
    Result<Json> json = api::ParseJson(response->body);
    if (json.has_value() && json->is_object()) return json;
    return Unavailable(context + ": the answer is not a JSON object");
  }

  std::string Path() const { return ResourcePath(kLeases, options_.ns, options_.name); }

  // Begins or ends the work.
  void Step(bool start) {
    if (start == started_) return;
    started_ = start;
    if (start) {
      LogInfo("leading", {{"lease", options_.name}, {"epoch", epoch_.load()}});
      callbacks_.on_started(epoch_);
    } else {
      valid_until_ = 0;
      callbacks_.on_stopped();
    }
  }

  // Candidates jitter, so that they don't collide; a leader's next try never comes too late.
  void Wait() {
    const int64_t period = options_.retry_period.count();
    const milliseconds wait(
        std::uniform_int_distribution<int64_t>(period - period / 4, period)(random_));
    const auto end = std::chrono::steady_clock::now() + wait;
    MutexLock lock(mutex_);
    while (!stopping_ && std::chrono::steady_clock::now() < end) changed_.wait_until(mutex_, end);
  }

  bool stopping() {
    MutexLock lock(mutex_);
    return stopping_;
  }

  const Config config_;
  const std::string user_agent_;
  const LeaseOptions options_;
  const Callbacks callbacks_;
  std::unique_ptr<Transport> transport_;

  // Of the thread alone.
  Json lease_;  // as last seen; null: never read; {}: there is none
  nanoseconds seen_at_{};
  bool started_ = false;
  std::minstd_rand random_{std::random_device{}()};

  std::atomic<int64_t> valid_until_{0};  // boot time, nanoseconds
  std::atomic<int64_t> epoch_{0};
  mutable Mutex mutex_;
  ConditionVariable changed_;
  std::string holder_;  // written by the thread with the lock held
  bool stopping_ LS_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

LeaseElector::LeaseElector(Client& client, LeaseOptions options, Callbacks callbacks)
    : impl_(std::make_unique<Impl>(client, std::move(options), std::move(callbacks))) {}
LeaseElector::~LeaseElector() { Stop(); }
Status LeaseElector::Start() { return impl_->Start(); }
void LeaseElector::Stop() { impl_->Stop(); }
bool LeaseElector::leading() const { return impl_->leading(); }
int64_t LeaseElector::epoch() const { return impl_->epoch(); }
std::string LeaseElector::holder() const { return impl_->holder(); }

}  // namespace longshore::kube
