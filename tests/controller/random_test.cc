// SPDX-License-Identifier: Apache-2.0
//
// The miniature cluster under random faults (chaos.h), seeded: controllers that die at a write, or
// sleep while it is on its way and another leads; pods removed, evicted and deleted; nodes lost;
// workers that restart or are killed for memory, and streams that break, delay and repeat; agents
// that stop, restart or leave pods out; other writers; watches that lag, reorder, begin anew; an
// API server that refuses, loses its replies, cannot be read; clocks that are set. Whatever
// happens, what audit.h says holds after each step, and in the end every operation has ended and
// every pod is gone. LONGSHORE_SEEDS sets how many are tried; LONGSHORE_SEED replays one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>

#include "tests/controller/chaos.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int kSteps = 400;  // of 250 ms

bool Ended(const api::BackupPod& row) { return api::Ended(row.status.state); }

// The pods that are there, but for those of nodes that nobody has found again.
int PodsLeft(const World& world) {
  const auto pods = world.cluster.Objects(kube::kPods);
  return static_cast<int>(std::count_if(pods.begin(), pods.end(), [&](const auto& pod) {
    return !world.lost_nodes.contains(std::string(kube::StringAt(*pod, "/spec/nodeName")));
  }));
}

void Try(uint64_t seed) {
  SCOPED_TRACE("replay with LONGSHORE_SEED=" + std::to_string(seed));
  World world(static_cast<uint32_t>(seed));
  world.max_pods = 3;
  world.collects_garbage = true;
  world.AddBasics();
  world.cluster.Edit(kube::kPodPolicies, kNs, "standard", [](Json& object) {
    object["spec"]["resources"] = {{"limits", {{"memory", "64Mi"}}}};
    object["spec"]["maxMemory"] = "512Mi";
  });
  world.AddRequest("r", 2, 3, 8);
  // Every other seed: two requests of which each could use up what the namespace has for both.
  const bool shared = seed % 2 == 0;
  if (shared) {
    world.cluster.Edit(kube::kPodPolicies, kNs, "standard",
                       [](Json& object) { object["spec"]["maxPodsPerNamespace"] = 3; });
    world.AddRequest("s", 2, 3, 8);
  }
  Chaos chaos(world, seed);
  for (int step = 0; step < kSteps && world.violations.empty(); ++step) {
    chaos.Step();
    world.Run(milliseconds(250));
  }
  chaos.CalmDown();
  const auto state_of = [&](int i) {
    const auto operation = world.Operation("op" + std::to_string(i));
    return operation ? operation->status.state : api::kCancelled;  // deleted
  };
  const auto ended = [&] {
    for (int i = 0; i < kOperations; ++i) {
      if (!api::Terminal(state_of(i))) return false;
    }
    return PodsLeft(world) == 0 && std::ranges::all_of(world.Rows("r"), Ended) &&
           std::ranges::all_of(world.Rows("s"), Ended);
  };
  EXPECT_TRUE(world.RunUntil(ended, seconds(400)));
  for (int i = 0; i < kOperations; ++i) {
    EXPECT_TRUE(api::Terminal(state_of(i))) << "op" << i << " is " << state_of(i);
  }
  for (const char* request : {"r", "s"}) {
    for (const api::BackupPod& row : world.Rows(request)) {
      EXPECT_TRUE(Ended(row)) << row.metadata.name << " is " << row.status.state << " ("
                              << row.status.reason << ")";
    }
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
