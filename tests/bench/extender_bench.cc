// SPDX-License-Identifier: Apache-2.0
//
// Where the time of a scheduler's call goes, without network and TLS: real service and real
// snapshot of 5000 nodes in racks of 20, whose pressure is known. hack/bench extender measures the
// same from outside, beside another extender.
#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "common/placement/snapshot.h"
#include "extender/protocol.h"
#include "tests/extender/fakes.h"

namespace longshore::extender {
namespace {

constexpr int kNodes = 5000;
constexpr const char* kDataNode = "node-02510";

std::string NodeName(int i) {
  std::string number = std::to_string(i);
  return "node-" + std::string(5 - number.size(), '0') + number;
}

// Zone by zone in turns, as the scheduler offers them.
std::vector<std::string> Offered(int count) {
  std::vector<std::string> names;
  for (int i = 0; i < count; ++i) names.push_back(NodeName(i % 20 * (kNodes / 20) + i / 20));
  return names;
}

std::shared_ptr<const placement::ClusterSnapshot> MakeSnapshot() {
  placement::SnapshotBuilder builder;
  for (int i = 0; i < kNodes; ++i) {
    const api::Json node = {
        {"metadata",
         {{"name", NodeName(i)},
          {"labels",
           {{"topology.kubernetes.io/region", "region-" + std::to_string(i / 2500)},
            {"topology.kubernetes.io/zone", "zone-" + std::to_string(i / 250)},
            {"topology.longshore.dev/rack", "rack-" + std::to_string(i / 20)}}}}},
        {"status",
         {{"allocatable",
           {{"cpu", std::to_string(2 << (i % 4))}, {"memory", "64Gi"}, {"pods", "110"}}},
          {"conditions", api::Json::array({{{"type", "Ready"}, {"status", "True"}}})}}}};
    builder.Node(nullptr, &node);
  }
  return builder.Build(placement::Listed::Everything());
}

class SnapshotCluster final : public Cluster {
 public:
  bool synced() const override { return true; }
  std::shared_ptr<const placement::View> Snapshot() const override { return snapshot_; }
  std::chrono::milliseconds age() const override { return std::chrono::milliseconds(40); }
  std::shared_ptr<const api::BackupSource> Source(const std::string&,
                                                  const std::string&) const override {
    return source_;
  }
  void Place(const std::string& mode, const std::string& tier) {
    source_ = std::make_shared<const api::BackupSource>(
        placement::MakeSource({.node_name = kDataNode}, mode, tier));
  }

 private:
  std::shared_ptr<const placement::ClusterSnapshot> snapshot_ = MakeSnapshot();
  std::shared_ptr<const api::BackupSource> source_;
};

class ForgetfulSink final : public VerdictSink {
 public:
  void Record(Write write) override { benchmark::DoNotOptimize(write); }
};

struct Bench {
  Bench() {
    cluster.Place("Prefer", "Node");
    placement::PressureMap nodes;
    for (int i = 0; i < kNodes; ++i) {
      nodes[NodeName(i)] = {.cpu_used_milli = i % 2000, .cpu_capacity_milli = 4000, .age_ms = 10};
    }
    pressure.Set(nodes, Clock::Real().Monotonic());
  }
  SnapshotCluster cluster;
  FakePressure pressure;
  ForgetfulSink sink;
  metrics::Registry registry;
  Service service{cluster, pressure, sink, Clock::Real(), registry};
};

void Read(benchmark::State& state) {
  const std::string body = RequestBody(Offered(static_cast<int>(state.range(0))));
  for (auto _ : state) benchmark::DoNotOptimize(ReadArguments(body));
}
BENCHMARK(Read)->Name("read")->Arg(500)->Arg(5000)->Unit(benchmark::kMicrosecond);

// A source that only prefers: none is refused, and the list comes back as it was.
void Filter(benchmark::State& state) {
  Bench bench;
  const std::string body = RequestBody(Offered(static_cast<int>(state.range(0))));
  for (auto _ : state) benchmark::DoNotOptimize(bench.service.Filter(body));
}
BENCHMARK(Filter)->Name("filter")->Arg(500)->Arg(5000)->Unit(benchmark::kMicrosecond);

// A source that requires its data's node: all but one are refused, each with its reason.
void FilterRequired(benchmark::State& state) {
  Bench bench;
  bench.cluster.Place("Require", "Node");
  const std::string body = RequestBody(Offered(static_cast<int>(state.range(0))));
  for (auto _ : state) benchmark::DoNotOptimize(bench.service.Filter(body));
}
BENCHMARK(FilterRequired)
    ->Name("filter_required")
    ->Arg(500)
    ->Arg(5000)
    ->Unit(benchmark::kMicrosecond);

void Prioritize(benchmark::State& state) {
  Bench bench;
  const std::string body = RequestBody(Offered(static_cast<int>(state.range(0))));
  for (auto _ : state) benchmark::DoNotOptimize(bench.service.Prioritize(body));
}
BENCHMARK(Prioritize)->Name("prioritize")->Arg(500)->Arg(5000)->Unit(benchmark::kMicrosecond);

// In a burst: 100 pods were just placed and none is seen bound yet.
void PrioritizeInBurst(benchmark::State& state) {
  Bench bench;
  const std::vector<std::string> names = Offered(static_cast<int>(state.range(0)));
  int pod = 0;
  std::vector<std::string> bodies;
  for (int i = 0; i < 100; ++i) bodies.push_back(RequestBody(names, "u" + std::to_string(i)));
  for (auto _ : state) {
    benchmark::DoNotOptimize(bench.service.Prioritize(bodies[static_cast<size_t>(pod++ % 100)]));
  }
}
BENCHMARK(PrioritizeInBurst)
    ->Name("prioritize_in_burst")
    ->Arg(500)
    ->Arg(5000)
    ->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace longshore::extender

BENCHMARK_MAIN();
