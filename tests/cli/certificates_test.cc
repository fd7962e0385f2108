// SPDX-License-Identifier: Apache-2.0
#include "cli/certificates.h"

#include <gmock/gmock.h>

#include "cli/certificate_store.h"
#include "tests/common/kube/fake_api.h"

namespace longshore::cli {
namespace {

using std::chrono::hours;
using testing::Contains;
using testing::HasSubstr;

const WallTime kNow = *ParseTime("2026-06-01T12:00:00Z");

KeyPair Authority(const std::string& name = "test-ca", WallTime now = kNow) {
  return *MakeAuthority(name, now, hours(24 * 3650));
}

TEST(CertificatesTest, ASignedCertificateVerifiesAndSaysWhatWasAskedFor) {
  const KeyPair ca = Authority();
  const auto leaf = SignCertificate(ca,
                                    {.common_name = "server",
                                     .names = {"server", "a.b.svc", "127.0.0.1", "::1"},
                                     .server = true,
                                     .client = false},
                                    kNow, hours(24));
  ASSERT_TRUE(leaf.has_value()) << leaf.error().ToString();
  EXPECT_TRUE(VerifyCertificate(ca.certificate, leaf->certificate, kNow).has_value());
  EXPECT_TRUE(KeyMatches(*leaf));
  const auto info = InspectCertificate(leaf->certificate);
  ASSERT_TRUE(info.has_value());
  EXPECT_EQ(info->subject, "server");
  EXPECT_EQ(info->issuer, "test-ca");
  EXPECT_EQ(info->names, (std::vector<std::string>{"server", "a.b.svc", "127.0.0.1", "::1"}));
  EXPECT_EQ(info->not_after, kNow + hours(24));
  EXPECT_EQ(info->not_before, kNow - kBackdate);
  EXPECT_TRUE(info->server);
  EXPECT_FALSE(info->client);
  EXPECT_FALSE(info->authority);
  EXPECT_TRUE(InspectCertificate(ca.certificate)->authority);
}

TEST(CertificatesTest, VerificationRefusesStrangersAndTheExpired) {
  const KeyPair ca = Authority(), other = Authority();
  const KeyPair leaf =
      *SignCertificate(ca, {.common_name = "x", .names = {}, .server = true}, kNow, hours(24));
  EXPECT_FALSE(VerifyCertificate(other.certificate, leaf.certificate, kNow).has_value());
  const Status expired = VerifyCertificate(ca.certificate, leaf.certificate, kNow + hours(25));
  ASSERT_FALSE(expired.has_value());
  EXPECT_THAT(expired.error().message, HasSubstr("expired"));
  // A bundle of both authorities takes what either signed.
  EXPECT_TRUE(
      VerifyCertificate(other.certificate + ca.certificate, leaf.certificate, kNow).has_value());
  EXPECT_FALSE(KeyMatches({leaf.certificate, other.key}));
  EXPECT_FALSE(KeyMatches({"", ""}));
  EXPECT_EQ(SplitBundle(other.certificate + "text\n" + ca.certificate).size(), 2u);
}

// A name must not smuggle in another extension value.
TEST(CertificatesTest, RefusesNamesThatAreNone) {
  for (const char* name : {"a,DNS:evil", "a b", "", "a\nb", "DNS:x"}) {
    EXPECT_FALSE(SignCertificate(Authority(), {.common_name = "x", .names = {name}, .server = true},
                                 kNow, hours(1))
                     .has_value())
        << name;
  }
}

class PlanTest : public testing::Test {
 protected:
  static RenewOptions Options(const std::vector<std::string>& extra = {}) {
    RenewOptions options;
    options.leaves = InstallationLeaves("longshore-system", extra);
    return options;
  }
  static CertificateUpdate Plan(const CertificateState& state, const RenewOptions& options,
                                WallTime now = kNow) {
    auto update = PlanCertificates(state, options, now);
    EXPECT_TRUE(update.has_value()) << update.error().ToString();
    return update ? *update : CertificateUpdate{};
  }
  static CertificateState Fresh(WallTime now = kNow) { return Plan({}, Options(), now).state; }
  static void ExpectAllValid(const CertificateState& state, WallTime now) {
    for (const auto& [name, pair] : state.leaves) {
      EXPECT_TRUE(VerifyCertificate(state.trusted, pair.certificate, now).has_value()) << name;
      EXPECT_TRUE(KeyMatches(pair)) << name;
    }
  }
};

TEST_F(PlanTest, InitMakesTheThreeCertificatesWithTheirNames) {
  const CertificateUpdate update = Plan({}, Options({"10.250.0.11"}));
  EXPECT_TRUE(update.authority_changed);
  EXPECT_TRUE(update.trusted_changed);
  EXPECT_EQ(update.changed_leaves.size(), 3u);
  ExpectAllValid(update.state, kNow);
  const auto controller =
      *InspectCertificate(update.state.leaves.at("longshore-controller-tls").certificate);
  for (const char* name :
       {"longshore-controller", "longshore-controller.longshore-system",
        "longshore-controller.longshore-system.svc",
        "longshore-controller.longshore-system.svc.cluster.local", "localhost", "127.0.0.1",
        "longshore-controller-streams.longshore-system.svc", "10.250.0.11"}) {
    EXPECT_THAT(controller.names, Contains(name));
  }
  const auto scheduler =
      *InspectCertificate(update.state.leaves.at("longshore-scheduler-tls").certificate);
  EXPECT_EQ(scheduler.subject, "longshore-scheduler");
  EXPECT_TRUE(scheduler.client);
  EXPECT_FALSE(scheduler.server);
}

TEST_F(PlanTest, InitAgainKeepsEverything) {
  const CertificateUpdate update = Plan(Fresh(), Options(), kNow + hours(24 * 300));
  EXPECT_FALSE(update.authority_changed);
  EXPECT_FALSE(update.trusted_changed);
  EXPECT_TRUE(update.changed_leaves.empty());
}

TEST_F(PlanTest, AMissingNameMeansANewCertificateThatKeepsTheOldNames) {
  const CertificateState first = Plan({}, Options({"old.example"})).state;
  const CertificateUpdate update = Plan(first, Options({"new.example"}));
  EXPECT_EQ(update.changed_leaves, std::vector<std::string>{"longshore-controller-tls"});
  const auto info =
      *InspectCertificate(update.state.leaves.at("longshore-controller-tls").certificate);
  EXPECT_THAT(info.names, Contains("old.example"));
  EXPECT_THAT(info.names, Contains("new.example"));
}

TEST_F(PlanTest, RenewsWhatExpiresSoonOrIsBroken) {
  CertificateState state = Fresh();
  RenewOptions options = Options();
  options.within = hours(24 * 30);
  EXPECT_TRUE(Plan(state, options, kNow + hours(24 * 300)).changed_leaves.empty());
  EXPECT_EQ(Plan(state, options, kNow + hours(24 * 340)).changed_leaves.size(), 3u);
  state.leaves["longshore-extender-tls"].key = state.leaves["longshore-scheduler-tls"].key;
  EXPECT_EQ(Plan(state, Options()).changed_leaves,
            std::vector<std::string>{"longshore-extender-tls"});
  options.force = true;
  EXPECT_EQ(Plan(Fresh(), options).changed_leaves.size(), 3u);
}

// At no moment does anyone meet a certificate that the bundle before or after cannot verify.
TEST_F(PlanTest, AnAuthorityIsReplacedInTwoRunsWithOverlap) {
  const CertificateState before = Fresh();
  RenewOptions rotate = Options();
  rotate.rotate_authority = true;
  const CertificateUpdate staged = Plan(before, rotate);
  EXPECT_TRUE(staged.changed_leaves.empty()) << "the old authority still signs";
  EXPECT_EQ(SplitBundle(staged.state.trusted).size(), 2u);
  ASSERT_TRUE(staged.state.successor.has_value());
  ExpectAllValid(staged.state, kNow);

  // Too early: daemons may not have read the new bundle yet.
  const CertificateUpdate early = Plan(staged.state, Options(), kNow + std::chrono::minutes(5));
  EXPECT_FALSE(early.authority_changed);
  EXPECT_TRUE(early.state.successor.has_value());

  const WallTime later = kNow + std::chrono::minutes(11);
  const CertificateUpdate promoted = Plan(staged.state, Options(), later);
  EXPECT_EQ(promoted.changed_leaves.size(), 3u);
  EXPECT_EQ(promoted.state.authority->certificate, staged.state.successor->certificate);
  EXPECT_FALSE(promoted.state.successor.has_value());
  EXPECT_EQ(SplitBundle(promoted.state.trusted).size(), 2u) << "the old one is trusted on";
  ExpectAllValid(promoted.state, later);
  for (const auto& [name, pair] : promoted.state.leaves) {
    EXPECT_TRUE(VerifyCertificate(staged.state.trusted, pair.certificate, later).has_value())
        << name << " must verify for those who still have the bundle of the first run";
  }
}

TEST_F(PlanTest, AnExpiringAuthorityIsStagedByItselfAndAnExpiredOneReplacedAtOnce) {
  const CertificateState state = Fresh();
  RenewOptions options = Options();
  options.within = hours(24 * 30);
  const WallTime near = kNow + hours(24 * 3640), past = kNow + hours(24 * 3651);
  EXPECT_TRUE(Plan(state, options, near).state.successor.has_value());
  const CertificateUpdate replaced = Plan(state, Options(), past);
  EXPECT_FALSE(replaced.state.successor.has_value());
  EXPECT_EQ(SplitBundle(replaced.state.trusted).size(), 1u) << "the expired one is dropped";
  ExpectAllValid(replaced.state, past);
}

// Overwriting a damaged authority would cut off every running daemon: that is for people to decide.
TEST_F(PlanTest, ADamagedAuthorityIsNotOverwritten) {
  CertificateState state = Fresh();
  state.authority->key = Authority().key;
  const auto update = PlanCertificates(state, Options(), kNow);
  ASSERT_FALSE(update.has_value());
  EXPECT_EQ(update.error().code, Code::kFailedPrecondition);
  EXPECT_THAT(update.error().message, HasSubstr("ca.crt and ca.key"));
  EXPECT_THAT(update.error().message, testing::Not(HasSubstr("PRIVATE")));
}

// A kube-scheduler that goes on with the old bundle would place every pod without the extender.
TEST(RestartSchedulerTest, ItsDeploymentIsPatchedOrTheCommandIsNamed) {
  kube::FakeApi api;
  const auto client = kube::Client::Create(api.config(), "longshore-test");
  ASSERT_TRUE(client.has_value());
  const auto restart = [&](http::Response answer) {
    api.OnCall(std::move(answer));
    return RestartScheduler(**client, "longshore-system", "bundle");
  };
  const auto restarted = restart({.status = 200, .body = "{}"});
  ASSERT_TRUE(restarted.has_value()) << restarted.error().ToString();
  EXPECT_EQ(restarted->action, "restarted");
  EXPECT_EQ(api.asked().back(),
            "PATCH /apis/apps/v1/namespaces/longshore-system/deployments/longshore-scheduler");
  EXPECT_EQ(restart(kube::Refusal(404, "NotFound"))->action, "absent");
  const auto refused = restart(kube::Refusal(403, "Forbidden"));
  ASSERT_FALSE(refused.has_value());
  EXPECT_THAT(refused.error().message, HasSubstr("kubectl -n longshore-system rollout restart "
                                                 "deployment/longshore-scheduler"));
}

}  // namespace
}  // namespace longshore::cli
