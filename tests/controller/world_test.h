// SPDX-License-Identifier: Apache-2.0
//
// What the tests of the reconcilers have in common: a miniature cluster, in which what must always
// hold has held when the test ends.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/controller/world.h"

namespace longshore::controller {

class WorldTest : public testing::Test {
 protected:
  void TearDown() override { EXPECT_THAT(world.violations, testing::IsEmpty()); }

  // Runs until so many pods of the request can be assigned; false after `limit`.
  bool Available(const std::string& request, int count,
                 std::chrono::seconds limit = std::chrono::seconds(60)) {
    return world.RunUntil([&] { return world.InState(request, api::kAvailable) == count; }, limit);
  }
  bool Available(int count, std::chrono::seconds limit = std::chrono::seconds(60)) {
    return Available("r", count, limit);
  }
  std::string StateOf(const std::string& operation) const {
    const auto found = world.Operation(operation);
    return found ? found->status.state : "gone";
  }

  World world;
};

}  // namespace longshore::controller
