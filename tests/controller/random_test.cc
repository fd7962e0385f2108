// SPDX-License-Identifier: Apache-2.0
//
// The miniature cluster under random faults, seeded: controllers that die at a write, pods removed,
// evicted and deleted, workers that restart or fall silent, agents that stop, other writers, caches
// that lag, an API server that refuses.
// Whatever happens, nothing is offered twice, no busy pod is deleted, no operation runs on two
// pods, the pods of one request, or of two that share a cap, never exceed it, and in the end every
// operation has ended and every pod is gone. LONGSHORE_SEEDS sets how many are tried;
// LONGSHORE_SEED replays one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>

#include "tests/controller/world.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kSteps = 400;  // of 250 ms
constexpr int kOperations = 6;

class Chaos {
 public:
  Chaos(World& world, uint64_t seed) : world_(world), random_(seed) {}

  // Perhaps one fault. The weights are per mille of the steps.
  void Step() {
    if (world_.cluster.crashed()) return world_.Restart();
    const int dice = Pick(1000);
    int at = 0;
    const auto hit = [&](int weight) {
      return dice >= std::exchange(at, at + weight) && dice < at;
    };
    if (hit(15)) return world_.Restart();
    if (hit(30)) return world_.cluster.CrashAtWrite(1 + Pick(4), Pick(2) == 0);
    if (hit(25)) world_.agents_report = !world_.agents_report;
    if (hit(15)) world_.kubelets_work = !world_.kubelets_work;
    if (hit(30)) world_.cluster.Lag(!world_.cluster.lagging());
    if (hit(10)) RefuseSome();
    if (hit(20)) return AddOperation();
    if (hit(8)) return CancelOperation();
    const auto pods = world_.PodNames();
    if (pods.empty()) return;
    const std::string pod = pods[Pick(static_cast<int>(pods.size()))];
    if (hit(60)) world_.cpu[pod] = Pick(2) == 0 ? 180 : 5;
    if (hit(8)) return world_.cluster.Remove(kube::kPods, kNs, pod);
    if (hit(8)) return world_.cluster.UserDelete(kube::kPods, kNs, pod);
    if (hit(8)) return Evict(pod);
    if (hit(40)) return TouchRow(pod);
    FakeWorker* worker = world_.WorkerOf(pod);
    if (worker == nullptr) return;
    if (hit(40)) worker->connection = 0;     // reconnects at once
    if (hit(15)) worker->connection = 9999;  // speaks into the void
    if (hit(60) && worker->connection == 9999) worker->connection = 0;
    if (hit(10)) RestartContainer(*worker);
  }

  void AddOperation() {
    if (operations_ >= kOperations) return;
    const std::string request = world_.Request("s") && operations_ % 2 == 1 ? "s" : "r";
    world_.AddOperation("op" + std::to_string(operations_++), request);
  }

  void CalmDown() {
    if (world_.cluster.crashed()) world_.Restart();
    world_.cluster.Recover();
    while (operations_ < kOperations) AddOperation();
    world_.cluster.Lag(false);
    world_.cluster.RefuseWrites({});
    world_.agents_report = world_.kubelets_work = true;
    world_.cpu.clear();
    for (const std::string& pod : world_.PodNames()) {
      FakeWorker* worker = world_.WorkerOf(pod);
      if (worker != nullptr && worker->connection == 9999) worker->connection = 0;
    }
  }

 private:
  int Pick(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }

  // Until it is called again: each write may be refused, as by a server that is overloaded or
  // restarting, or by a quota.
  void RefuseSome() {
    if (refuses_ = !refuses_; !refuses_) return world_.cluster.RefuseWrites({});
    world_.cluster.RefuseWrites(
        [this](const kube::Resource&, const std::string& verb) -> std::optional<Error> {
          if (Pick(4) != 0) return std::nullopt;
          if (verb == "create" && Pick(2) == 0) return Error{Code::kResourceExhausted, "quota"};
          return Unavailable("the server is restarting");
        });
  }

