// SPDX-License-Identifier: Apache-2.0
//
// The stream to the leader, over a real one.
#include "extender/pressure_feed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <thread>

#include "common/streams/server.h"
#include "tests/common/tls/certificates.h"
#include "tests/extender/fakes.h"

namespace longshore::extender {
namespace {

// A leader that takes the token "good" and notes what it hears.
class Leader final : public streams::ServerHandler {
 public:
  void Authenticate(const streams::Handshake& handshake, Decision done) override {
    if (handshake.path != "/v1/pressure" || handshake.bearer_token != "good") {
      return done(Error{Code::kUnauthenticated, "no"});
    }
    done("extender");
  }
  void OnOpen(streams::ConnectionId id, const std::string&, const std::string&) override {
    MutexLock lock(mutex);
    connection = id;
  }
  void OnMessage(streams::ConnectionId, std::string_view message) override {
    MutexLock lock(mutex);
    heard.emplace_back().ParseFromArray(message.data(), static_cast<int>(message.size()));
  }
  void OnClose(streams::ConnectionId, const std::string&) override {
    MutexLock lock(mutex);
    connection = 0;
  }
  streams::ConnectionId Connection() {
    MutexLock lock(mutex);
    return connection;
  }
  size_t Heard() {
    MutexLock lock(mutex);
    return heard.size();
  }

  Mutex mutex;
  streams::ConnectionId connection = 0;
  std::vector<messages::PlacementVerdict> heard;
};

class PressureFeedTest : public ::testing::Test {
 protected:
  PressureFeedTest() {
    const auto certificate = authority_.IssueLocalhost();
    server_options_.address = "127.0.0.1";
    server_options_.certificate_file = folder_.Write("tls.crt", certificate.certificate_pem);
    server_options_.key_file = folder_.Write("tls.key", certificate.key_pem);
  }

  void StartLeader() {
    leader_ = std::make_unique<Leader>();
    server_ = std::make_unique<streams::Server>(server_options_, *leader_);
    const Status started = server_->Start();
    ASSERT_TRUE(started.has_value()) << started.error().ToString();
    server_options_.port = server_->port();  // the next one takes its place
  }
  void StartFeed() {
    streams::ClientOptions options;
    options.host = "127.0.0.1";
    options.port = server_options_.port;
    options.path = "/v1/pressure";
    options.ca_file = folder_.Write("ca.crt", authority_.ca_pem());
    options.token_file = folder_.Write("token", "good");
    options.min_backoff = std::chrono::milliseconds(10);
    options.max_backoff = std::chrono::milliseconds(50);
    feed_ = std::make_unique<PressureFeed>(options, log_, clock_, registry_);
    ASSERT_TRUE(feed_->Start().has_value());
  }
  static bool Eventually(const std::function<bool()>& holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!holds()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
  }
  static messages::PlacementVerdict VerdictOf(const std::string& pod) {
    messages::PlacementVerdict verdict;
    verdict.set_pod_namespace("backup");
    verdict.set_pod_name(pod);
    verdict.set_verb("filter");
    return verdict;
  }

  test::TestAuthority authority_;
  test::TemporaryFolder folder_;
  streams::ServerOptions server_options_;
  FakeClock clock_;
  metrics::Registry registry_;
  VerdictLog log_{100};
  std::unique_ptr<Leader> leader_;
  std::unique_ptr<streams::Server> server_;
  std::unique_ptr<PressureFeed> feed_;
};

TEST_F(PressureFeedTest, PublishesWhatTheLeaderSays) {
  StartLeader();
  StartFeed();
  ASSERT_TRUE(Eventually([&] { return leader_->Connection() != 0; }));
  messages::PressureSnapshot snapshot;
  auto& node = *snapshot.add_nodes();
  node.set_node("n1");
  node.set_cpu_used_milli(1500);
  node.set_cpu_capacity_milli(2000);
  node.set_psi_io_permille(120);
  node.set_psi_valid(true);
  node.set_sample_age_ms(700);
  snapshot.add_nodes()->set_node("silent");
  snapshot.mutable_nodes(1)->set_sample_age_ms(-1);
  server_->Send(leader_->Connection(), snapshot.SerializeAsString());
  ASSERT_TRUE(Eventually([&] { return feed_->Pressure()->size() == 2; }));
  const auto pressure = feed_->Pressure()->Of("n1", clock_.now + std::chrono::milliseconds(300));
  EXPECT_EQ(pressure.cpu_used_milli, 1500);
  EXPECT_EQ(pressure.psi_io_permille, 120);
  EXPECT_EQ(pressure.age_ms, 1000);
  EXPECT_FALSE(feed_->Pressure()->Of("silent", clock_.now + std::chrono::hours(1)).known());
}

TEST_F(PressureFeedTest, IgnoresGarbage) {
  StartLeader();
  StartFeed();
  ASSERT_TRUE(Eventually([&] { return leader_->Connection() != 0; }));
  server_->Send(leader_->Connection(), "\xFF\xFF\xFF");
  ASSERT_TRUE(Eventually([&] {
    return registry_.Text().find("longshore_extender_pressure_malformed_total 1") !=
           std::string::npos;
  }));
  EXPECT_EQ(feed_->Pressure()->size(), 0u);
}

TEST_F(PressureFeedTest, TellsVerdictsToTheLeader) {
  StartLeader();
  StartFeed();
  ASSERT_TRUE(Eventually([&] { return leader_->Connection() != 0; }));
  feed_->Record(VerdictOf("p1"));
  ASSERT_TRUE(Eventually([&] { return leader_->Heard() >= 1; }));
  MutexLock lock(leader_->mutex);
  EXPECT_EQ(leader_->heard.back().pod_name(), "p1");
}

// One that is longer than a message may be would end the stream, and each one after it.
TEST_F(PressureFeedTest, AVerdictThatIsTooLongIsDroppedAndCounted) {
  StartLeader();
  StartFeed();
  ASSERT_TRUE(Eventually([&] { return leader_->Connection() != 0; }));
  const streams::ConnectionId first = leader_->Connection();
  messages::PlacementVerdict huge = VerdictOf("p1");
  huge.add_nodes()->set_node(std::string(5 << 20, 'n'));
  feed_->Record(huge);
  feed_->Record(VerdictOf("p2"));
  ASSERT_TRUE(Eventually([&] { return leader_->Heard() >= 1; }));
  EXPECT_EQ(leader_->Connection(), first);
  EXPECT_EQ(leader_->Heard(), 1u);
  EXPECT_EQ(log_.All().size(), 1u);
  EXPECT_THAT(registry_.Text(),
              ::testing::HasSubstr("longshore_extender_verdicts_too_long_total 1\n"));
}

// A leader that was away would otherwise think that these pods were placed without us.
TEST_F(PressureFeedTest, TellsANewLeaderWhatItMissed) {
  StartLeader();
  StartFeed();
  ASSERT_TRUE(Eventually([&] { return leader_->Connection() != 0; }));
  server_->Stop();
  feed_->Record(VerdictOf("p1"));
  feed_->Record(VerdictOf("p2"));
  StartLeader();
  ASSERT_TRUE(Eventually([&] { return leader_->Heard() >= 2; }));
  MutexLock lock(leader_->mutex);
  EXPECT_EQ(leader_->heard[0].pod_name(), "p2");  // newest first
}

TEST_F(PressureFeedTest, RecordingNeverBlocksWithoutALeader) {
  StartLeader();
  server_->Stop();
  StartFeed();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) feed_->Record(VerdictOf("p" + std::to_string(i)));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_EQ(log_.All().size(), 100u);
}

}  // namespace
}  // namespace longshore::extender
