// SPDX-License-Identifier: Apache-2.0
//
// The hub with agents as they are: over TLS, with a node's token, or called as the server calls it.
#include "controller/stream_hub.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>

#include "common/base/strings.h"
#include "common/streams/client.h"
#include "controller/stream_identity.h"
#include "tests/common/tls/certificates.h"
#include "tests/controller/agent_reports.h"
#include "tests/controller/fake_cluster.h"

namespace longshore::controller {
namespace {

// An agent's end: says hello, keeps what it is told.
class FakeAgent : public streams::ClientHandler {
 public:
  explicit FakeAgent(const streams::ClientOptions& options) : client_(options, *this) {
    LS_CHECK(client_.Start().has_value());
  }
  ~FakeAgent() override { client_.Stop(); }
  std::vector<std::string> AwaitInstruction(size_t nth) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(30),
                                  [&] { return instructions_.size() >= nth; }));
    if (instructions_.size() < nth) return {"nothing came"};
    const auto& uids = instructions_[nth - 1].watched_pod_uids();
    return {uids.begin(), uids.end()};
  }

 private:
  void OnOpen() override {
    messages::AgentMessage message;
    message.mutable_hello()->set_node("node-1");
    message.mutable_hello()->set_epoch("e");
    EXPECT_TRUE(client_.Send(message.SerializeAsString()).has_value());
  }
  void OnMessage(std::string_view bytes) override {
    messages::AgentInstruction instruction;
    EXPECT_TRUE(instruction.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    std::lock_guard lock(mutex_);
    instructions_.push_back(std::move(instruction));
    changed_.notify_all();
  }
  void OnClose(const std::string&) override {}

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<messages::AgentInstruction> instructions_;
  streams::Client client_;
};

class StreamHubTest : public ::testing::Test {
 protected:
  StreamHubTest() {
    const longshore::test::Certificate certificate = authority_.IssueLocalhost();
    options_.address = "127.0.0.1";
    options_.certificate_file = folder_.Write("tls.crt", certificate.certificate_pem);
    options_.key_file = folder_.Write("tls.key", certificate.key_pem);
    const api::Json pod = {{"metadata",
                            {{"name", "backup-0"},
                             {"namespace", "ns"},
                             {"uid", "p"},
                             {"labels", {{api::kLabelManagedBy, "longshore"}}}}},
                           {"spec", {{"nodeName", "node-1"}}}};
    index_.OnChange(nullptr, std::make_shared<const api::Json>(pod));
    hub_ = std::make_unique<StreamHub>(options_, authenticator_,
                                       HubStores{usage_,
                                                 pressure_,
                                                 verdicts_,
                                                 workers_,
                                                 {},
                                                 index_,
                                                 [this](const WorkerIdentity& worker) {
                                                   return AdmitWorker(worker, row_, synced_);
                                                 },
                                                 [this] {
                                                   std::lock_guard lock(mutex_);
                                                   return watched_;
                                                 }});
  }
  void Watch(WatchedPods pods) {
    std::lock_guard lock(mutex_);
    watched_ = std::make_shared<const WatchedPods>(std::move(pods));
  }
  // As the server does when an agent of node-1 connects.
  void Connect(streams::ConnectionId id, const std::string& epoch,
               const std::string& degraded = "") {
    hub_->OnOpen(id, kAgentsPath, "node-1");
    messages::AgentMessage message;
    message.mutable_hello()->set_node("node-1");
    message.mutable_hello()->set_epoch(epoch);
    if (!degraded.empty()) message.mutable_hello()->add_degraded(degraded);
    hub_->OnMessage(id, message.SerializeAsString());
  }
  void Report(streams::ConnectionId id, uint64_t sequence, double second, uint64_t cpu_ns) {
    clock_.Advance(std::chrono::seconds(1));
    messages::AgentMessage message;
    *message.mutable_usage() = ReportAt(sequence, second);
    AddPod(*message.mutable_usage(), "p", cpu_ns);
    hub_->OnMessage(id, message.SerializeAsString());
  }
  std::vector<Sample> Samples() { return usage_.Last("p", std::chrono::minutes(5)); }

  // What the hub decides about a handshake: "identity", or the error's text.
  std::string Decide(const std::string& path, const std::string& token,
                     const std::string& address = "10.0.0.1") {
    std::promise<std::string> said;
    hub_->Authenticate({path, token, address}, [&](const Result<std::string>& identity) {
      said.set_value(identity ? *identity : identity.error().ToString());
    });
    return said.get_future().get();
  }

