// SPDX-License-Identifier: Apache-2.0
// The informer against a real API server.
#include <gmock/gmock.h>

#include "common/base/mutex.h"
#include "common/kube/informer.h"
#include "tests/common/kube/real_cluster.h"

namespace longshore::kube {
namespace {

using testing::ElementsAre;

class InformerIntegrationTest : public RealClusterTest {
 protected:
  // What handlers were told, "add a=1", "update a=2", "delete a", in order.
  std::vector<std::string> told() {
    MutexLock lock(mutex_);
    return told_;
  }
  void Listen(Informer& informer) {
    informer.OnChange([this](const ObjectPtr& before, const ObjectPtr& after) {
      const ObjectPtr& object = after != nullptr ? after : before;
      std::string line = before == nullptr ? "add " : after == nullptr ? "delete " : "update ";
      line += NameOf(*object);
      if (after != nullptr) (line += "=") += StringAt(*after, "/data/key");
      MutexLock lock(mutex_);
      told_.push_back(line);
    });
  }
  void Set(const std::string& name, const std::string& value) {
    const auto patched =
        client_->Patch(kConfigMaps, ns_, name, PatchType::kMerge, {{"data", {{"key", value}}}});
    ASSERT_TRUE(patched.has_value()) << patched.error().ToString();
  }

  Mutex mutex_;
  std::vector<std::string> told_ LS_GUARDED_BY(mutex_);
};

TEST_F(InformerIntegrationTest, FollowsEveryChange) {
  MustCreate(kConfigMaps, ConfigMap("a", "1"));
  Informer informer(*client_, kConfigMaps, {.ns = ns_, .selector = {.label_selector = "app=test"}});
  Listen(informer);
  informer.AddIndex("value", [](const Json& object) {
    return std::vector<std::string>{std::string(StringAt(object, "/data/key"))};
  });
  informer.Start();
  ASSERT_TRUE(informer.WaitForSync(std::chrono::seconds(20)));
  EXPECT_THAT(told(), ElementsAre("add a=1"));
  MustCreate(kConfigMaps, ConfigMap("b", "1"));
  Set("a", "2");
  ASSERT_TRUE(client_->Delete(kConfigMaps, ns_, "b").has_value());
  ASSERT_TRUE(Eventually([&] { return told().size() == 4; }));
  EXPECT_THAT(told(), ElementsAre("add a=1", "add b=1", "update a=2", "delete b"));
  ASSERT_NE(informer.Get(ns_, "a"), nullptr);
  EXPECT_FALSE((*informer.Get(ns_, "a"))["metadata"].contains("managedFields"));
  EXPECT_EQ(informer.Get(ns_, "b"), nullptr);
  EXPECT_TRUE(informer.ListByIndex("value", "1").empty());
  EXPECT_EQ(informer.ListByIndex("value", "2").size(), 1u);
  EXPECT_LT(informer.staleness(), std::chrono::seconds(20));
}

// Our own write is there at once, whatever the watch is doing, and handlers hear of it all the
// same.
TEST_F(InformerIntegrationTest, OwnWritesAreSeenAtOnceAndToldOnce) {
  Informer informer(*client_, kConfigMaps, {.ns = ns_, .selector = {.label_selector = "app=test"}});
  Listen(informer);
  informer.Start();
  ASSERT_TRUE(informer.WaitForSync(std::chrono::seconds(20)));
  const Json created = MustCreate(kConfigMaps, ConfigMap("a", "1"));
  informer.Observe(created);
  ASSERT_NE(informer.Get(ns_, "a"), nullptr);
  const auto patched =
      client_->Patch(kConfigMaps, ns_, "a", PatchType::kMerge, {{"data", {{"key", "2"}}}});
  informer.Observe(*patched);
  EXPECT_EQ(StringAt(*informer.Get(ns_, "a"), "/data/key"), "2");
  informer.Observe(created);  // a slow thread: never back
  EXPECT_EQ(StringAt(*informer.Get(ns_, "a"), "/data/key"), "2");
  ASSERT_TRUE(Eventually([&] { return told().size() >= 2; }));
  EXPECT_THAT(told(), ElementsAre("add a=1", "update a=2"));
  ASSERT_TRUE(client_->Delete(kConfigMaps, ns_, "a").has_value());
  ASSERT_TRUE(Eventually([&] { return informer.Get(ns_, "a") == nullptr; }));
  informer.Observe(*patched);
  EXPECT_EQ(informer.Get(ns_, "a"), nullptr);
}

TEST_F(InformerIntegrationTest, StopsAtOnceWhileItWatches) {
  Informer informer(*client_, kConfigMaps, {.ns = ns_});
  informer.Start();
  ASSERT_TRUE(informer.WaitForSync(std::chrono::seconds(20)));
  const auto began = std::chrono::steady_clock::now();
  informer.Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(2));
  informer.Stop();
}

}  // namespace
}  // namespace longshore::kube
