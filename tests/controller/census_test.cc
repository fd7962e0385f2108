// SPDX-License-Identifier: Apache-2.0
//
// Objects, counted by their states.
#include "controller/census.h"

#include <gtest/gtest.h>

#include "common/api/archive.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::seconds;

const WallTime kNow = WallTime(std::chrono::hours(500000));

kube::ObjectPtr Object(Json status) {
  return std::make_shared<const Json>(Json{{"status", std::move(status)}});
}

api::BackupPodPtr Row(Json status) {
  return std::make_shared<const api::BackupPod>(
      *api::ReadJson<api::BackupPod>(Json{{"status", std::move(status)}}));
}

api::BackupPodPtr Draining(seconds since) {
  return Row({{"state", "Draining"}, {"lastTransitionTime", FormatTime(kNow - since)}});
}

TEST(CensusTest, CountsByStateAndWhatHasNoneYetByItsFirst) {
  const auto blank = std::make_shared<const Json>(Json::object());
  const Census census =
      TakeCensus({}, {Row({}), Row({{"state", "Available"}}), Row({{"state", "Available"}})},
                 {blank, Object({{"state", ""}}), Object({{"state", "Running"}})}, kNow);
  EXPECT_EQ(census.pods, (std::map<std::string, int>{{"Available", 2}, {"Planned", 1}}));
  EXPECT_EQ(census.operations, (std::map<std::string, int>{{"Queued", 2}, {"Running", 1}}));
}

TEST(CensusTest, TellsAcquiredPodsFromThoseThatWork) {
  const Json acquired = {{"holder", "manager"}, {"epoch", 1}};
  const Json works = {{"holder", "longshore"}, {"operation", "op"}, {"epoch", 1}};
  const Census census = TakeCensus({},
                                   {Row({{"state", "Assigned"}, {"lease", acquired}}),
                                    Row({{"state", "Assigned"}, {"lease", works}}),
                                    Row({{"state", "Assigned"}, {"lease", works}}),
                                    Row({{"state", "Available"}, {"lease", nullptr}})},
                                   {}, kNow);
  EXPECT_EQ(census.leases_acquired, 1);
  EXPECT_EQ(census.leases_working, 2);
}

TEST(CensusTest, TheOldestDrainIsTheOneThatHasLastedLongest) {
  EXPECT_EQ(TakeCensus({}, {Row({{"state", "Available"}})}, {}, kNow).oldest_drain, seconds(0));
  const Census census = TakeCensus(
      {}, {Draining(seconds(5)), Draining(seconds(70)), Draining(seconds(-3))}, {}, kNow);
  EXPECT_EQ(census.oldest_drain, seconds(70));
}

// Its work has no end, as far as anybody knows, and nothing else says that it is waited for.
TEST(CensusTest, APodWithWorkOfARequestThatIsEndingDrainsSinceThen) {
  const auto request = [](const char* name, Json meta, Json spec) {
    meta["name"] = name;
    meta["namespace"] = "n";
    meta["creationTimestamp"] = FormatTime(kNow - seconds(500));
    return std::make_shared<const Json>(Json{{"metadata", meta}, {"spec", std::move(spec)}});
  };
  const auto busy = [](const char* of) {
    Json row = {{"metadata", {{"namespace", "n"}}},
                {"spec", {{"requestRef", {{"name", of}}}}},
                {"status", {{"state", "Assigned"}}}};
    return std::make_shared<const api::BackupPod>(*api::ReadJson<api::BackupPod>(row));
  };
  const auto deleted =
      request("deleted", {{"deletionTimestamp", FormatTime(kNow - seconds(300))}}, Json::object());
  const auto expired = request("expired", Json::object(), {{"lifetimeSeconds", 100}});
  const auto lives = request("lives", Json::object(), {{"lifetimeSeconds", 1000}});
  const auto oldest = [&](const char* of) {
    return TakeCensus({deleted, expired, lives}, {busy(of)}, {}, kNow).oldest_drain;
  };
  EXPECT_EQ(oldest("deleted"), seconds(300));
  EXPECT_EQ(oldest("expired"), seconds(400));
  EXPECT_EQ(oldest("lives"), seconds(0));
}

TEST(CensusTest, AddsUpWhatTheRequestsWant) {
  const Census census = TakeCensus(
      {Object({{"desiredPods", 2}}), Object({{"desiredPods", 3}}), Object(Json::object())}, {}, {},
      kNow);
  EXPECT_EQ(census.wanted_pods, 5);
}

}  // namespace
}  // namespace longshore::controller