  void CancelOperation() {
    if (operations_ == 0) return;
    const std::string name = "op" + std::to_string(Pick(operations_));
    world_.cluster.Edit(kube::kOperations, kNs, name,
                        [](Json& object) { object["spec"]["cancel"] = true; });
  }

  void Evict(const std::string& pod) {
    world_.cluster.Edit(kube::kPods, kNs, pod, [](Json& object) {
      object["status"]["phase"] = "Failed";
      object["status"]["reason"] = "Evicted";
    });
  }

  // Another writer: what the controller has read is stale now.
  void TouchRow(const std::string& name) {
    if (!world_.cluster.Object(kube::kBackupPods, kNs, name)) return;
    world_.cluster.Edit(kube::kBackupPods, kNs, name,
                        [](Json& object) { object["metadata"]["annotations"]["touched"] = "yes"; });
  }

  void RestartContainer(FakeWorker& worker) {
    worker.last_epoch = worker.running_epoch = 0;
    worker.result.reset();
    worker.gate_closed = false;
    worker.connection = 0;
  }

  World& world_;
  std::mt19937_64 random_;
  int operations_ = 0;
  bool refuses_ = false;
};

bool Ended(const api::BackupPod& row) {
  return row.status.state == api::kDeconstructed || row.status.state == api::kFailed ||
         row.status.state == api::kLost;
}

void Try(uint64_t seed) {
  SCOPED_TRACE("replay with LONGSHORE_SEED=" + std::to_string(seed));
  World world(static_cast<uint32_t>(seed));
  world.max_pods = 3;
  world.AddBasics();
  world.AddRequest("r", 2, 3, 8);
  // Every other seed: two requests of which each could use up what the namespace has for both.
  const bool shared = seed % 2 == 0;
  if (shared) {
    world.cluster.Edit(kube::kPodPolicies, kNs, "standard",
                       [](Json& object) { object["spec"]["maxPodsPerNamespace"] = 3; });
    world.AddRequest("s", 2, 3, 8);
  }
  Chaos chaos(world, seed);
  for (int step = 0; step < kSteps; ++step) {
    chaos.Step();
    world.Run(milliseconds(250));
  }
  chaos.CalmDown();
  const auto ended = [&] {
    for (int i = 0; i < kOperations; ++i) {
      if (!api::Terminal(world.Operation("op" + std::to_string(i))->status.state)) return false;
    }
    return world.LivePods() == 0 && std::ranges::all_of(world.Rows("r"), Ended) &&
           std::ranges::all_of(world.Rows("s"), Ended);
  };
  EXPECT_TRUE(world.RunUntil(ended, seconds(400)));
  for (int i = 0; i < kOperations; ++i) {
    const auto operation = world.Operation("op" + std::to_string(i));
    EXPECT_TRUE(api::Terminal(operation->status.state))
        << operation->metadata.name << " is " << operation->status.state << " on "
        << operation->status.pod;
  }
  for (const api::BackupPod& row : world.Rows("r")) {
    EXPECT_TRUE(Ended(row)) << row.metadata.name << " is " << row.status.state << " ("
                            << row.status.reason << ")";
  }
  EXPECT_THAT(world.violations, testing::IsEmpty());
  world.cluster.UserDelete(kube::kComputeRequests, kNs, "r");
  if (shared) world.cluster.UserDelete(kube::kComputeRequests, kNs, "s");
  EXPECT_TRUE(world.RunUntil([&] { return !world.Request("r") && !world.Request("s"); }));
}

TEST(RandomTest, WhateverHappensNothingIsLostDoubledOrCut) {
  if (const char* one = std::getenv("LONGSHORE_SEED")) {
    Try(std::strtoull(one, nullptr, 10));
    return;
  }
  const char* given = std::getenv("LONGSHORE_SEEDS");
  const int seeds = given == nullptr ? LONGSHORE_DEFAULT_SEEDS : std::atoi(given);
  for (int seed = 1; seed <= seeds && !testing::Test::HasFailure(); ++seed) Try(seed);
}

}  // namespace
}  // namespace longshore::controller
