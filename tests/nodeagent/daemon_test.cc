// SPDX-License-Identifier: Apache-2.0
//
// The whole agent in one process: BPF on the running kernel, cgroups of the test's own, a stream
// server in the controller's place. Skipped, with the reason, where BPF cannot be loaded.
#include "nodeagent/daemon.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "common/http/client.h"
#include "tests/nodeagent/agent_stream.h"
#include "tests/nodeagent/kernel_side_test.h"
#include "tests/nodeagent/test_cgroups.h"

namespace longshore::nodeagent {
namespace {

using ::testing::HasSubstr;

// Goes as the real one, but may be ahead of it.
class AheadClock final : public Clock {
 public:
  WallTime Now() const override { return Clock::Real().Now() + ahead_.load(); }
  MonotonicTime Monotonic() const override { return Clock::Real().Monotonic() + ahead_.load(); }
  void Advance(std::chrono::seconds by) { ahead_ = ahead_.load() + by; }

 private:
  std::atomic<std::chrono::seconds> ahead_{};
};

class DaemonTest : public KernelSideTest {
 protected:
  void SetUp() override {
    KernelSideTest::SetUp();
    if (IsSkipped()) return;
    controller_.Start();
    const streams::ClientOptions client = controller_.Client();
    options_.controller.host = client.host;
    options_.controller.port = client.port;
    options_.controller.ca_file = client.ca_file;
    options_.controller.token_file = client.token_file;
    options_.node_name = "node-7";
    options_.health_port = 0;
    options_.interval = std::chrono::milliseconds(200);
  }
  std::string Get(const Daemon& daemon, const std::string& path, int status) {
    http::ClientOptions options;
    options.base_url = "http://127.0.0.1:" + std::to_string(daemon.health_port());
    const auto client = http::Client::Create(options);
    EXPECT_TRUE(client.has_value());
    http::ClientRequest request;
    request.path = path;
    const auto response = (*client)->Send(request);
    EXPECT_TRUE(response.has_value());
    if (!response.has_value()) return "";
    EXPECT_EQ(response->status, status);
    return response->body;
  }

  // What /readyz says, as soon as that is in it, at the latest after half a minute.
  std::string AwaitUnready(const Daemon& daemon, const std::string& reason) {
    const auto deadline = Clock::Real().Monotonic() + std::chrono::seconds(30);
    std::string said;
    do {
      said = Get(daemon, "/readyz", 503);
    } while (said.find(reason) == std::string::npos && Clock::Real().Monotonic() < deadline);
    return said;
  }

  AgentStream controller_;
  Options options_;
};

// The sum over the interval that the controller computes from two reports.
TEST_F(DaemonTest, ReportsItsPodsEachIntervalUntilTheyEnd) {
  TestCgroups cgroups("daemon");
  cgroups.Make("burstable/podrep/c1");
  options_.measurement.cgroup_root = cgroups.root();
  Daemon daemon(options_, Clock::Real());
  ASSERT_TRUE(daemon.Start().has_value());
  ASSERT_TRUE(controller_.Await([](const auto& all) { return all.size() >= 3; }));
  EXPECT_EQ(controller_.All()[0].hello().node(), "node-7");
  EXPECT_EQ(
      WaitFor(cgroups.Run("burstable/podrep/c1", [] { Spin(std::chrono::milliseconds(300)); })), 0);
  const auto said = [](const auto& condition) {
    return [condition](const AgentStream::Messages& all) {
      return std::any_of(all.begin(), all.end(), [&](const messages::AgentMessage& message) {
        const auto& pods = message.usage().pods();
        return pods.size() == 1 && pods[0].pod_uid() == "rep" && condition(pods[0]);
      });
    };
  };
  EXPECT_TRUE(controller_.Await(
      said([](const messages::PodCounters& pod) { return pod.usage().cpu_ns() >= 300'000'000; })));
  EXPECT_EQ(Get(daemon, "/readyz", 200), "ok\n");
  const std::string metrics = Get(daemon, "/metrics", 200);
  EXPECT_THAT(metrics, HasSubstr("longshore_nodeagent_bpf_loaded 1"));
  EXPECT_THAT(metrics, HasSubstr("longshore_nodeagent_pods 1"));
  cgroups.Remove("burstable/podrep");
  EXPECT_TRUE(
      controller_.Await(said([](const messages::PodCounters& pod) { return pod.final(); })));
  daemon.Stop();
  // Until there is a connection a report is replaced by the next; from then on none is missing.
  uint64_t sequence = 0;
  for (const messages::AgentMessage& message : controller_.All()) {
    if (!message.has_usage()) continue;
    if (sequence != 0) {
      EXPECT_EQ(message.usage().sequence(), sequence + 1);
    }
    sequence = message.usage().sequence();
  }
  EXPECT_GE(sequence, 3u);
}

// The kubelet may start after the agent: it waits, says so, and goes on by itself.
TEST_F(DaemonTest, WaitsForTheKubeletsCgroups) {
  const std::string root = "/longshore-test-late-" + std::to_string(::getpid());
  options_.measurement.cgroup_root = root;
  Daemon daemon(options_, Clock::Real());
  ASSERT_TRUE(daemon.Start().has_value());
  EXPECT_THAT(AwaitUnready(daemon, root), HasSubstr(root));
  TestCgroups cgroups("late");
  EXPECT_TRUE(controller_.Await([](const auto& all) { return all.size() >= 2; }));
}

// Fault: the thread that measures has ended. The kubelet is told to restart the agent, but not
// before other reasons for a late sample have had their time.
TEST_F(DaemonTest, SaysThatItIsStuckWhenNoSampleComes) {
  TestCgroups cgroups("stuck");
  options_.measurement.cgroup_root = cgroups.root();
  options_.controller.host = "";  // refused as soon as it measures
  AheadClock clock;
  Daemon daemon(options_, clock);
  ASSERT_TRUE(daemon.Start().has_value());
  ASSERT_THAT(AwaitUnready(daemon, "stream to"), HasSubstr("stream to"));
  clock.Advance(std::chrono::seconds(29));
  EXPECT_EQ(Get(daemon, "/healthz", 200), "ok\n");
  clock.Advance(std::chrono::seconds(3));
  EXPECT_THAT(Get(daemon, "/healthz", 503), HasSubstr("no sample for 3"));
}

}  // namespace
}  // namespace longshore::nodeagent
