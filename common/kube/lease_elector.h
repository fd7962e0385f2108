// SPDX-License-Identifier: Apache-2.0
//
// Which of several replicas works: leader election by a Lease (coordination.k8s.io/v1), compatible
// with client-go's. Election alone gives no fencing: who was paused may come back and write. So
// leading() is asked before each write, and epoch() goes into what is written, to be refused by
// whoever has seen a larger one.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "common/kube/client.h"

namespace longshore::kube {

struct LeaseOptions {
  std::string ns, name;
  std::string identity;  // unique for this process: host name and something random
  // Others wait for `duration` of silence; we stop working after `renew_deadline` without a
  // renewal, which is earlier; tries come every `retry_period`.
  std::chrono::milliseconds duration{15000}, renew_deadline{10000}, retry_period{2000};
};

class LeaseElector {
 public:
  struct Callbacks {
    // On the elector's thread: `on_started` when the lease became ours, `on_stopped` when it is no
    // longer known to be (also at Stop). Keep them short: renewals wait for them.
    std::function<void(int64_t epoch)> on_started;
    std::function<void()> on_stopped;
  };

  // The client's configuration is used; the connection is its own, so that no other traffic can
  // hold up a renewal.
  LeaseElector(Client& client, LeaseOptions options, Callbacks callbacks);
  ~LeaseElector();  // stops

  Status Start();  // errors: kInvalidArgument for options that contradict each other
  void Stop();     // gives the lease back, if it is ours; idempotent

  // Whether the lease is certainly still ours at this moment: by the clock of this machine that
  // goes on while it sleeps, counted from before the last renewal was sent. Thread-safe.
  bool leading() const;
  // The lease's count of transitions since we lead; grows with each change of the leader.
  int64_t epoch() const;
  // Who holds it as far as we know; empty: nobody.
  std::string holder() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshore::kube
