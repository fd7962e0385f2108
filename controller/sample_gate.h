// SPDX-License-Identifier: Apache-2.0
//
// Which samples are worth a visit of their request. One that is over no threshold cannot make a
// crew grow, and whether one may shrink is looked at every few seconds anyway: with 20,000 samples
// a second, that keeps the decision about the few that matter within a fraction of a second.
// Written by the request reconciler and the live view, asked by the agents' stream.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/scaling/rules.h"

namespace longshore::controller {

// Thread-safe. Requests go by their UID.
class SampleGate {
 public:
  explicit SampleGate(const Clock& clock) : clock_(clock) {}

  // What the samples of the request's pods are compared with, from now on. Before the first call
  // each sample is worth a visit.
  void SetRules(const std::string& request_uid, const std::vector<scaling::SignalRule>& rules);
  void Forget(const std::string& request_uid);
  // Somebody looks at the request's load: for ten seconds each sample is worth a visit.
  void Watch(const std::string& request_uid);

  // How long until the request should be visited for this sample: zero, or what is left of the time
  // that visits keep from each other. Empty: not at all, or a visit is due already.
  std::optional<std::chrono::milliseconds> Admit(const std::string& request_uid,
                                                 const scaling::Sample& sample);

 private:
  struct Request {
    bool known = false;
    std::vector<std::pair<scaling::Signal, double>> up;
    std::optional<MonotonicTime> watched;
    std::optional<MonotonicTime> next;  // no visit for a sample before
  };

  const Clock& clock_;
  Mutex mutex_;
  std::unordered_map<std::string, Request> requests_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::controller
