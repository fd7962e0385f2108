// SPDX-License-Identifier: Apache-2.0
//
// How fast pods are made: a token bucket for all of them, so that hundreds of requests at once do
// not flood the API server, and a slow start for a request whose pods could not be made or started,
// as TCP's (RFC 5681): one pod at a time, then two, four. Used by the request and the pod
// reconciler on the reconcile thread. Lost with the process, which only makes the next one a little
// faster.
#pragma once

#include <map>
#include <string>

#include "controller/environment.h"

namespace longshore::controller {

// Gives out tokens ahead of time: each caller gets a time of its own, `interval` after the one
// before, but for `burst` of them at once after a rest. (The virtual scheduling of ITU-T I.371.)
class TokenBucket {
 public:
  TokenBucket(std::chrono::nanoseconds interval, int burst)
      : interval_(interval), ahead_(interval * (burst - 1)) {}
  // From when on the token may be used; now or later.
  MonotonicTime Reserve(MonotonicTime now);

 private:
  const std::chrono::nanoseconds interval_, ahead_;
  MonotonicTime full_;  // when the bucket is full again
};

class Pace {
 public:
  explicit Pace(const Environment& env)
      : env_(env), bucket_(env.settings.pod_interval, env.settings.pod_burst) {}

  // Zero: one pod may be made, now. Else how long until the token that is kept for the request can
  // be used; asking earlier or again spends nothing.
  std::chrono::milliseconds Take(const api::ObjectMeta& request);

  // How far a pod got: its Pod was created, or its worker works.
  enum class Step { kCreated, kWorks };
  // It did not get that far, by a quota, an admission or an image, say.
  void Failed(const api::BackupPod& row, Step step);
  // It did. After a failure, those that wait for it are woken.
  void Reached(const api::BackupPod& row, Step step);
  // Whether the Pod of a Planned row may be tried, beside those under way and before it.
  bool MayTry(const api::BackupPod& row) const;
  // Whether another row makes sense, beside all those under way.
  bool MayPlan(const api::ObjectMeta& request) const;
  // All that were wanted work: the next failure is another story.
  void Recovered(const api::ObjectMeta& request) { slow_.erase(request.Key()); }
  void Forget(const api::ObjectMeta& request);

 private:
  struct SlowStart {
    Step step = Step::kCreated;  // that failed
    int at_once = 1;
  };
  // Of a request that starts slowly, those that have been tried and have neither failed nor got
  // there; of Planned rows only those before `row`.
  int UnderWay(const std::string& ns, const std::string& request, Step step,
               const api::BackupPod* row) const;

  const Environment& env_;
  TokenBucket bucket_;
  std::map<std::string, MonotonicTime> reserved_;  // by "NS/NAME" of the request
  std::map<std::string, SlowStart> slow_;          // likewise
};

}  // namespace longshore::controller
