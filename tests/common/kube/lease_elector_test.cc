// SPDX-License-Identifier: Apache-2.0
// A leader that cannot renew stops before anybody else may begin.
#include "common/kube/lease_elector.h"

#include <gtest/gtest.h>

#include "tests/common/kube/fake_api.h"

namespace longshore::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

http::Response LeaseOf(const std::string& holder, int version, int transitions) {
  const Json lease = {{"metadata", {{"name", "l"}, {"resourceVersion", std::to_string(version)}}},
                      {"spec",
                       {{"holderIdentity", holder},
                        {"leaseDurationSeconds", 1},
                        {"leaseTransitions", transitions}}}};
  return {.body = lease.dump()};
}

class LeaseElectorTest : public testing::Test {
 protected:
  void Start() {
    elector_ = std::make_unique<LeaseElector>(
        *client_,
        LeaseOptions{.ns = "n",
                     .name = "l",
                     .identity = "me",
                     .duration = milliseconds(1000),
                     .renew_deadline = milliseconds(600),
                     .retry_period = milliseconds(100)},
        LeaseElector::Callbacks{.on_started = [this](int64_t epoch) { started_ = epoch; },
                                .on_stopped =
                                    [this] {
                                      stopped_at_ = steady_clock::now();
                                      stopped_ = true;
                                    }});
    const Status started = elector_->Start();
    ASSERT_TRUE(started.has_value()) << started.error().ToString();
  }

  FakeApi api_;
  std::unique_ptr<Client> client_ = *Client::Create(api_.config(), "longshore-test");
  std::atomic<int64_t> started_{-1};
  std::atomic<bool> stopped_{false};
  steady_clock::time_point stopped_at_;  // read after stopped_
  std::unique_ptr<LeaseElector> elector_;
};

TEST_F(LeaseElectorTest, StepsDownWhenRenewDeadlinePasses) {
  api_.OnCall(Refusal(404, "NotFound"));
  api_.OnCall(LeaseOf("me", 1, 0));  // the answer to our POST; from then on there is only 500
  const auto began = steady_clock::now();
  Start();
  ASSERT_TRUE(Soon([&] { return started_ == 0; }));
  EXPECT_TRUE(elector_->leading());
  ASSERT_TRUE(Soon([&] { return stopped_.load(); }));
  EXPECT_FALSE(elector_->leading());
  EXPECT_GE(stopped_at_ - began, milliseconds(600));
  EXPECT_LT(stopped_at_ - began, milliseconds(1000));
}

// The API server hangs: leading() must not wait for its answer.
TEST_F(LeaseElectorTest, IsNoLeaderWhileARenewalHangs) {
  api_.OnCall(Refusal(404, "NotFound"));
  api_.OnCall(LeaseOf("me", 1, 0));
  for (int i = 0; i < 20; ++i) api_.OnCall(WatchThatStays(""));
  Start();
  ASSERT_TRUE(Soon([&] { return started_ == 0; }));
  const auto began = steady_clock::now();
  ASSERT_TRUE(Soon([&] { return !elector_->leading(); }));
  EXPECT_LT(steady_clock::now() - began, milliseconds(900));
  ASSERT_TRUE(Soon([&] { return stopped_.load(); }));
}

TEST_F(LeaseElectorTest, StepsDownAtOnceWhenTheLeaseIsAnothers) {
  api_.OnCall(Refusal(404, "NotFound"));
  api_.OnCall(LeaseOf("me", 1, 0));
  api_.OnCall(Refusal(409, "Conflict"));
  api_.OnCall(LeaseOf("thief", 2, 1));
  for (int i = 0; i < 20; ++i) api_.OnCall(LeaseOf("thief", 3 + i, 1));
  Start();
  ASSERT_TRUE(Soon([&] { return stopped_.load(); }));
  EXPECT_EQ(elector_->holder(), "thief");
  const auto asked = api_.asked();
  EXPECT_EQ(std::count(asked.begin(), asked.end(),
                       "PUT /apis/coordination.k8s.io/v1/namespaces/n/leases/l"),
            1);
}

TEST_F(LeaseElectorTest, RefusesOptionsThatWouldAllowTwoLeaders) {
  LeaseOptions options{.ns = "n", .name = "l", .identity = "me"};
  options.renew_deadline = options.duration;
  LeaseElector elector(*client_, options, {});
  EXPECT_EQ(elector.Start().error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace longshore::kube
