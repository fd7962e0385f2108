// SPDX-License-Identifier: Apache-2.0
//
// Gives queued operations of a request to its free pods: first come, first served, within the caps
// of source and repository, whose writers its requests share evenly. The row is claimed by
// compare-and-swap before anything else is written, so an acquire through the API and a dispatch
// can never both have a pod. Runs on the reconcile thread.
#pragma once

#include <string>
#include <vector>

#include "controller/acceptance.h"
#include "controller/environment.h"

namespace longshore::controller {

class Dispatcher {
 public:
  explicit Dispatcher(Environment& env) : env_(env) {}

  // Assigns what can be assigned now. Empty: nothing waits for time alone. kConflict: somebody else
  // changed a row; try again.
  Result<Again> Dispatch(const std::string& ns, const std::string& request);

 private:
  struct Round;
  Round Look(const std::string& ns, const std::string& request) const;
  // What an operation waits for: a reason, and a message for people. An empty reason: nothing, or
  // what its own reconciler says.
  using Wait = std::pair<std::string, std::string>;
  Wait OverCaps(const api::Operation& operation, const Round& round) const;
  Wait AnothersTurn(const api::Operation& operation, Round& round) const;
  Wait NoPodFor(const api::Operation& operation, const Round& round) const;
  // Writes it if it is news. Returns whether it was.
  Result<bool> Say(api::Operation& operation, const Wait& wait);
  api::BackupPodPtr* PodFor(const api::Operation& operation, Round& round) const;
  // Replaces the row by what it has become.
  Status Assign(api::Operation& operation, api::BackupPodPtr& chosen, Round& round);
  bool Usable(const std::string& pod_uid) const;
  static bool AcquiredFor(const api::BackupPod& row, const api::Operation& operation);

  Environment& env_;
};

// Whether operations wait for pods of the request.
bool WorkWaits(const std::vector<api::Operation>& operations);
// Whether one of them checks a login right now.
bool CheckRuns(const std::vector<api::Operation>& operations);

}  // namespace longshore::controller
