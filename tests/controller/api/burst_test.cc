// SPDX-License-Identifier: Apache-2.0
// 500 requests over HTTPS from 100 storage managers at once, more than the server has threads: each
// is accepted, and then it is there, or refused with a reason.
#include <cstdio>
#include <set>
#include <thread>
#include <vector>

#include "tests/common/tls/certificates.h"
#include "tests/controller/api/api_fixture.h"

namespace longshore::controller {
namespace {

constexpr int kManagers = 100, kRequestsOfEach = 5;

class BurstTest : public ApiTest {
 protected:
  void Configure(ApiOptions& options) override {
    const longshore::test::Certificate certificate = authority_.IssueLocalhost();
    options.http.tls.emplace();
    options.http.tls->certificate_file = folder_.Write("tls.crt", certificate.certificate_pem);
    options.http.tls->key_file = folder_.Write("tls.key", certificate.key_pem);
    EXPECT_GT(kManagers, options.http.max_threads) << "or none of them waits for a thread";
  }
  std::unique_ptr<http::Client> NewTlsClient() const {
    http::ClientOptions options;
    options.base_url = "https://localhost:" + std::to_string(server_->port());
    options.ca_pem = authority_.ca_pem();
    options.connect_timeout = options.read_timeout = std::chrono::seconds(60);
    return *http::Client::Create(options);
  }
  struct Outcome {
    std::string key, name, refusal;  // refusal: why it was not accepted; empty name: lost
    int status = 0;
  };
  static Outcome Ask(http::Client& client, const std::string& key) {
    http::ClientRequest request;
    request.method = "POST";
    request.path = "/v1/requests";
    request.body = RequestBody().dump();
    request.headers = {{"Authorization", "Bearer good"}, {"Idempotency-Key", key}};
    Outcome outcome{.key = key};
    const auto reply = client.Send(request);
    if (!reply) return outcome;
    const auto body = api::ParseJson(reply->body);
    outcome.status = reply->status;
    if (body && reply->status < 300) outcome.name = body->value("name", "");
    if (body && reply->status >= 400) outcome.refusal = body->value("detail", "");
    return outcome;
  }

  longshore::test::TestAuthority authority_;
  longshore::test::TemporaryFolder folder_;
};

TEST_F(BurstTest, OfFiveHundredRequestsFromAHundredManagersNoneIsLost) {
  std::vector<Outcome> outcomes(kManagers * kRequestsOfEach);
  const auto begun = std::chrono::steady_clock::now();
  {
    std::vector<std::jthread> managers;
    for (int manager = 0; manager < kManagers; ++manager) {
      managers.emplace_back([&, manager] {
        const auto client = NewTlsClient();
        for (int i = 0; i < kRequestsOfEach; ++i) {
          const int number = manager * kRequestsOfEach + i;
          outcomes[number] = Ask(*client, "key-" + std::to_string(number));
        }
      });
    }
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  int accepted = 0;
  std::set<std::string> names;
  for (const Outcome& one : outcomes) {
    if (one.name.empty()) {
      EXPECT_FALSE(one.refusal.empty()) << one.key << " is lost, status " << one.status;
      continue;
    }
    ++accepted;
    names.insert(one.name);
    EXPECT_TRUE(kube_.Get("computerequests", "backup", one.name).is_object()) << one.key;
  }
  EXPECT_EQ(static_cast<int>(names.size()), accepted) << "each is a request of its own";
  EXPECT_GT(accepted, 0);
  std::printf("%d of %zu accepted in %.2f s\n", accepted, outcomes.size(), took.count());
  // Who was refused, or has not heard, asks again under its key.
  const auto client = NewTlsClient();
  for (const Outcome& one : outcomes) {
    const Outcome again = Ask(*client, one.key);
    EXPECT_FALSE(again.name.empty()) << again.refusal;
    EXPECT_TRUE(one.name.empty() || again.name == one.name) << one.key;
  }
}

}  // namespace
}  // namespace longshore::controller
