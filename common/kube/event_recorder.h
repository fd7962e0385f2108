// SPDX-License-Identifier: Apache-2.0
//
// Kubernetes Events (events.k8s.io/v1), aggregated: the same reason and note on the same object
// within ten minutes become one series, and so does what is more than ten notes. Best effort and
// asynchronous; a bounded queue drops and counts.
#pragma once

#include <memory>
#include <string>

#include "common/kube/client.h"

namespace longshore::kube {

class EventRecorder {
 public:
  EventRecorder(Client& client, std::string reporting_controller, std::string reporting_instance);
  ~EventRecorder();  // sends what is queued, for up to a second
  // `type`: "Normal" or "Warning"; `regarding` is a whole object (kind, metadata are used);
  // `action` is what was done, CamelCase.
  void Record(const Json& regarding, const std::string& type, const std::string& reason,
              const std::string& action, const std::string& note);
  int64_t dropped() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshore::kube
