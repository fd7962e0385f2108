// SPDX-License-Identifier: Apache-2.0
//
// An API server in memory for the reconcilers: resourceVersions, generations, status as a
// subresource, finalizers, preconditions; a crash at any chosen write, caches that lag behind, and
// writes that are refused. Used by World (world.h).
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "controller/cluster.h"
#include "tests/common/placement/fake_view.h"

namespace longshore::controller {

class FakeClock : public Clock {
 public:
  WallTime Now() const override { return wall_; }
  MonotonicTime Monotonic() const override { return monotonic_; }
  void Advance(std::chrono::nanoseconds by) {
    wall_ += std::chrono::duration_cast<WallTime::duration>(by);
    monotonic_ += by;
  }
  // Somebody sets the clock.
  void StepWall(std::chrono::nanoseconds by) {
    wall_ += std::chrono::duration_cast<WallTime::duration>(by);
  }

 private:
  WallTime wall_ = WallTime(std::chrono::seconds(1'790'000'000));
  MonotonicTime monotonic_ = MonotonicTime(std::chrono::hours(1000));
};

class FakeCluster : public Cluster {
 public:
  using Watch = std::function<void(const kube::Resource&, const kube::ObjectPtr& before,
                                   const kube::ObjectPtr& after)>;
  explicit FakeCluster(const Clock& clock) : clock_(clock) {}

  // Called after each change.
  void OnChange(Watch watch) { watch_ = std::move(watch); }
  placement::FakeView& view() { return *view_; }

  // The n-th write from now (1 is the next) and all later ones fail, as if the program had died:
  // that one `applied` (the reply was lost) or not. 0: never.
  void CrashAtWrite(int n, bool applied);
  bool crashed() const { return crashed_; }
  void Recover() { crash_in_ = 0, crashed_ = false; }
  int writes() const { return writes_; }

  // While they lag, the caches hold what the controller itself has written and of everything else
  // the state of before: watches that are slow or stand still. Afterwards they catch up, at once.
  void Lag(bool lag);
  bool lagging() const { return lag_; }
  // What a write is answered with instead of being done; no value: it is done.
  using Refuse =
      std::function<std::optional<Error>(const kube::Resource&, const std::string& verb)>;
  void RefuseWrites(Refuse refuse) { refuse_ = std::move(refuse); }

  // The world outside: kubelets, users. Not counted, never fail.
  void Put(const kube::Resource& resource, api::Json object);
  void Edit(const kube::Resource& resource, const std::string& ns, const std::string& name,
            const std::function<void(api::Json&)>& edit);
  void Remove(const kube::Resource& resource, const std::string& ns, const std::string& name);
  // As it is, whatever the caches hold.
  std::vector<kube::ObjectPtr> Objects(const kube::Resource& resource) const;
  kube::ObjectPtr Object(const kube::Resource& resource, const std::string& ns,
                         const std::string& name) const;
  // A user's delete: sets deletionTimestamp while finalizers remain.
  void UserDelete(const kube::Resource& resource, const std::string& ns, const std::string& name);
  // Each Pod that the controller asked to delete, by name.
  const std::vector<std::string>& deleted_pods() const { return deleted_pods_; }
  const std::vector<std::string>& created_pods() const { return created_pods_; }
  void ForgetCreated() { created_pods_.clear(); }
  // The reason of each Event, in order.
  const std::vector<std::string>& events() const { return events_; }

  kube::ObjectPtr Get(const kube::Resource& resource, const std::string& ns,
                      const std::string& name) const override;
  std::vector<kube::ObjectPtr> List(const kube::Resource& resource) const override;
  api::BackupPodPtr Row(const std::string& ns, const std::string& name) const override;
  std::vector<api::BackupPodPtr> Rows(const std::string& ns) const override;
  std::vector<api::BackupPodPtr> RowsOf(const std::string& ns,
                                        const std::string& request) const override;
  std::vector<api::BackupPodPtr> RowsLooking() const override;
  std::vector<kube::ObjectPtr> OperationsOf(const std::string& ns,
                                            const std::string& request) const override;
  std::shared_ptr<const placement::View> View() const override { return view_; }
  Result<api::Json> Fetch(const kube::Resource& resource, const std::string& ns,
                          const std::string& name) override;
  Result<api::Json> Create(const kube::Resource& resource, const std::string& ns,
                           const api::Json& object) override;
  Result<api::Json> UpdateStatus(const kube::Resource& resource, const std::string& ns,
                                 const api::Json& object) override;
  Result<api::Json> Patch(const kube::Resource& resource, const std::string& ns,
                          const std::string& name, kube::PatchType type, const api::Json& patch,
                          const std::string& subresource) override;
  Status Delete(const kube::Resource& resource, const std::string& ns, const std::string& name,
                const kube::DeleteOptions& options) override;
  void Event(const api::Json&, bool, const std::string& reason, const std::string&,
             const std::string&) override {
    events_.push_back(reason);
  }

 private:
  using Key = std::pair<std::string, std::string>;  // plural, "ns/name"
  static Key KeyOf(const kube::Resource& resource, const std::string& ns, const std::string& name);
  // Runs a write under the fault plan.
  Result<api::Json> Write(const kube::Resource& resource, const std::string& verb,
                          const std::function<Result<api::Json>()>& write);
  enum class By { kController, kOthers };
  api::Json Store(const kube::Resource& resource, api::Json object, By by);
  Result<api::Json> Apply(const kube::Resource& resource, api::Json object, api::Json changed,
                          By by);
  void Observe(const kube::Resource& resource, const Key& key, kube::ObjectPtr now);

  const Clock& clock_;
  std::shared_ptr<placement::FakeView> view_ = std::make_shared<placement::FakeView>();
  Watch watch_;
  std::map<Key, kube::ObjectPtr> objects_, cached_;
  std::map<std::string, api::BackupPodPtr> rows_;           // of those in cached_, by "NS/NAME"
  std::map<std::string, const kube::Resource*> resources_;  // by plural, of all that was stored
  bool lag_ = false;
  Refuse refuse_;
  int64_t next_version_ = 1, next_uid_ = 1;
  int writes_ = 0, crash_in_ = 0;
  bool crash_applied_ = false, crashed_ = false;
  std::vector<std::string> deleted_pods_, created_pods_, events_;
};

}  // namespace longshore::controller
