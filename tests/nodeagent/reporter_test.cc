// SPDX-License-Identifier: Apache-2.0
//
// The reporter against the real stream server, over TLS.
#include "nodeagent/reporter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

#include "nodeagent/daemon.h"
#include "tests/nodeagent/agent_stream.h"

namespace longshore::nodeagent {
namespace {

messages::AgentHello Hello() {
  messages::AgentHello hello;
  hello.set_node("node-1");
  hello.set_epoch("boot/1");
  return hello;
}

using Shared = std::shared_ptr<const Sample>;

PodSample OnePod(const std::string& uid, uint64_t cpu_ns = 0, bool final = false) {
  PodSample pod;
  pod.uid = uid;
  pod.final = final;
  pod.usage.counters.cpu_ns = cpu_ns;
  return pod;
}

// At a second of the agent's clock: two pods, of which "busy" changes each second.
Shared SampledAt(int second, const std::string& ended_pod = "") {
  auto sample = std::make_shared<Sample>();
  sample->start = MonotonicTime(std::chrono::seconds(second - 1));
  sample->end = MonotonicTime(std::chrono::seconds(second));
  sample->pods = {OnePod("busy", static_cast<uint64_t>(second)), OnePod("idle", 5)};
  if (!ended_pod.empty()) sample->pods.push_back(OnePod(ended_pod, 1, true));
  std::ranges::sort(sample->pods, {}, &PodSample::uid);
  return sample;
}

std::vector<std::string> Pods(const messages::UsageReport& report) {
  std::vector<std::string> uids;
  for (const auto& pod : report.pods()) uids.push_back(pod.pod_uid());
  return uids;
}

std::vector<messages::UsageReport> Reports(const AgentStream::Messages& all) {
  std::vector<messages::UsageReport> reports;
  for (const auto& message : all) {
    if (message.has_usage()) reports.push_back(message.usage());
  }
  return reports;
}

size_t Usages(const AgentStream::Messages& all) {
  return static_cast<size_t>(
      std::count_if(all.begin(), all.end(), [](const auto& m) { return m.has_usage(); }));
}

// Offers samples, a second later each, until one was sent; the second after that.
int OfferUntilSent(Reporter& reporter, int second, const std::string& ended_pod = "") {
  const uint64_t sent = reporter.counts().sent;
  reporter.Offer(SampledAt(second++, ended_pod));
  for (int i = 0; i < 1000 && reporter.counts().sent == sent; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // a stream is being opened
    reporter.Offer(SampledAt(second++));
  }
  EXPECT_GT(reporter.counts().sent, sent);
  return second;
}

// Stops the leader and waits until the reporter knows.
void Lose(AgentStream& controller, Reporter& reporter) {
  controller.Stop();
  for (int i = 0; i < 1000 && reporter.counts().connected; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_FALSE(reporter.counts().connected);
}

class ReporterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    controller_.Start();
    reporter_ = std::make_unique<Reporter>(controller_.Client(), Hello(),
                                           [this](std::vector<std::string> pods) {
                                             std::lock_guard lock(mutex_);
                                             watched_ = std::move(pods);
                                             changed_.notify_all();
                                           });
  }
  std::vector<messages::UsageReport> AwaitReports(size_t count) {
    EXPECT_TRUE(controller_.Await([&](const auto& all) { return Usages(all) >= count; }));
    return Reports(controller_.All());
  }

