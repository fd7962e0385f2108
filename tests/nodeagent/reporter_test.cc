// SPDX-License-Identifier: Apache-2.0
//
// The reporter against the real stream server, over TLS.
#include "nodeagent/reporter.h"

#include <gtest/gtest.h>

#include <algorithm>
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

messages::UsageReport Report(uint64_t sequence, const std::string& ended_pod = "") {
  messages::UsageReport report;
  report.set_sequence(sequence);
  report.add_pods()->set_pod_uid("alive");
  if (!ended_pod.empty()) {
    messages::PodCounters& pod = *report.add_pods();
    pod.set_pod_uid(ended_pod);
    pod.set_final(true);
  }
  return report;
}

size_t Usages(const AgentStream::Messages& all) {
  return static_cast<size_t>(
      std::count_if(all.begin(), all.end(), [](const auto& m) { return m.has_usage(); }));
}

// Offers new reports until one was sent.
uint64_t OfferUntilSent(Reporter& reporter, uint64_t sequence, const std::string& ended_pod = "") {
  const uint64_t sent = reporter.counts().sent;
  reporter.Offer(Report(sequence, ended_pod));
  for (int i = 0; i < 1000 && reporter.counts().sent == sent; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));  // a stream is being opened
    reporter.Offer(Report(++sequence));
  }
  EXPECT_GT(reporter.counts().sent, sent);
  return sequence;
}

TEST(ReporterTest, SaysHelloFirstOnEachStream) {
  AgentStream controller;
  controller.Start();
  Reporter reporter(controller.Client(), Hello());
  ASSERT_TRUE(reporter.Start().has_value());
  const uint64_t sequence = OfferUntilSent(reporter, 1);
  ASSERT_TRUE(controller.Await([](const auto& all) { return Usages(all) == 1; }));
  controller.Stop();
  controller.Start();
  // Until its end is noticed, reports still go into the closed stream.
  const auto hellos = [](const AgentStream::Messages& all) {
    return std::count_if(all.begin(), all.end(), [](const auto& m) { return m.has_hello(); });
  };
  for (uint64_t next = sequence + 1; next < sequence + 1000; ++next) {
    reporter.Offer(Report(next));
    const auto all = controller.All();
    if (hellos(all) == 2 && all.back().has_usage()) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const auto all = controller.All();
  ASSERT_EQ(hellos(all), 2);
  EXPECT_TRUE(all[0].has_hello());
  EXPECT_EQ(all[0].hello().node(), "node-1");
  EXPECT_EQ(all[0].hello().epoch(), "boot/1");
  EXPECT_TRUE(all[1].has_usage());
  EXPECT_TRUE(all.back().has_usage());
}

// Counters are cumulative, so only the newest report matters; but a pod's last record comes once.
TEST(ReporterTest, WhileTheControllerIsAwayOnlyLastRecordsAreKept) {
  AgentStream controller;
  controller.Start();
  const streams::ClientOptions where = controller.Client();
  controller.Stop();
  Reporter reporter(where, Hello());
  ASSERT_TRUE(reporter.Start().has_value());
  reporter.Offer(Report(1, "ended-1"));
  reporter.Offer(Report(2));
  reporter.Offer(Report(3, "ended-3"));
  EXPECT_EQ(reporter.counts().sent, 0u);
  EXPECT_EQ(reporter.counts().replaced, 3u);
  controller.Start();
  const uint64_t sequence = OfferUntilSent(reporter, 4, "ended-4");
  OfferUntilSent(reporter, sequence + 1);
  ASSERT_TRUE(controller.Await([](const auto& all) { return Usages(all) == 2; }));
  const auto all = controller.All();
  const messages::UsageReport& first = all[1].usage();
  EXPECT_EQ(first.sequence(), sequence);
  ASSERT_EQ(first.pods_size(), 4);
  EXPECT_EQ(first.pods(0).pod_uid(), "alive");
  EXPECT_EQ(first.pods(1).pod_uid(), "ended-1");
  EXPECT_EQ(first.pods(2).pod_uid(), "ended-3");
  EXPECT_EQ(first.pods(3).pod_uid(), "ended-4");
  EXPECT_EQ(all[2].usage().pods_size(), 1) << "a last record is sent once";
}

TEST(ReporterTest, KeptLastRecordsAreBoundedAndDropsAreCounted) {
  AgentStream controller;
  controller.Start();
  const streams::ClientOptions where = controller.Client();
  controller.Stop();
  Reporter reporter(where, Hello());
  ASSERT_TRUE(reporter.Start().has_value());
  for (int i = 0; i < 5000; ++i) reporter.Offer(Report(1, "e" + std::to_string(i)));
  EXPECT_EQ(reporter.counts().finals_dropped, 5000u - 4096u);
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
