// SPDX-License-Identifier: Apache-2.0
//
// Case 45: a cluster of 5000 nodes of which one in a hundred changes each second, all of them
// offered to each call. The real service and snapshots, which are made on a thread beside it as in
// the program; hack/bench extender does the same with a real API server.
#include <gtest/gtest.h>
#include <time.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/base/mutex.h"
#include "common/placement/snapshot.h"
#include "tests/extender/fakes.h"

namespace longshore::extender {
namespace {

using nlohmann::json;
using std::chrono::microseconds;

constexpr int kNodeCount = 5000;
constexpr int kImages = 50;  // of a node, which is what a kubelet reports
constexpr char kImage[] = "registry.test/longshore/postgresql@sha256:1";

// The budget is of what is released, which g++ optimises; other presets have sanitizers, or are not
// optimised, and there only the cost of churn can be held against that of a quiet cluster.
#if defined(__OPTIMIZE__) && !defined(__clang__)
constexpr bool kReleased = true;
#else
constexpr bool kReleased = false;
#endif

std::string NodeName(int i) { return "node-" + std::to_string(10'000 + i); }

// As informers keep them. Two of three nodes have the one that the pods run; with each incarnation
// another one is pulled.
api::Json ImagesJson(int i, int incarnation) {
  api::Json images = api::Json::array();
  const auto add = [&](const std::string& name) { images.push_back({{"names", {name}}}); };
  if ((i + incarnation) % 3 != 0) add(kImage);
  add("registry.test/pulled:" + std::to_string(incarnation));
  while (images.size() < kImages) {
    add("registry.test/app-" + std::to_string((i * 31 + images.size()) % 400) + ":1");
  }
  return placement::CompactImages(images);
}

// A node as it was made for the given time; another incarnation is in another rack.
api::Json NodeJson(int i, int incarnation) {
  return {
      {"metadata",
       {{"name", NodeName(i)},
        {"labels",
         {{"topology.kubernetes.io/region", "region-" + std::to_string(i / 2500)},
          {"topology.kubernetes.io/zone", "zone-" + std::to_string(i / 250)},
          {"topology.longshore.dev/rack", "rack-" + std::to_string(i / 20 + incarnation % 2)}}}}},
      {"status",
       {{"allocatable", {{"cpu", "16"}, {"memory", "64Gi"}, {"pods", "110"}}},
        {"images", ImagesJson(i, incarnation)},
        {"conditions", api::Json::array({{{"type", "Ready"}, {"status", "True"}}})}}}};
}

class ChurningCluster final : public Cluster {
 public:
  ChurningCluster() {
    for (int i = 0; i < kNodeCount; ++i) {
      nodes_.push_back(NodeJson(i, 0));
      builder_.Node(nullptr, &nodes_.back());
    }
    Publish();
  }

  // What 50 ms bring: one node is labelled anew and has pulled an image, one is deleted, the last
  // deleted one comes back, and pods are bound and gone. That is one in a hundred each second.
  void Churn() {
    const int one = ++step_ * 7 % kNodeCount, other = step_ * 11 % kNodeCount;
    if (deleted_ >= 0) builder_.Node(nullptr, &nodes_[static_cast<size_t>(deleted_)]);
    Replace(one);
    deleted_ = other == 2510 ? -1 : other;
    if (deleted_ >= 0) builder_.Node(&nodes_[static_cast<size_t>(deleted_)], nullptr);
    for (int pod = 0; pod < 20; ++pod) MovePod(pod);
    Publish();
  }

  bool synced() const override { return true; }
  std::shared_ptr<const placement::View> Snapshot() const override { return published_.Get(); }
  std::chrono::milliseconds age() const override { return std::chrono::milliseconds(40); }
  std::shared_ptr<const api::BackupSource> Source(const std::string&,
                                                  const std::string& name) const override {
    return name == "required" ? required_ : preferred_;
  }

 private:
  void Publish() { published_.Set(builder_.Build(placement::Listed::Everything())); }
  void Replace(int i) {
    nodes_[static_cast<size_t>(i)] = NodeJson(i, step_);
    builder_.Node(nullptr, &nodes_[static_cast<size_t>(i)]);
  }
  void MovePod(int pod) {
    const std::string name = "p" + std::to_string(step_ % 50 * 20 + pod);
    const api::Json object = {
        {"metadata", {{"namespace", "app"}, {"name", name}, {"uid", name}}},
        {"spec",
         {{"nodeName", NodeName((step_ * 13 + pod * 17) % kNodeCount)},
          {"containers", api::Json::array({{{"resources", {{"requests", {{"cpu", "1"}}}}}}})}}},
        {"status", {{"phase", "Running"}}}};
    builder_.Pod(nullptr, &object);
  }

  int step_ = 0, deleted_ = -1;
  std::deque<api::Json> nodes_;
  placement::SnapshotBuilder builder_;
  Published<placement::ClusterSnapshot> published_{builder_.Build({})};
  const std::shared_ptr<const api::BackupSource> required_ =
      std::make_shared<const api::BackupSource>(
          placement::MakeSource({.node_name = NodeName(2510)}, "Require", "Zone"));
  const std::shared_ptr<const api::BackupSource> preferred_ =
      std::make_shared<const api::BackupSource>(
          placement::MakeSource({.node_name = NodeName(2510)}));
};

// Verdicts are written down on another thread.
class ForgetfulSink final : public VerdictSink {
 public:
  void Record(Write /*write*/) override {}
};

microseconds ThreadTime() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return std::chrono::duration_cast<microseconds>(std::chrono::seconds(now.tv_sec) +
                                                  std::chrono::nanoseconds(now.tv_nsec));
}

class ChurnTest : public testing::Test {
 protected:
  ChurnTest() {
    std::vector<std::string> names;
    for (int i = 0; i < kNodeCount; ++i) names.push_back(NodeName(i % 20 * 250 + i / 20));
    required_ = WithImage(RequestBody(names, "u1", "required"), kImage);
    preferred_ = WithImage(RequestBody(names, "u2", "preferred"), kImage);
    placement::PressureMap pressure;
    for (const std::string& name : names) {
      pressure[name] = {.cpu_used_milli = 4000, .cpu_capacity_milli = 16'000, .age_ms = 10};
    }
    pressure_.Set(pressure, clock_.Monotonic());
  }

  struct Took {
    microseconds filter, prioritize;
  };
  Took Call() {
    const microseconds start = ThreadTime();
    const std::string filtered = service_.Filter(required_);
    const microseconds between = ThreadTime();
    const std::string scored = service_.Prioritize(preferred_);
    const Took took{between - start, ThreadTime() - between};
    EXPECT_NE(filtered.find("FailedAndUnresolvableNodes\":{\""), std::string::npos);
    EXPECT_NE(scored.find(NodeName(2510)), std::string::npos);
    return took;
  }
  static microseconds Quantile(std::vector<microseconds> times, double q) {
    std::sort(times.begin(), times.end());
    return times[static_cast<size_t>(q * static_cast<double>(times.size() - 1))];
  }

  ChurningCluster cluster_;
  FakePressure pressure_;
  ForgetfulSink sink_;
  metrics::Registry registry_;
  FakeClock clock_;  // which stands still: no call is so late that it has no opinion
  Service service_{cluster_, pressure_, sink_, clock_, registry_};
  std::string required_, preferred_;
};

// Each call on a snapshot that nobody asked before, which is worse than in life: 50 ms bring one,
// and many calls. By the thread's own time, which others on the machine lengthen only by what they
// take of its caches: one of three rounds is enough.
TEST_F(ChurnTest, Case45_SlowestOfAHundredCallsStaysInItsBudget) {
  bool held = false;
  for (int round = 0; round < 3 && !held; ++round) {
    std::vector<microseconds> quiet, filter, prioritize;
    for (int i = 0; i < 30; ++i) {
      const Took took = Call();
      quiet.push_back(std::max(took.filter, took.prioritize));
    }
    for (int i = 0; i < 300; ++i) {
      cluster_.Churn();
      const Took took = Call();
      filter.push_back(took.filter);
      prioritize.push_back(took.prioritize);
    }
    // The budget of 2 ms is measured by the bench, on a machine that does nothing else; here is
    // caught what became more than twice as slow. Where others take the caches, quiet calls are
    // slower too.
    const microseconds slowed = 10 * Quantile(quiet, 0.5);
    const microseconds budget = kReleased ? std::max(microseconds(5000), slowed) : slowed;
    held = std::max(Quantile(filter, 0.99), Quantile(prioritize, 0.99)) <= budget;
    std::printf("filter p50 %ld us p99 %ld us, prioritize p50 %ld us p99 %ld us, quiet %ld us\n",
                Quantile(filter, 0.5).count(), Quantile(filter, 0.99).count(),
                Quantile(prioritize, 0.5).count(), Quantile(prioritize, 0.99).count(),
                Quantile(quiet, 0.5).count());
  }
  EXPECT_TRUE(held);
}

// While snapshots come and go beside them, calls answer from one each: of a filter's answer every
// node is in one list, once.
TEST_F(ChurnTest, Case45_EachAnswerIsWhole) {
  std::jthread churn([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) cluster_.Churn();
  });
  for (int i = 0; i < 20; ++i) {
    const json reply = json::parse(service_.Filter(required_));
    EXPECT_EQ(reply["NodeNames"].size() + reply["FailedNodes"].size() +
                  reply["FailedAndUnresolvableNodes"].size(),
              static_cast<size_t>(kNodeCount));
    EXPECT_EQ(reply["FailedNodes"].size(), 0u);
  }
}

}  // namespace
}  // namespace longshore::extender
