// SPDX-License-Identifier: Apache-2.0
// Election against a real API server.
#include "common/base/clock.h"
#include "common/kube/lease_elector.h"
#include "tests/common/kube/real_cluster.h"

namespace longshore::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

class LeaseElectorIntegrationTest : public RealClusterTest {
 protected:
  std::unique_ptr<LeaseElector> Candidate(const std::string& identity) {
    auto elector = std::make_unique<LeaseElector>(*client_,
                                                  LeaseOptions{.ns = ns_,
                                                               .name = "l",
                                                               .identity = identity,
                                                               .duration = milliseconds(3000),
                                                               .renew_deadline = milliseconds(2000),
                                                               .retry_period = milliseconds(200)},
                                                  LeaseElector::Callbacks{[](int64_t) {}, [] {}});
    EXPECT_TRUE(elector->Start().has_value());
    return elector;
  }
};

TEST_F(LeaseElectorIntegrationTest, OneLeadsAndHandsOverWhenItStops) {
  const auto first = Candidate("first");
  ASSERT_TRUE(Eventually([&] { return first->leading(); }));
  const auto second = Candidate("second");
  ASSERT_TRUE(Eventually([&] { return second->holder() == "first"; }));
  EXPECT_FALSE(second->leading());
  const int64_t epoch = first->epoch();
  first->Stop();
  EXPECT_FALSE(first->leading());
  ASSERT_TRUE(Eventually([&] { return second->leading(); }));
  EXPECT_GT(second->epoch(), epoch);
}

// A leader that died without a word is waited for as long as it asked, by our clock, not by its.
TEST_F(LeaseElectorIntegrationTest, ASilentLeaderIsReplacedAfterItsDuration) {
  const std::string long_ago = "2020-01-01T00:00:00.000000Z";
  MustCreate(kLeases, {{"metadata", {{"name", "l"}}},
                       {"spec",
                        {{"holderIdentity", "dead"},
                         {"leaseDurationSeconds", 1},
                         {"leaseTransitions", 7},
                         {"acquireTime", long_ago},
                         {"renewTime", long_ago}}}});
  const auto began = steady_clock::now();
  const auto heir = Candidate("heir");
  ASSERT_TRUE(Eventually([&] { return heir->leading(); }));
  EXPECT_GE(steady_clock::now() - began, milliseconds(1000));
  EXPECT_EQ(heir->epoch(), 8);
}

TEST_F(LeaseElectorIntegrationTest, ManyCandidatesOneLeader) {
  std::vector<std::unique_ptr<LeaseElector>> candidates;
  for (int i = 0; i < 5; ++i) candidates.push_back(Candidate("c" + std::to_string(i)));
  const auto leaders = [&] {
    return std::count_if(candidates.begin(), candidates.end(),
                         [](const auto& c) { return c->leading(); });
  };
  ASSERT_TRUE(Eventually([&] { return leaders() == 1; }));
  for (int i = 0; i < 50; ++i) {
    EXPECT_LE(leaders(), 1);
    std::this_thread::sleep_for(milliseconds(10));
  }
}

}  // namespace
}  // namespace longshore::kube