  AgentStream controller_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> watched_;
  std::unique_ptr<Reporter> reporter_;
};

// First all, then what changed, and all again each 10 s.
TEST_F(ReporterTest, SaysAllFirstThenWhatChangedAndAllAgainEveryTenSeconds) {
  ASSERT_TRUE(reporter_->Start().has_value());
  const int first = OfferUntilSent(*reporter_, 1) - 1;
  for (int second = first + 1; second <= first + 20; ++second) reporter_->Offer(SampledAt(second));
  const auto reports = AwaitReports(21);
  ASSERT_EQ(reports.size(), 21u);
  for (size_t i = 0; i < reports.size(); ++i) {
    const bool all = i % 10 == 0;
    EXPECT_EQ(reports[i].complete(), all) << i;
    EXPECT_EQ(reports[i].sequence(), i + 1);
    EXPECT_EQ(reports[i].pods_size(), all ? 2 : 1) << i;
    EXPECT_EQ(reports[i].pods(0).pod_uid(), "busy");
  }
}

// On a new stream nothing is taken for known, and the sequence of what was sent goes on.
TEST_F(ReporterTest, ANewStreamBeginsWithHelloAndAll) {
  ASSERT_TRUE(reporter_->Start().has_value());
  const int second = OfferUntilSent(*reporter_, 1);
  AwaitReports(1);
  Lose(controller_, *reporter_);
  controller_.Start();
  OfferUntilSent(*reporter_, second);
  const auto reports = AwaitReports(2);
  const auto all = controller_.All();
  EXPECT_TRUE(all[0].has_hello());
  EXPECT_EQ(all[0].hello().node(), "node-1");
  EXPECT_EQ(all[0].hello().epoch(), "boot/1");
  EXPECT_EQ(std::count_if(all.begin(), all.end(), [](const auto& m) { return m.has_hello(); }), 2);
  EXPECT_TRUE(reports.back().complete());
  EXPECT_EQ(reports.back().sequence(), 2u);
  EXPECT_EQ(Pods(reports.back()), (std::vector<std::string>{"busy", "idle"}));
}

// What can be measured may become more while a stream is open: it goes on, with another hello.
TEST_F(ReporterTest, ARenewedHelloIsSaidOnTheOpenStreamAndOnTheNext) {
  ASSERT_TRUE(reporter_->Start().has_value());
  const int second = OfferUntilSent(*reporter_, 1);
  auto hello = Hello();
  hello.add_degraded("network");
  reporter_->Renew(hello);
  reporter_->Offer(SampledAt(second));
  reporter_->Offer(SampledAt(second + 1));
  AwaitReports(3);
  Lose(controller_, *reporter_);
  controller_.Start();
  OfferUntilSent(*reporter_, second + 2);
  AwaitReports(4);
  std::vector<int> degraded;  // of each hello
  for (const auto& message : controller_.All()) {
    if (message.has_hello()) degraded.push_back(message.hello().degraded_size());
  }
  EXPECT_EQ(degraded, (std::vector<int>{0, 1, 1}));
  EXPECT_EQ(Reports(controller_.All())[2].sequence(), 3u);
}

// Fault: the controller is away for ten minutes. Counters are cumulative, so the newest sample has
// everything but the last records of pods that ended, each of which comes once.
TEST_F(ReporterTest, AfterTenMinutesWithoutAControllerOneReportHasEverything) {
  controller_.Stop();
  ASSERT_TRUE(reporter_->Start().has_value());
  for (int second = 1; second <= 600; ++second) {
    reporter_->Offer(SampledAt(second, second % 100 == 0 ? "ended-" + std::to_string(second) : ""));
  }
  EXPECT_EQ(reporter_->counts().sent, 0u);
  EXPECT_EQ(reporter_->counts().replaced, 600u);
  controller_.Start();
  int second = OfferUntilSent(*reporter_, 601);
  reporter_->Offer(SampledAt(second));
  const auto reports = AwaitReports(2);
  EXPECT_EQ(reports[0].sequence(), 1u);
  EXPECT_EQ(Pods(reports[0]),
            (std::vector<std::string>{"busy", "idle", "ended-100", "ended-200", "ended-300",
                                      "ended-400", "ended-500", "ended-600"}));
  EXPECT_EQ(Pods(reports[1]), std::vector<std::string>{"busy"}) << "a last record is sent once";
}

// A stream that died may have lost what was written into it last.
TEST_F(ReporterTest, LastRecordsComeAgainOnTheNextStreamIfThisOneMayHaveLostThem) {
  ASSERT_TRUE(reporter_->Start().has_value());
  int second = OfferUntilSent(*reporter_, 1);
  reporter_->Offer(SampledAt(second++, "old"));
  second += 20;  // it has arrived long since
  reporter_->Offer(SampledAt(second++, "recent"));
  AwaitReports(3);
  Lose(controller_, *reporter_);
  controller_.Start();
  OfferUntilSent(*reporter_, second);
  EXPECT_EQ(Pods(AwaitReports(4).back()), (std::vector<std::string>{"busy", "idle", "recent"}));
}

// Fault: thousands of pods ended while the controller was away, more than one message may hold.
TEST_F(ReporterTest, MoreLastRecordsThanAMessageHoldsComeInSeveral) {
  constexpr int kEnded = 800;
  controller_.Stop();
  ASSERT_TRUE(reporter_->Start().has_value());
  for (int i = 0; i < kEnded; ++i) {
    auto sample = std::make_shared<Sample>(*SampledAt(1, "e" + std::to_string(i)));
    for (PodSample& pod : sample->pods) {
      if (!pod.final) continue;
      for (int c = 0; c < 50; ++c) {
        ContainerSample container{.id = std::string(64, 'c')};
        container.usage.counters.run_queue_wait.buckets.fill(1u << 20);
        pod.containers.push_back(std::move(container));
      }
    }
    reporter_->Offer(std::move(sample));
  }
  controller_.Start();
  int second = OfferUntilSent(*reporter_, 2);
  size_t bytes = 0;
  std::map<std::string, int> times;
  for (int i = 0; i < 20; ++i) reporter_->Offer(SampledAt(second++));
  for (const messages::UsageReport& report : AwaitReports(21)) {
    EXPECT_LT(report.ByteSizeLong(), 2u << 20);
    bytes += report.ByteSizeLong();
    for (const auto& pod : report.pods()) {
      if (pod.final()) ++times[pod.pod_uid()];
    }
  }
  EXPECT_GT(bytes, 4u << 20) << "the test means to have more than one message holds";
  EXPECT_EQ(times.size(), size_t{kEnded});
  for (const auto& [uid, count] : times) EXPECT_EQ(count, 1) << uid;
}

TEST_F(ReporterTest, KeptLastRecordsAreBoundedAndDropsAreCounted) {
  controller_.Stop();
  ASSERT_TRUE(reporter_->Start().has_value());
  for (int i = 0; i < 5000; ++i) reporter_->Offer(SampledAt(1, "e" + std::to_string(i)));
  EXPECT_EQ(reporter_->counts().finals_dropped, 5000u - 4096u);
}

// The leader says whom to watch; what it says last counts, also "nobody".
TEST_F(ReporterTest, HandsTheLeadersInstructionsOn) {
  ASSERT_TRUE(reporter_->Start().has_value());
  OfferUntilSent(*reporter_, 1);
  AwaitReports(1);  // "sent" is said before the other end knows of the stream
  messages::AgentInstruction instruction;
  instruction.add_watched_pod_uids("db-1");
  instruction.add_watched_pod_uids("db-2");
  controller_.Send(instruction.SerializeAsString());
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(30), [&] {
    return watched_ == std::vector<std::string>{"db-1", "db-2"};
  }));
  lock.unlock();
  controller_.Send("");
  lock.lock();
  EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(30), [&] { return watched_.empty(); }));
}

TEST(PhaseOfTest, IsStableAndSpreadsNodesOverTheInterval) {
  using std::chrono::milliseconds;
  EXPECT_EQ(PhaseOf("node-1", milliseconds(1000)), PhaseOf("node-1", milliseconds(1000)));
  std::vector<int> tenths(10);
  for (int i = 0; i < 1000; ++i) {
    const auto phase = PhaseOf("node-" + std::to_string(i), milliseconds(1000));
    ASSERT_LT(phase, milliseconds(1000));
    ++tenths[static_cast<size_t>(phase / milliseconds(100))];
  }
  for (const int nodes : tenths) EXPECT_GT(nodes, 50);
}

}  // namespace
}  // namespace longshore::nodeagent
