// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/doctor/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <nlohmann/json.hpp>

namespace longshore::nodeagent::doctor {
namespace {

using ::testing::HasSubstr;

std::string Status(const std::string& capabilities, const std::string& seccomp) {
  return "Name:\tx\nCapInh:\t0000000000000000\nCapEff:\t" + capabilities + "\nSeccomp:\t" +
         seccomp + "\n";
}

// What the manifest gives: BPF (39) and PERFMON (38), nothing else.
TEST(FindingsTest, TheTwoCapabilitiesAreEnough) {
  const Finding finding = CheckCapabilities(Status("000000c000000000", "2"));
  EXPECT_EQ(finding.state, State::kWell);
  EXPECT_EQ(finding.what, "BPF, PERFMON");
}

// Each that is missing is named, with what to do.
TEST(FindingsTest, NamesTheMissingCapability) {
  EXPECT_THAT(CheckCapabilities(Status("0000008000000000", "2")).what,
              HasSubstr("BPF, no PERFMON"));
  const Finding none = CheckCapabilities(Status("0000000000000000", "2"));
  EXPECT_EQ(none.state, State::kBroken);
  EXPECT_THAT(none.what, HasSubstr("no BPF, no PERFMON"));
  EXPECT_THAT(none.advice, HasSubstr("nodeagent-nonroot"));
  EXPECT_EQ(CheckCapabilities("").state, State::kBroken);
}

// More than is needed works, and is said.
TEST(FindingsTest, SaysWhenThereIsMoreThanNeeded) {
  const Finding finding = CheckCapabilities(Status("000001ffffffffff", "0"));
  EXPECT_EQ(finding.state, State::kWell);
  EXPECT_THAT(finding.advice, HasSubstr("drop ALL"));
}

// What refused bpf() depends on what is in force.
TEST(FindingsTest, TellsSeccompFromTheRest) {
  EXPECT_EQ(CheckBpf(0, true).state, State::kWell);
  EXPECT_THAT(CheckBpf(EPERM, HasSeccompFilter(Status("0", "2"))).advice, HasSubstr("profile"));
  EXPECT_THAT(CheckBpf(EPERM, HasSeccompFilter(Status("0", "0"))).advice, HasSubstr("lockdown"));
  EXPECT_THAT(CheckBpf(ENOSYS, false).advice, HasSubstr("CONFIG_BPF_SYSCALL"));
}

// What is full is named with the option that enlarges it.
TEST(FindingsTest, TablesNameTheirOptions) {
  EXPECT_EQ(CheckTables(300, 2048, 1024).state, State::kWell);
  EXPECT_EQ(CheckTables(300, 2048, 1024).advice, "");
  EXPECT_EQ(CheckTables(2046, 2048, 4096).state, State::kDegraded);
  EXPECT_THAT(CheckTables(2046, 2048, 4096).advice, HasSubstr("--max-cgroups"));
  EXPECT_EQ(CheckTables(1500, 2048, 1024).state, State::kWell);
  EXPECT_THAT(CheckTables(1500, 2048, 1024).advice, HasSubstr("--max-device-cells"));
}

// An old kernel counts maps as locked memory: the advice names the component that helps.
TEST(FindingsTest, LockedMemoryNamesTheComponent) {
  EXPECT_EQ(CheckLockedMemory(0).state, State::kWell);
  EXPECT_THAT(CheckLockedMemory(EPERM).advice, HasSubstr("nodeagent-old-kernel"));
}

// Integrity is no problem, since no kprobe is used; unknown is none either.
TEST(FindingsTest, OnlyConfidentialityIsAProblem) {
  EXPECT_EQ(CheckLockdown("none [integrity] confidentiality\n").state, State::kWell);
  EXPECT_EQ(CheckLockdown("none integrity [confidentiality]\n").state, State::kBroken);
  EXPECT_THAT(CheckLockdown("").what, HasSubstr("unknown"));
}

// Every signal that there is has a source and, when missing, advice.
TEST(FindingsTest, EverySignalHasAdvice) {
  ASSERT_GE(Signals().size(), 9u);
  for (const std::string& signal : Signals()) {
    EXPECT_FALSE(CheckSignal(signal, false).what.empty()) << signal;
    const Finding missing = CheckSignal(signal, true);
    EXPECT_EQ(missing.state, State::kDegraded) << signal;
    EXPECT_FALSE(missing.advice.empty()) << signal;
  }
}

// The worst decides; scripts go by it.
TEST(FindingsTest, TheWorstDecidesTheExitStatus) {
  std::vector<Finding> findings = {CheckLockedMemory(0)};
  EXPECT_EQ(ExitStatus(findings), 0);
  findings.push_back(CheckSignal("fsync", true));
  EXPECT_EQ(ExitStatus(findings), 1);
  EXPECT_THAT(RenderTable(findings), HasSubstr("degraded  fsync"));
  findings.push_back(CheckBpf(EPERM, true));
  EXPECT_EQ(ExitStatus(findings), 2);
  const auto json = nlohmann::json::parse(RenderJson(findings));
  EXPECT_EQ(json["state"], "broken");
  EXPECT_EQ(json["checks"][1]["check"], "fsync");
  EXPECT_TRUE(json["checks"][0]["advice"].is_null());
}

}  // namespace
}  // namespace longshore::nodeagent::doctor
