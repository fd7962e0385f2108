// SPDX-License-Identifier: Apache-2.0
#include "controller/pressure_store.h"

#include <gtest/gtest.h>

#include "tests/controller/agent_reports.h"
#include "tests/controller/fake_cluster.h"

namespace longshore::controller {
namespace {

using std::chrono::seconds;

class PressureStoreTest : public testing::Test {
 protected:
  void Add(double second, uint64_t cpu_ns, std::optional<uint64_t> io_us,
           const std::string& epoch = "e", uint64_t stream = 1) {
    auto report = ReportAt(++sequence, second, false);
    report.mutable_node()->set_cpu_ns(cpu_ns);
    report.mutable_node()->set_cpu_capacity_milli(2000);
    if (io_us) report.mutable_node()->mutable_pressure()->set_io_some_us(*io_us);
    clock.Advance(seconds(1));
    store.Add({"n", epoch, stream}, report);
  }
  FakeClock clock;
  PressureStore store{clock};
  uint64_t sequence = 0;
};

TEST_F(PressureStoreTest, RatesNeedTwoReportsThatFollowEachOther) {
  Add(1, 0, 0);
  EXPECT_TRUE(store.Get().empty());
  Add(2, 1'500'000'000, 250'000);
  EXPECT_EQ(store.Get()["n"].cpu_used_milli, 1500);
  EXPECT_EQ(store.Get()["n"].psi_io_permille, 250);
  EXPECT_TRUE(store.Get()["n"].known());
  Add(1, 0, 0, "other");
  EXPECT_TRUE(store.Get().empty());
}

// Older than 5 s is unknown, for the extenders as well.
TEST_F(PressureStoreTest, WhatIsOldIsUnknown) {
  Add(1, 0, 0);
  Add(2, 1000, 0);
  clock.Advance(seconds(6));
  EXPECT_FALSE(store.Get()["n"].known());
  EXPECT_EQ(store.Snapshot().nodes(0).sample_age_ms(), 6000);
}

// An agent that goes on reporting over intervals that make no rate must not keep the old one fresh.
TEST_F(PressureStoreTest, AReportThatMakesNoRateDoesNotFreshenTheLast) {
  Add(1, 0, 0);
  Add(2, 1000, 0);
  clock.Advance(seconds(29));
  Add(32, 2000, 0);
  EXPECT_FALSE(store.Get()["n"].known());
}

TEST_F(PressureStoreTest, AnEarlierStreamOfTheNodeIsIgnored) {
  Add(1, 0, 0, "second", 2);
  Add(2, 100'000'000, 0, "second", 2);
  Add(1, 0, 0, "first", 1);
  Add(2, 1'900'000'000, 0, "first", 1);
  EXPECT_EQ(store.Get()["n"].cpu_used_milli, 100);
}

// Pressure that isn't counted, or began anew, is unknown and not 0.
TEST_F(PressureStoreTest, UnknownPressureIsNotNone) {
  Add(1, 0, std::nullopt);
  Add(2, 1000, std::nullopt);
  EXPECT_FALSE(store.Get()["n"].psi_valid);
  Add(3, 2000, 500);
  EXPECT_FALSE(store.Get()["n"].psi_valid) << "nothing to compare with";
  Add(4, 3000, 600);
  EXPECT_TRUE(store.Get()["n"].psi_valid);
  Add(5, 4000, 10);
  EXPECT_FALSE(store.Get()["n"].psi_valid);
}

}  // namespace
}  // namespace longshore::controller
