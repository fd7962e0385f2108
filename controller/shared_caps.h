// SPDX-License-Identifier: Apache-2.0
//
// Caps, and who competes for those that the requests of a namespace share: backup pods of the
// namespace and writers of its repositories. From the caches; used by the request reconciler and
// the dispatcher, on the reconcile thread. How they are divided: common/scaling/fair_share.h.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/scaling/fair_share.h"
#include "controller/acceptance.h"

namespace longshore::controller {

struct SharedCap {
  int cap = 0;
  int free = 0;                                  // less than none where the cap was lowered
  std::string set_by;                            // the PodPolicy, of a namespace's
  std::map<std::string, scaling::Claim> claims;  // by the request's name
  WallTime now;

  // The free places, by request, to those who are next: if this one wants so many in all.
  std::map<std::string, int> Next(const api::ComputeRequest& request, int wants) const;
  // What this one would have if all were divided anew, and it wants so many.
  int Share(const api::ComputeRequest& request, int wants) const;
};

// The least spec.maxPodsPerNamespace of the namespace's PodPolicies, and the pods that exist or may
// exist. A request that cannot make pods now, whatever the reason, claims no more than it has.
// Empty: any number.
std::optional<SharedCap> PodsOfNamespace(const Cluster& cluster, const std::string& ns,
                                         WallTime now);

// Whether the Pod of that UID can be given work at this moment.
using UsablePod = std::function<bool(const std::string& pod_uid)>;

// Whether backups of a request of the namespace go into the repository: the request's policy names
// it. Where nobody knows, they may. It looks each request up once, so is made anew for each round.
class WritesInto {
 public:
  WritesInto(const Cluster& cluster, std::string ns, std::string repository)
      : cluster_(cluster), ns_(std::move(ns)), repository_(std::move(repository)) {}
  bool operator()(const std::string& request);

 private:
  const Cluster& cluster_;
  const std::string ns_, repository_;
  std::map<std::string, bool> known_;  // by request
};

// Backups under way into a repository of the namespace. A request that is accepted claims a writer
// more for each operation that is due and that its source has room for: with a pod that is free and
// usable, or (nullptr) any that it may still get.
SharedCap WritersOf(const Cluster& cluster, const std::string& ns, const std::string& repository,
                    int max_writers, const UsablePod& usable, WallTime now);

// What limits how many pods of the request can have work at once: the source's maxConcurrent and,
// for backups, the repository's maxWriters; and how many it may have: the namespace's
// maxPodsPerNamespace. With `others` less what pods of other requests do now, and of what is shared
// the fair share; without, which is cheap, as if it were alone.
std::vector<api::ScalingLimit> CapsOf(const Cluster& cluster, const api::ComputeRequest& request,
                                      const References& references, bool others, WallTime now);

// As a limit: what PodsOfNamespace lets the request have.
api::ScalingLimit NamespaceLimit(const SharedCap& cap, const api::ObjectMeta& request, int pods);

}  // namespace longshore::controller