  FakeClock clock_;
  UsageStore usage_{clock_};
  PressureStore pressure_{clock_};
  VerdictStore verdicts_;
  WorkerTable workers_;
  PodIndex index_;
  // The token "pod:NS/NAME/UID" is of that pod, "bogus…" of nobody, any other of node-1's agent.
  TokenReviewer tokens_{[this](const std::string& token) -> Result<kube::UserInfo> {
                          ++reviews_;
                          if (token.starts_with("bogus")) {
                            return Error{Code::kUnauthenticated, "not ours"};
                          }
                          kube::UserInfo user;
                          if (token.starts_with("pod:")) {
                            const auto parts = Split(token.substr(4), '/');
                            user.username = "system:serviceaccount:" + parts[0] + ":worker";
                            user.pod_name = parts[1];
                            user.pod_uid = parts[2];
                            return user;
                          }
                          user.username =
                              "system:serviceaccount:longshore-system:longshore-nodeagent";
                          user.node_name = "node-1";
                          return user;
                        },
                        TokenLimits{}, clock_};
  StreamAuthenticator authenticator_{tokens_};
  api::BackupPodPtr row_;  // of the worker that dials
  bool synced_ = true;
  std::atomic<int> reviews_{0};
  longshore::test::TestAuthority authority_;
  longshore::test::TemporaryFolder folder_;
  streams::ServerOptions options_;
  std::mutex mutex_;
  std::shared_ptr<const WatchedPods> watched_ = std::make_shared<const WatchedPods>();
  std::unique_ptr<StreamHub> hub_;
};

// Fault: a flood of made-up tokens. Each costs the cluster's API at most one question, an address
// only so many, and the others are served.
TEST_F(StreamHubTest, FloodOfBogusTokensIsTurnedAwayAndStarvesNobody) {
  for (int i = 0; i < 500; ++i) Decide(kAgentsPath, "bogus-" + std::to_string(i));
  EXPECT_EQ(reviews_, 20);
  EXPECT_EQ(Decide(kAgentsPath, "bogus-0"), "Unauthenticated: the bearer token is not valid here");
  EXPECT_EQ(Decide(kAgentsPath, "bogus-again"),
            "ResourceExhausted: too many tokens from this address were refused; try again later");
  EXPECT_EQ(reviews_, 20);
  EXPECT_EQ(Decide(kAgentsPath, "good", "10.0.0.2"), "node-1");
  EXPECT_GE(hub_->counts().refused, 500u);
}

// Fault: a pod with a service account and the right audience that is none of ours. One of ours may
// dial before its row is known here, and has to try again.
TEST_F(StreamHubTest, OnlyPodsWithARowMaySpeakAsWorkers) {
  const auto row = [](const char* uid) {
    api::BackupPod row;
    row.status.pod_uid = uid;
    return std::make_shared<const api::BackupPod>(std::move(row));
  };
  const std::string token = "pod:ns/backup-0/uid-1";
  EXPECT_EQ(Decide(kWorkersPath, token),
            "PermissionDenied: Pod ns/backup-0 has no BackupPod: only backup pods may open "
            "/v1/workers");
  row_ = row("uid-2");
  EXPECT_EQ(Decide(kWorkersPath, token),
            "PermissionDenied: BackupPod ns/backup-0 is of another Pod than the one that calls");
  EXPECT_EQ(hub_->counts().foreign_workers, 2u);
  row_ = row("");
  EXPECT_EQ(Decide(kWorkersPath, token),
            "Unavailable: Pod ns/backup-0 is being recorded; try again");
  row_ = nullptr;
  synced_ = false;
  EXPECT_EQ(Decide(kWorkersPath, token), "Unavailable: the controller is starting; try again");
  EXPECT_EQ(hub_->counts().foreign_workers, 2u);
  row_ = row("uid-1");
  EXPECT_EQ(Decide(kWorkersPath, token), "ns/backup-0/uid-1");
}

// The worker is told why.
TEST_F(StreamHubTest, RefusedWorkerIsToldTheReason) {
  ASSERT_TRUE(hub_->Start().has_value());
  streams::ClientOptions options;
  options.host = "127.0.0.1";
  options.port = hub_->port();
  options.path = kWorkersPath;
  options.ca_file = folder_.Write("ca.crt", authority_.ca_pem());
  options.token_file = folder_.Write("token", "pod:ns/foreign/uid-9");
  class Listener : public streams::ClientHandler {
   public:
    void OnOpen() override {}
    void OnMessage(std::string_view) override {}
    void OnClose(const std::string& reason) override {
      if (!std::exchange(done_, true)) said.set_value(reason);
    }
    std::promise<std::string> said;

   private:
    bool done_ = false;
  } listener;
  streams::Client client(options, listener);
  ASSERT_TRUE(client.Start().has_value());
  EXPECT_EQ(listener.said.get_future().get(),
            "the server refused the stream: HTTP 403 Pod ns/foreign has no BackupPod: only backup "
            "pods may open /v1/workers");
  client.Stop();
  EXPECT_EQ(hub_->counts().workers, 0u);
}

// Fault: somebody dials in a loop.
TEST_F(StreamHubTest, EqualRefusalsAreLoggedOnce) {
  ASSERT_TRUE(hub_->Start().has_value());
  streams::ClientOptions options;
  options.host = "127.0.0.1";
  options.port = hub_->port();
  options.path = kWorkersPath;
  options.ca_file = folder_.Write("ca.crt", authority_.ca_pem());
  options.token_file = folder_.Write("token", "pod:ns/foreign/uid-9");
  options.min_backoff = options.max_backoff = std::chrono::milliseconds(1);
  class Silent : public streams::ClientHandler {
    void OnOpen() override {}
    void OnMessage(std::string_view) override {}
    void OnClose(const std::string&) override {}
  } silent;
  streams::Client client(options, silent);
  ::testing::internal::CaptureStderr();
  ASSERT_TRUE(client.Start().has_value());
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (hub_->counts().refused < 10 && std::chrono::steady_clock::now() < limit) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  client.Stop();
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_GE(hub_->counts().refused, 10u);
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 1) << log;
}

