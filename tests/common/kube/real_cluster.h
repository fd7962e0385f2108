// SPDX-License-Identifier: Apache-2.0
//
// Fixture for tests against the API server that $KUBECONFIG names: a client with the rights of an
// administrator, and a namespace of its own that is deleted at the end. No controllers are needed.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "common/base/strings.h"
#include "common/kube/client.h"

namespace longshore::kube {

class RealClusterTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(std::getenv("KUBECONFIG"), nullptr)
        << "no API server to test against: run hack/test integration, or set $KUBECONFIG";
    const auto config = LoadConfig();
    ASSERT_TRUE(config.has_value()) << config.error().ToString();
    auto client = Client::Create(*config, "longshore-test");
    ASSERT_TRUE(client.has_value()) << client.error().ToString();
    client_ = *std::move(client);
    const auto made = client_->Create(kNamespaces, "", Json{{"metadata", {{"name", ns_}}}});
    ASSERT_TRUE(made.has_value()) << made.error().ToString();
  }
  void TearDown() override {
    if (client_ == nullptr) return;
    const Status deleted = client_->Delete(kNamespaces, "", ns_);
    EXPECT_TRUE(deleted.has_value()) << deleted.error().ToString();
  }

  static Json ConfigMap(const std::string& name, const std::string& value = "1") {
    return {{"metadata", {{"name", name}, {"labels", {{"app", "test"}}}}},
            {"data", {{"key", value}}}};
  }
  Json MustCreate(const Resource& resource, const Json& object) {
    auto created = client_->Create(resource, ns_, object);
    EXPECT_TRUE(created.has_value()) << created.error().ToString();
    return created.has_value() ? *created : Json::object();
  }
  // Until `reached` holds, for as long as a loaded machine may need.
  static bool Eventually(const std::function<bool()>& reached) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!reached()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return true;
  }

  const std::string ns_ = "longshore-test-" + RandomId(8);
  std::unique_ptr<Client> client_;
};

}  // namespace longshore::kube
