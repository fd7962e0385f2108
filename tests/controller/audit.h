// SPDX-License-Identifier: Apache-2.0
//
// What must always hold in a World, whatever goes wrong: DESIGN's invariants, checked against the
// API server, the workers' processes and the reports as they are, not as the controller sees them.
// World calls it at each write of a controller, each message, each start of work, after each
// reconcile and when nothing is left to do.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/controller/world.h"

namespace longshore::controller {

class Audit {
 public:
  explicit Audit(World& world) : world_(world) {}

  // A controller begins.
  void OnBoot();
  // What a write may do: nothing ends work, nothing is offered that is not free, heard of and open,
  // nothing unmeasured goes; and which announcements it owes.
  void OnWritten(const kube::Resource& resource, FakeCluster::By by, const kube::ObjectPtr& before,
                 const kube::ObjectPtr& after);
  // What a controller may say: only what is durable.
  void OnSent(const std::string& pod_uid, const std::string& bytes);
  void OnBegun(const FakeWorker& worker, const messages::Assign& assign);
  void OnMeasured(const std::string& pod, double millicores);
  // After a reconcile: what is owed was announced, and nothing else; `all`: what exists is looked
  // at, too.
  void AfterStep(bool all);
  void OnRestless() { Violate("the controller never comes to rest"); }
  // Nothing is left to do now.
  void AtRest();

  // All announcements of all controllers.
  const std::vector<Announcement>& heard() const { return heard_; }

 private:
  struct Measured {
    MonotonicTime at;
    std::chrono::nanoseconds span;  // since the one before it; zero: too long ago
    double millicores;
  };
  void Violate(const std::string& what);
  MonotonicTime now() const { return world_.clock.Monotonic(); }
  // As they are, parsed; empty: there is none.
  std::optional<api::BackupPod> Row(const std::string& name) const;
  std::optional<api::Operation> Operation(const std::string& name) const;

  // audit_writes.cc
  void OnRowWritten(FakeCluster::By by, const kube::ObjectPtr& before,
                    const kube::ObjectPtr& after);
  void OnOperationWritten(const kube::ObjectPtr& before, const kube::ObjectPtr& after);
  void OnRequestWritten(FakeCluster::By by, const kube::ObjectPtr& before,
                        const kube::ObjectPtr& after);
  void OnPodDeleted(const api::Json& pod);
  void CheckOffer(const api::BackupPod& row);
  void CheckDecision(const api::ComputeRequest& request);
  void Owe(const std::string& subject, const std::string& type);

  void ReadAnnouncements();
  void CheckPods();
  void CheckRows();
  void CheckWork();
  // Once the API server has been well for so long that nothing backs off any more.
  bool Settled();
  void CheckOffered(const api::BackupPod& row);
  void CheckOwned();
  void CheckSaid();

  World& world_;
  std::vector<Announcement> heard_;
  std::string cursor_;
  uint64_t revision_ = 0;
  std::map<std::string, std::deque<std::string>> owed_;   // types, by subject
  std::map<std::string, std::deque<Measured>> measured_;  // by pod, by this controller
  std::map<std::string, std::set<std::string>> begun_;    // pod and epoch, by operation
  std::map<std::string, int> most_pods_;                  // spec.pods.max ever, by request UID
  MonotonicTime trouble_began_{}, trouble_ended_{}, booted_{};
  bool troubled_ = false;
  std::map<std::string, MonotonicTime> unowned_since_, wanting_since_, waiting_since_;
};

}  // namespace longshore::controller
