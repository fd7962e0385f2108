// SPDX-License-Identifier: Apache-2.0
#include "controller/reconcile_loop.h"

#include <pthread.h>

#include "common/base/log.h"
#include "common/base/strings.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;

}  // namespace

ReconcileLoop::ReconcileLoop(Environment& env, kube::WorkQueue& queue)
    : env_(env),
      queue_(queue),
      pace_(env),
      pods_(env, pace_),
      dispatcher_(env),
      operations_(env, dispatcher_),
      requests_(env, pods_, dispatcher_, pace_),
      sources_(env) {}

ReconcileLoop::~ReconcileLoop() { Stop(); }

void ReconcileLoop::Start() {
  thread_ = std::jthread([this](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "reconcile");
    while (!stop.stop_requested()) Step(milliseconds(500));
  });
}

void ReconcileLoop::Stop() {
  thread_.request_stop();
  queue_.ShutDown();
  if (thread_.joinable()) thread_.join();
}

milliseconds ReconcileLoop::SinceProgress() const {
  const auto now = env_.clock.Monotonic().time_since_epoch();
  return std::chrono::duration_cast<milliseconds>(now - std::chrono::nanoseconds(progress_ns_));
}

bool ReconcileLoop::Step(milliseconds wait) {
  progress_ns_ = std::chrono::nanoseconds(env_.clock.Monotonic().time_since_epoch()).count();
  if (!env_.leading()) {
    std::this_thread::sleep_for(std::min(wait, milliseconds(50)));
    return false;
  }
  const auto key = queue_.Get(wait);
  if (!key) return false;
  const MonotonicTime began = env_.clock.Monotonic();
  const Result<Again> handled = Handle(*key);
  env_.tally.reconciled(key->substr(0, key->find('/')), env_.clock.Monotonic() - began);
  queue_.Done(*key);
  if (handled) {
    queue_.Forget(*key);
    if (*handled) queue_.AddAfter(*key, **handled);
    return true;
  }
  const Error& error = handled.error();
  if (error.code == Code::kConflict) {
    // Somebody else wrote it first: read again and decide anew.
    ++conflicts_;
    queue_.AddAfter(*key, milliseconds(20));
    return true;
  }
  ++errors_;
  LogWarn("reconcile failed, will be repeated", {{"key", *key}, {"error", error.ToString()}});
  if (error.retry_after) {
    queue_.AddAfter(*key, *error.retry_after);
  } else {
    queue_.AddRateLimited(*key);
  }
  return true;
}

Result<Again> ReconcileLoop::Handle(const std::string& key) {
  const auto parts = Split(key, '/');
  LS_CHECK(parts.size() == 3);
  if (parts[0] == kRequestKey) return requests_.Reconcile(parts[1], parts[2]);
  if (parts[0] == kPodKey) return pods_.Reconcile(parts[1], parts[2]);
  if (parts[0] == kOperationKey) return operations_.Reconcile(parts[1], parts[2]);
  LS_CHECK(parts[0] == kSourceKey);
  return sources_.Reconcile(parts[1], parts[2]);
}

}  // namespace longshore::controller
