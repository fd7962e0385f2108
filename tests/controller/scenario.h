// SPDX-License-Identifier: Apache-2.0
//
// What the scenarios of docs/failure-scenarios.md have in common.
#pragma once

#include <algorithm>
#include <initializer_list>
#include <set>

#include "tests/controller/world_test.h"

namespace longshore::controller {

class Scenario : public WorldTest {
 protected:
  void TearDown() override { ExpectSound(world); }

  // What holds when a story is over. Of a world of its own the test asks it itself.
  static void ExpectSound(World& one) {
    EXPECT_THAT(one.violations, ::testing::IsEmpty());
    const auto& created = one.cluster.created_pods();
    EXPECT_EQ(std::set<std::string>(created.begin(), created.end()).size(), created.size())
        << "a Pod was created twice";
  }
  // A user, or the garbage collector, deletes all objects of these kinds.
  static void DeleteAll(World& one, std::initializer_list<const kube::Resource*> kinds) {
    for (const kube::Resource* kind : kinds) {
      for (const kube::ObjectPtr& object : one.cluster.Objects(*kind)) {
        one.cluster.UserDelete(*kind, kNs, std::string(kube::NameOf(*object)));
      }
    }
  }

  // Request "r" with so many Available pods that stay, of at most `max`.
  void Begin(int pods, int max) {
    world.AddBasics();
    world.AddRequest("r", pods, max, 100'000);
    ASSERT_TRUE(Available(pods));
  }
  bool Available(int count) { return WorldTest::Available(count, std::chrono::seconds(120)); }
  std::string State(const std::string& operation) const {
    const auto found = world.Operation(operation);
    return found ? found->status.state : "";
  }
  bool Reaches(const std::string& operation, const std::string& state,
               std::chrono::seconds limit = std::chrono::seconds(120)) {
    return world.RunUntil([&] { return State(operation) == state; }, limit);
  }
  // Operation "op" running, for so long.
  void Start(int seconds_of_work) {
    world.seconds_of_work = seconds_of_work;
    world.AddOperation("op", "r");
    ASSERT_TRUE(Reaches("op", api::kRunning));
  }
  std::string PodOf(const std::string& operation) const {
    return world.Operation(operation)->status.pod;
  }
  int AttemptOf(const std::string& operation) const {
    return world.Operation(operation)->status.attempt;
  }
};

}  // namespace longshore::controller
