// SPDX-License-Identifier: Apache-2.0
//
// maxPodsPerNode, where it counts: many filters at once. Numbers in names are those of the list of
// edge cases in docs/placement.md.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <thread>

#include "tests/extender/fakes.h"

namespace longshore::extender {
namespace {

using nlohmann::json;
using placement::FakeView;
using placement::MakeSource;
using testing::Each;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr int kMost = 4;
const std::vector<std::string> kNodes{"n1", "n2", "n3", "n4", "n5"};

std::string CappedBody(const std::vector<std::string>& names, const std::string& uid,
                       const std::string& most = std::to_string(kMost)) {
  std::string body = RequestBody(names, uid);
  const std::string annotations = R"("annotations":{)";
  return body.insert(body.find(annotations) + annotations.size(),
                     R"("longshore.dev/max-pods-per-node":")" + most + R"(",)");
}

// Bindings may become visible in the middle of other calls.
class MovingCluster final : public Cluster {
 public:
  MovingCluster() {
    for (const std::string& node : kNodes) view_->AddNode(node, "", "za", "eu");
    source_ = std::make_shared<const api::BackupSource>(MakeSource({.zone = "za"}));
  }
  bool synced() const override { return true; }
  std::chrono::milliseconds age() const override { return {}; }
  std::shared_ptr<const placement::View> Snapshot() const override {
    MutexLock lock(mutex_);
    return view_;
  }
  std::shared_ptr<const api::BackupSource> Source(const std::string&,
                                                  const std::string&) const override {
    return source_;
  }
  void Bind(const std::string& uid, const std::string& node) {
    MutexLock lock(mutex_);
    auto next = std::make_shared<FakeView>(*view_);
    const int before = next->Node(node)->backup_pods;
    next->AddNode(node, "", "za", "eu").backup_pods = before + 1;
    next->bound["backup/p-" + uid + "/" + uid] = node;
    view_ = std::move(next);
  }

 private:
  mutable Mutex mutex_;
  std::shared_ptr<FakeView> view_ LS_GUARDED_BY(mutex_) = std::make_shared<FakeView>();
  std::shared_ptr<const api::BackupSource> source_;
};

class NodeCapTest : public testing::Test {
 protected:
  json Filter(const std::string& uid) {
    return json::parse(service_.Filter(CappedBody(kNodes, uid)));
  }
  // The only node that passes, or "".
  std::string Chosen(const std::string& uid) {
    const json names = Filter(uid)["NodeNames"];
    EXPECT_LE(names.size(), 1u);
    return names.empty() ? "" : names[0].get<std::string>();
  }
  void FillAll() {
    for (int i = 0; i < 5 * kMost; ++i) EXPECT_NE(Chosen("f" + std::to_string(i)), "");
  }

  FakeClock clock_;
  MovingCluster cluster_;
  FakePressure pressure_;
  RecordingSink sink_;
  metrics::Registry registry_;
  Service service_{cluster_, pressure_, sink_, clock_, registry_};
};

TEST_F(NodeCapTest, Case37_ConcurrentBurstFillsEachNodeExactly) {
  Mutex mutex;
  std::map<std::string, int> placed;
  int refused = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 8; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 10; ++i) {
          const std::string uid = std::to_string(t) + "-" + std::to_string(i);
          const std::string node = Chosen(uid);
          // Some bindings are seen at once, some later than the burst takes.
          if (!node.empty() && i % 2 == 0) cluster_.Bind(uid, node);
          MutexLock lock(mutex);
          node.empty() ? ++refused : ++placed[node];
        }
      });
    }
  }
  EXPECT_THAT(placed, SizeIs(5));
  for (const auto& [node, pods] : placed) EXPECT_EQ(pods, kMost) << node;
  EXPECT_EQ(refused, 80 - 5 * kMost);
}

TEST_F(NodeCapTest, FullNodesFailForNowAndSayWhy) {
  FillAll();
  const json reply = Filter("one-more");
  EXPECT_THAT(reply["NodeNames"], IsEmpty());
  EXPECT_THAT(reply["FailedAndUnresolvableNodes"], IsEmpty());
  ASSERT_EQ(reply["FailedNodes"].size(), 5u);
  EXPECT_EQ(
      reply["FailedNodes"]["n1"],
      "longshore: the node has as many backup pods as maxPodsPerNode of the PodPolicy allows: 4");
  EXPECT_THAT(sink_.verdicts.back().nodes(0).reasons(0), HasSubstr("of at most 4 backup pods"));
  EXPECT_FALSE(sink_.verdicts.back().nodes(0).passed());
}

TEST_F(NodeCapTest, OthersAreToldThatAnotherNodeWasChosen) {
  const json reply = Filter("u");
  EXPECT_THAT(reply["NodeNames"], SizeIs(1));
  EXPECT_EQ(reply["FailedNodes"].size(), 4u);
  for (const auto& [node, reason] : reply["FailedNodes"].items()) {
    EXPECT_EQ(reason, "longshore: another node was chosen, as maxPodsPerNode demands") << node;
  }
  EXPECT_EQ(json(sink_.verdicts.back().nodes(0).node()), reply["NodeNames"][0]);
}

TEST_F(NodeCapTest, Case40_AHoldEndsWithItsPodsBindingOrItsTime) {
  FillAll();
  EXPECT_EQ(Chosen("f0"), Chosen("f0")) << "not against itself";
  cluster_.Bind("f1", Chosen("f1"));
  EXPECT_EQ(Chosen("late"), "") << "bound it still counts";
  clock_.now += std::chrono::seconds(29);
  EXPECT_EQ(Chosen("late"), "");
  clock_.now += std::chrono::seconds(2);
  int free = 0;
  for (int i = 0; i < 40; ++i) free += Chosen("g" + std::to_string(i)).empty() ? 0 : 1;
  EXPECT_EQ(free, 5 * kMost - 1);
}

// Of nodes that were not judged in time one is taken, and not all of them.
TEST_F(NodeCapTest, Case25_HoldsAfterTheDeadlineToo) {
  clock_.step = std::chrono::milliseconds(60);
  std::vector<std::string> many;
  for (int i = 0; i < 1000; ++i) many.push_back("x" + std::to_string(i));
  const json reply = json::parse(service_.Filter(CappedBody(many, "u")));
  EXPECT_THAT(reply["NodeNames"], SizeIs(1));
  EXPECT_EQ(reply["FailedNodes"].size(), 999u);
}

TEST_F(NodeCapTest, WhatCannotBeReadIsNoCap) {
  for (const char* most : {"", "0", "-1", "many"}) {
    EXPECT_EQ(json::parse(service_.Filter(CappedBody(kNodes, "u", most)))["NodeNames"],
              json(kNodes))
        << most;
  }
}

}  // namespace
}  // namespace longshore::extender
