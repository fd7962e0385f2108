// SPDX-License-Identifier: Apache-2.0
#include "controller/watch_list.h"

#include <gtest/gtest.h>

#include "common/placement/snapshot.h"
#include "tests/controller/fake_cluster.h"

namespace longshore::controller {
namespace {

api::Json PodJson(const std::string& name, const std::string& role, const std::string& node) {
  return {{"metadata",
           {{"name", name},
            {"namespace", "db"},
            {"uid", "uid-" + name},
            {"labels", {{"app", "pg"}, {"role", role}}}}},
          {"spec", {{"nodeName", node}}},
          {"status",
           {{"phase", "Running"}, {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}};
}

api::BackupSource Source(const std::string& name) {
  api::BackupSource source;
  source.metadata.ns = "db";
  source.metadata.name = name;
  source.spec.location.pod_labels = {{"app", "pg"}, {"role", "leader"}};
  return source;
}

class WatchListTest : public testing::Test {
 protected:
  void Put(const api::Json& pod) {
    builder_.Pod(nullptr, &pod);
    view_ = builder_.Build(placement::Listed::Everything());
  }
  placement::SnapshotBuilder builder_;
  std::shared_ptr<const placement::View> view_;
};

// Only the live leader, on its own node, once for all sources of it.
TEST_F(WatchListTest, IsTheLivePodsOfTheSourcesByNode) {
  Put(PodJson("pg-0", "leader", "node-1"));
  Put(PodJson("pg-1", "standby", "node-2"));
  EXPECT_EQ(FindWatchedPods({Source("a"), Source("b")}, *view_),
            (WatchedPods{{"node-1", {"uid-pg-0"}}}));
  EXPECT_TRUE(FindWatchedPods({}, *view_).empty());
}

// An agent knows a static pod by the hash of its manifest, the API by the UID of its mirror.
TEST_F(WatchListTest, AStaticPodIsNamedAsItsAgentKnowsIt) {
  api::Json pod = PodJson("pg-0", "leader", "node-1");
  pod["metadata"]["annotations"] = {{"kubernetes.io/config.hash", "0123456789abcdef"}};
  Put(pod);
  EXPECT_EQ(FindWatchedPods({Source("a")}, *view_),
            (WatchedPods{{"node-1", {"0123456789abcdef"}}}));
}

// The same pointer as long as nothing changed, so that nothing is compared or sent; a failover is
// seen within 5 s.
TEST_F(WatchListTest, FollowsAFailoverAndIsElseTheSame) {
  FakeClock clock;
  Put(PodJson("pg-0", "leader", "node-1"));
  Put(PodJson("pg-1", "standby", "node-2"));
  WatchList list([] { return std::vector{Source("a")}; }, [&] { return view_; }, clock);
  const auto first = list.Get();
  clock.Advance(std::chrono::seconds(6));
  EXPECT_EQ(list.Get(), first);
  Put(PodJson("pg-0", "standby", "node-1"));
  Put(PodJson("pg-1", "leader", "node-2"));
  EXPECT_EQ(list.Get(), first);
  clock.Advance(std::chrono::seconds(6));
  EXPECT_EQ(*list.Get(), (WatchedPods{{"node-2", {"uid-pg-1"}}}));
}

}  // namespace
}  // namespace longshore::controller
