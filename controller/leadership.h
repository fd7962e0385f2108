// SPDX-License-Identifier: Apache-2.0
//
// Which replica of the controller works. The leader holds a Lease and carries the label
// longshore.dev/leader on its own Pod, by which the Services find it. A replica that could not
// renew writes nothing, but goes on answering what it knows; it works again if nobody has led
// meanwhile, and must end if somebody has. Constructed by main.cc.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "common/base/result.h"
#include "common/kube/client.h"

namespace longshore::controller {

inline constexpr char kLeaderLabel[] = "longshore.dev/leader";

struct LeadershipOptions {
  std::string lease;  // NAMESPACE/NAME; empty: the only replica, which leads from its start
  std::string pod;    // our Pod, in the namespace of the lease
  // How soon another may lead after a leader that died without a word; see kube::LeaseOptions.
  std::chrono::milliseconds duration{4000}, renew_deadline{3000}, retry_period{300};
};

class Leadership {
 public:
  // On threads of the leadership; short. `began` once, with the lease's epoch; `replaced` once,
  // when another replica has led since.
  struct Callbacks {
    std::function<void(int64_t epoch)> began;
    std::function<void()> replaced;
  };

  Leadership(kube::Client& client, LeadershipOptions options, Callbacks callbacks);
  ~Leadership();  // stops

  Status Start();  // errors: kInvalidArgument for options that contradict each other
  // Gives the label and the lease back, so that the next one need not wait; idempotent.
  void Stop();

  // Whether nobody else can be leading at this moment: asked before each write. Thread-safe.
  bool leading() const;
  int64_t epoch() const;       // thread-safe; 0: without election, or never led
  std::string holder() const;  // who leads as far as we know; empty: nobody. Thread-safe.

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshore::controller