// Fault: an agent that is let in comes and goes in a loop, and what it says is nonsense, of a kind
// that Protobuf itself would write about.
TEST_F(StreamHubTest, APeerThatComesAndGoesIsLoggedOnce) {
  ASSERT_TRUE(hub_->Start().has_value());
  messages::AgentMessage nonsense;
  nonsense.mutable_hello()->set_node("\xFF");
  const std::string bytes = nonsense.SerializeAsString();
  ::testing::internal::CaptureStderr();
  for (streams::ConnectionId id = 1; id <= 100; ++id) {
    Connect(id, "e");
    hub_->OnMessage(id, bytes);
    hub_->OnClose(id, "gone");
  }
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 3) << log;
  EXPECT_EQ(hub_->counts().bad_messages, 100u);
}

// Fault: two agents on one node. The later stream is heard, the other is dropped and counted, and
// when the later one goes, the other does not go on in the middle.
TEST_F(StreamHubTest, OfTwoAgentsOnOneNodeTheLaterStreamIsHeard) {
  Connect(1, "first");
  Report(1, 1, 1, 0);
  Connect(2, "second");
  Report(2, 1, 100, 7'000'000'000);
  Report(1, 2, 2, 900'000'000);
  Report(2, 2, 101, 7'100'000'000);
  Report(1, 3, 3, 1'900'000'000);
  ASSERT_EQ(Samples().size(), 1u);
  EXPECT_DOUBLE_EQ(Samples()[0].value(Signal::kCpu).value_or(-1), 100);
  EXPECT_EQ(hub_->counts().superseded, 2u);
  hub_->OnClose(2, "gone");
  Report(1, 4, 4, 2'900'000'000);
  EXPECT_EQ(Samples().size(), 1u) << "what it said meanwhile was dropped";
  Connect(3, "first");
  Report(3, 5, 5, 3'000'000'000);
  Report(3, 6, 6, 3'200'000'000);
  ASSERT_EQ(Samples().size(), 2u);
  EXPECT_DOUBLE_EQ(Samples()[1].value(Signal::kCpu).value_or(-1), 200);
}

// A kernel before 6.3 tells nothing of sockets: the agent says so once, and reports zeros.
TEST_F(StreamHubTest, WhatAnAgentSaysItCannotMeasureIsUnknown) {
  Connect(1, "e", "network");
  Report(1, 1, 1, 0);
  Report(1, 2, 2, 100'000'000);
  ASSERT_EQ(Samples().size(), 1u);
  EXPECT_FALSE(Samples()[0].value(Signal::kNetworkBytes).has_value());
  EXPECT_DOUBLE_EQ(Samples()[0].value(Signal::kCpu).value_or(-1), 100);
  Connect(2, "e");  // the same node after a kernel upgrade
  Report(2, 3, 3, 200'000'000);
  Report(2, 4, 4, 300'000'000);
  EXPECT_DOUBLE_EQ(Samples().back().value(Signal::kNetworkBytes).value_or(-1), 0);
}

// The usual case: an agent reconnects before its old stream is known to be dead.
TEST_F(StreamHubTest, AnOldStreamThatEndsLateDisturbsNothing) {
  Connect(1, "e");
  Report(1, 1, 1, 0);
  Connect(2, "e");
  Report(2, 2, 2, 100'000'000);
  hub_->OnClose(1, "silent");
  Report(2, 3, 3, 200'000'000);
  EXPECT_EQ(Samples().size(), 1u);
  EXPECT_EQ(hub_->counts().superseded, 0u);
}

// An agent is told at once, also that there is nobody, and again when that has changed.
TEST_F(StreamHubTest, TellsAnAgentWhomToWatch) {
  ASSERT_TRUE(hub_->Start().has_value());
  streams::ClientOptions options;
  options.host = "127.0.0.1";
  options.port = hub_->port();
  options.path = kAgentsPath;
  options.ca_file = folder_.Write("ca.crt", authority_.ca_pem());
  options.token_file = folder_.Write("token", "t");
  FakeAgent agent(options);
  EXPECT_TRUE(agent.AwaitInstruction(1).empty());
  Watch({{"node-1", {"db-0", "db-1"}}, {"node-2", {"db-2"}}});
  EXPECT_EQ(agent.AwaitInstruction(2), (std::vector<std::string>{"db-0", "db-1"}));
  Watch({{"node-2", {"db-0"}}});
  EXPECT_TRUE(agent.AwaitInstruction(3).empty());
  hub_->Stop();
}

}  // namespace
}  // namespace longshore::controller
