// SPDX-License-Identifier: Apache-2.0
//
// An API server in memory for the reconcilers: resourceVersions, generations, status as a
// subresource, finalizers, preconditions; and what goes wrong with one: a crash at any chosen
// write, a write that arrives when its leader has been replaced, replies that are lost, watches
// that are slow, stand still or begin anew, reads and writes that are refused. Used by World
// (world.h).
#pragma once

#include <deque>
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
  WallTime Now() const override { return wall_ += std::chrono::microseconds(1); }
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
  // A moment later at each look.
  mutable WallTime wall_ = WallTime(std::chrono::seconds(1'790'000'000));
  MonotonicTime monotonic_ = MonotonicTime(std::chrono::hours(1000));
};

class FakeCluster : public Cluster {
 public:
  using Watch = std::function<void(const kube::Resource&, const kube::ObjectPtr& before,
                                   const kube::ObjectPtr& after)>;
  // Who wrote: the controller; the controller, and it was not told; one that is no more (it died at
  // this write, or another leads since); anybody else.
  enum class By { kController, kUnanswered, kDead, kOthers };
  // `before` is null for a create, `after` when that has ended the object.
  using Written = std::function<void(const kube::Resource&, By, const kube::ObjectPtr& before,
                                     const kube::ObjectPtr& after)>;
  explicit FakeCluster(const Clock& clock) : clock_(clock) {}

  // Called after each change that a watch tells.
  void OnChange(Watch watch) { watch_ = std::move(watch); }
  // Called after each write of a controller that was applied.
  void OnWritten(Written written) { written_ = std::move(written); }
  placement::FakeView& view() { return *view_; }

  // What becomes of the write at which a controller dies: it never arrives; it is applied, and the
  // reply is lost; it arrives with LandLate, when another controller leads.
  enum class Fate { kLost, kApplied, kLate };
  // The n-th write from now (1 is the next) and all later ones fail, as if the program had died.
  // 0: never.
  void CrashAtWrite(int n, Fate fate);
  bool crashed() const { return crashed_; }
  void Recover() { crash_in_ = 0, crashed_ = false; }
  // The write that is on its way, "create pods"; empty: none.
  const std::string& late() const { return late_what_; }
  void LandLate();
  // Another leader begins. Some time later the API server knows, and refuses what those before it
  // create and label (manifests/base/controller/term.yaml).
  void BeginTerm();
  int writes() const { return writes_; }

  // While they lag, the caches hold what the controller itself has written and of everything else
  // the state of before: watches that stand still. Afterwards they list anew.
  void Lag(bool lag);
  bool lagging() const { return lag_; }
  // How long after it the caches hear of a change to such a resource. Each watch is in order; one
  // that is slower than another reorders what both tell. What the controller itself writes the
  // caches hold at once.
  void SlowWatch(const kube::Resource& resource, std::chrono::milliseconds delay);
  // Tells what is due. Called as time passes.
  void RunWatches();
  // The watch ended, and the list is read: the caches are as things are. What has been and gone
  // meanwhile they never hear of.
  void Relist(const kube::Resource& resource);
  // As if the watch had begun again at an older version: all there is, once more.
  void Repeat(const kube::Resource& resource);

  // What a write is answered with instead of being done; no value: it is done.
  using Refuse =
      std::function<std::optional<Error>(const kube::Resource&, const std::string& verb)>;
  void RefuseWrites(Refuse refuse) { refuse_ = std::move(refuse); }
  // Whether a write is done and the controller does not hear of it.
  using Lose = std::function<bool(const kube::Resource&, const std::string& verb)>;
  void LoseReplies(Lose lose) { lose_ = std::move(lose); }
  // What a read past the caches is answered with.
  using RefuseRead = std::function<std::optional<Error>(const kube::Resource&)>;
  void RefuseReads(RefuseRead refuse) { refuse_read_ = std::move(refuse); }
  // Whether any of the above is going on.
  bool troubled() const;

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
  // Fields of a status that its CRD, being of an older version, does not have.
  std::set<std::string> unknown_status;

  const std::vector<std::string>& deleted_pods() const { return deleted_pods_; }
  const std::vector<std::string>& created_pods() const { return created_pods_; }
  void ForgetCreated() { created_pods_.clear(); }
  // The reason of each Event, in order.
  const std::vector<std::string>& events() const { return events_; }
  // The note of each.
  const std::vector<std::string>& notes() const { return notes_; }

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
  Result<std::vector<std::string>> FetchNames(const kube::Resource& resource,
                                              const std::string& ns) override;
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
             const std::string& note) override {
    events_.push_back(reason);
    notes_.push_back(note);
  }

 private:
  using Key = std::pair<std::string, std::string>;  // plural, "ns/name"
  Status MayRead(const kube::Resource& resource) const;
  static Key KeyOf(const kube::Resource& resource, const std::string& ns, const std::string& name);
  using Do = std::function<Result<api::Json>(By by)>;
  // Runs a write under the fault plan. It may be run when its caller has returned.
  Result<api::Json> Write(const kube::Resource& resource, const std::string& verb, const Do& write);
  api::Json Store(const kube::Resource& resource, api::Json object, By by);
  Result<api::Json> Apply(const kube::Resource& resource, api::Json object, api::Json changed,
                          By by);
  Status AllowedIn(int64_t term) const;
  struct Told {
    MonotonicTime due;
    Key key;
    kube::ObjectPtr was, now;  // null: not there
  };
  // To the watch: at once, or when it is due.
  void Tell(const kube::Resource& resource, Told told);
  void Hear(const kube::Resource& resource, const Told& told);
  // The caches hold it.
  void Hold(const Key& key, const kube::ObjectPtr& now);

  const Clock& clock_;
  std::shared_ptr<placement::FakeView> view_ = std::make_shared<placement::FakeView>();
  Watch watch_;
  Written written_;
  std::map<Key, kube::ObjectPtr> objects_, cached_;
  std::map<std::string, api::BackupPodPtr> rows_;           // of those in cached_, by "NS/NAME"
  std::map<std::string, const kube::Resource*> resources_;  // by plural, of all that was stored
  std::map<std::string, std::deque<Told>> telling_;         // by plural, in order
  std::map<std::string, std::chrono::milliseconds> slow_;   // by plural
  bool lag_ = false;
  Refuse refuse_;
  Lose lose_;
  RefuseRead refuse_read_;
  int64_t next_version_ = 1, next_uid_ = 1;
  int writes_ = 0, crash_in_ = 0;
  Fate fate_ = Fate::kLost;
  bool crashed_ = false;
  int64_t term_ = 0;
  MonotonicTime term_known_{};
  Do late_;
  std::string late_what_;
  std::vector<std::string> deleted_pods_, created_pods_, events_, notes_;
};

}  // namespace longshore::controller
