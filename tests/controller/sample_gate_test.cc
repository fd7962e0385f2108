// SPDX-License-Identifier: Apache-2.0
//
// Of many samples, few lead to a visit of their request; of those that cross a threshold, the first
// at once.
#include "controller/sample_gate.h"

#include <gtest/gtest.h>

#include "tests/controller/fake_cluster.h"

namespace longshore::controller {
namespace {

using scaling::Sample;
using scaling::Signal;
using std::chrono::milliseconds;
using std::chrono::seconds;

class SampleGateTest : public testing::Test {
 protected:
  SampleGateTest() { gate.SetRules("r", {{.signal = Signal::kCpu, .up = 300, .down = 50}}); }
  static Sample Cpu(double milli) {
    Sample sample;
    sample.set(Signal::kCpu, milli);
    sample.set(Signal::kWriteBytes, 1e9);
    return sample;
  }
  // In ms; −1: no visit.
  int64_t Admit(const Sample& sample, const char* request = "r") {
    const auto due = gate.Admit(request, sample);
    return due ? due->count() : -1;
  }

  FakeClock clock;
  SampleGate gate{clock};
};

TEST_F(SampleGateTest, WhatIsUnderEachThresholdIsLetBe) {
  EXPECT_EQ(Admit(Cpu(0)), -1);
  EXPECT_EQ(Admit(Cpu(300)), -1) << "up itself is not over it";
  EXPECT_EQ(Admit(Sample()), -1) << "unknown is not over";
  EXPECT_EQ(Admit(Cpu(301)), 0);
}

// A crew of a hundred on as many nodes is visited five times a second at most, and none of its
// samples is left unseen.
TEST_F(SampleGateTest, VisitsKeepTheirDistanceAndTheLastSampleIsSeen) {
  EXPECT_EQ(Admit(Cpu(400)), 0);
  clock.Advance(milliseconds(50));
  EXPECT_EQ(Admit(Cpu(400)), 150);
  clock.Advance(milliseconds(50));
  EXPECT_EQ(Admit(Cpu(400)), -1) << "the visit that is due will see it";
  clock.Advance(milliseconds(101));
  EXPECT_EQ(Admit(Cpu(400)), 199) << "that visit may have been; this needs another";
  clock.Advance(seconds(2));
  EXPECT_EQ(Admit(Cpu(400)), 0);
}

TEST_F(SampleGateTest, OfARequestThatNobodyHasLookedAtYetEachSampleCounts) {
  EXPECT_EQ(Admit(Cpu(0), "new"), 0);
  gate.SetRules("new", {});
  clock.Advance(seconds(1));
  EXPECT_EQ(Admit(Cpu(1e6), "new"), -1) << "it has no rules";
}

TEST_F(SampleGateTest, WhatSomebodyLooksAtIsKeptFreshForAWhile) {
  gate.Watch("r");
  EXPECT_EQ(Admit(Cpu(0)), 0);
  clock.Advance(seconds(9));
  EXPECT_EQ(Admit(Cpu(0)), 0);
  clock.Advance(seconds(1));
  EXPECT_EQ(Admit(Cpu(0)), -1);
  gate.Watch("unheard of");  // makes nothing
  clock.Advance(seconds(1));
  EXPECT_EQ(Admit(Cpu(0), "unheard of"), 0);
}

TEST_F(SampleGateTest, AForgottenRequestBeginsAnew) {
  gate.Forget("r");
  EXPECT_EQ(Admit(Cpu(0)), 0);
}

}  // namespace
}  // namespace longshore::controller
