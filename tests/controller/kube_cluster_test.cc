// SPDX-License-Identifier: Apache-2.0
//
// What the controller sends to the API server beside what its reconcilers say: the term it writes
// in; and what it waits for.
#include "controller/kube_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "common/base/mutex.h"
#include "common/http/server.h"

namespace longshore::controller {
namespace {

using api::Json;

class KubeClusterTest : public ::testing::Test {
 protected:
  KubeClusterTest() {
    http::ServerOptions options;
    options.address = "127.0.0.1";
    server_ = std::make_unique<http::Server>(options);
    const auto answer = [this](const http::Request& request) {
      MutexLock lock(mutex_);
      if (!request.body.empty()) bodies_.push_back(*api::ParseJson(request.body));
      ++calls_;
      http::Response response;
      response.body = R"({"metadata": {"name": "o", "namespace": "ns", "uid": "u"}})";
      if (statuses_.empty()) return response;
      response.status = statuses_.front();
      statuses_.pop_front();
      return response;
    };
    for (const char* base : {"/api/v1/namespaces/ns/{plural}",
                             "/apis/longshore.dev/v1alpha1/namespaces/ns/{plural}"}) {
      server_->Handle("POST", base, answer);
      server_->Handle("GET", base + std::string("/{name}"), answer);
      server_->Handle("PATCH", base + std::string("/{name}"), answer);
    }
    LS_CHECK(server_->Start().has_value());
    kube::Config config;
    config.server = "http://127.0.0.1:" + std::to_string(server_->port());
    client_ = *kube::Client::Create(config, "longshore-test");
    state_ = std::make_unique<ClusterState>(*client_);
    recorder_ = std::make_unique<kube::EventRecorder>(*client_, "test", "test");
  }
  KubeCluster Cluster(std::optional<int64_t> term) {
    return {*client_, *state_, *recorder_, [] { return true; }, [term] { return term; }};
  }
  // The label of what was sent last.
  std::string Term() {
    MutexLock lock(mutex_);
    const Json& metadata = bodies_.back().at("metadata");
    return metadata.value("labels", Json::object()).value("longshore.dev/term", "");
  }

  Mutex mutex_;
  std::deque<int> statuses_ LS_GUARDED_BY(mutex_);  // of the next answers; then 200
  std::vector<Json> bodies_ LS_GUARDED_BY(mutex_);
  int calls_ LS_GUARDED_BY(mutex_) = 0;
  std::unique_ptr<http::Server> server_;
  std::unique_ptr<kube::Client> client_;
  std::unique_ptr<ClusterState> state_;
  std::unique_ptr<kube::EventRecorder> recorder_;
};

const Json kLabelled = {{"metadata", {{"name", "o"}, {"labels", {{"a", "b"}}}}}};

TEST_F(KubeClusterTest, RowsAndPodsCarryTheTermTheyAreMadeIn) {
  KubeCluster cluster = Cluster(7);
  ASSERT_TRUE(cluster.Create(kube::kPods, "ns", kLabelled));
  EXPECT_EQ(Term(), "7");
  ASSERT_TRUE(cluster.Create(kube::kBackupPods, "ns", kLabelled));
  EXPECT_EQ(Term(), "7");
  ASSERT_TRUE(cluster.Patch(kube::kPods, "ns", "o", kube::PatchType::kMerge, kLabelled, ""));
  EXPECT_EQ(Term(), "7");
  // The first leader there ever was.
  ASSERT_TRUE(Cluster(0).Create(kube::kPods, "ns", kLabelled));
  EXPECT_EQ(Term(), "0");
}

TEST_F(KubeClusterTest, NothingElseDoes) {
  ASSERT_TRUE(Cluster(7).Create(kube::kConfigMaps, "ns", kLabelled));
  EXPECT_EQ(Term(), "");
  const Json notes = {{"metadata", {{"annotations", {{"a", "b"}}}}}};
  ASSERT_TRUE(Cluster(7).Patch(kube::kPods, "ns", "o", kube::PatchType::kMerge, notes, ""));
  EXPECT_EQ(Term(), "") << "what it changes is no label";
  ASSERT_TRUE(Cluster(std::nullopt).Create(kube::kPods, "ns", kLabelled));
  EXPECT_EQ(Term(), "") << "nobody else leads where nobody is elected";
}

// Whether a write was applied is asked for until somebody answers: what is owed for it is announced
// by this leader or by nobody.
TEST_F(KubeClusterTest, AnAnswerThatIsOwedIsWaitedForWhileTheServerIsAway) {
  KubeCluster cluster = Cluster(7);
  {
    MutexLock lock(mutex_);
    statuses_ = std::deque<int>(8, 503);
  }
  EXPECT_TRUE(cluster.FetchSurely(kube::kBackupPods, "ns", "o"));
  {
    MutexLock lock(mutex_);
    EXPECT_TRUE(statuses_.empty());
    statuses_ = {404};
    calls_ = 0;
  }
  EXPECT_EQ(cluster.FetchSurely(kube::kBackupPods, "ns", "o").error().code, Code::kNotFound);
  MutexLock lock(mutex_);
  EXPECT_EQ(calls_, 1) << "that is an answer";
}

}  // namespace
}  // namespace longshore::controller
