// SPDX-License-Identifier: Apache-2.0
//
// Signals by name, and what counts as known.
#include "common/scaling/samples.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace longshore::scaling {
namespace {

TEST(SampleTest, OnlyWhatCanBeMeasuredIsKnown) {
  Sample sample;
  EXPECT_FALSE(sample.value(Signal::kCpu)) << "nothing was measured yet";
  for (const double impossible : {std::numeric_limits<double>::quiet_NaN(), -1.0,
                                  std::numeric_limits<double>::infinity(), 1e300}) {
    sample.set(Signal::kCpu, impossible);
    EXPECT_FALSE(sample.value(Signal::kCpu)) << impossible;
  }
  sample.set(Signal::kCpu, 0);
  EXPECT_EQ(sample.value(Signal::kCpu), 0);
}

TEST(SignalTest, NamesLeadBackToTheirSignal) {
  for (size_t i = 0; i < kSignals; ++i) {
    const auto signal = static_cast<Signal>(i);
    EXPECT_EQ(SignalByName(SignalName(signal)), signal);
  }
  EXPECT_FALSE(SignalByName("heat"));
}

TEST(SignalTest, OnlyLoadIsDividedByPods) {
  std::vector<std::string> divided;
  for (size_t i = 0; i < kSignals; ++i) {
    const auto signal = static_cast<Signal>(i);
    if (IsDivided(signal)) divided.emplace_back(SignalName(signal));
  }
  EXPECT_EQ(divided, (std::vector<std::string>{"cpu", "readBytes", "writeBytes", "ioOperations",
                                               "networkBytes"}));
}

TEST(SignalTest, AreShownWithTheirUnit) {
  EXPECT_EQ(FormatSignal(Signal::kCpu, 411.6), "412m");
  EXPECT_EQ(FormatSignal(Signal::kReadBytes, 31457280), "31457280");
  EXPECT_EQ(FormatSignal(Signal::kIoLatency, 20), "20m");
  EXPECT_EQ(FormatSignal(Signal::kIoPressure, 35), "35%");
}

}  // namespace
}  // namespace longshore::scaling
