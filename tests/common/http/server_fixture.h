// SPDX-License-Identifier: Apache-2.0
//
// A server and clients for the tests of this folder.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>

#include "common/http/client.h"
#include "common/http/server.h"
#include "tests/common/tls/certificates.h"
#include "tests/common/tls/raw_connection.h"

namespace longshore::http {

class ServerFixture : public ::testing::Test {
 protected:
  ServerFixture() {
    options_.address = "127.0.0.1";
    options_.threads = 2;
    options_.max_threads = 2;
  }

  void UseTls(const std::string& client_ca_pem = "") {
    const auto certificate = authority_.IssueLocalhost();
    options_.tls.emplace();
    options_.tls->certificate_file = folder_.Write("tls.crt", certificate.certificate_pem);
    options_.tls->key_file = folder_.Write("tls.key", certificate.key_pem);
    if (!client_ca_pem.empty()) {
      options_.tls->client_ca_file = folder_.Write("client-ca.crt", client_ca_pem);
    }
  }

  // Starts a server with routes that most tests need: GET /ok, POST /echo, GET /throw.
  void Start() {
    server_ = std::make_unique<Server>(options_);
    server_->Handle("GET", "/ok", [this](const Request&) {
      ++served_;
      return Text("fine");
    });
    server_->Handle("POST", "/echo", [this](const Request& request) {
      ++served_;
      return Text(request.body);
    });
    server_->Handle("GET", "/throw", [](const Request&) -> Response {
      throw std::runtime_error("password=hunter2");
    });
    for (auto& [method, pattern, handler] : more_) server_->Handle(method, pattern, handler);
    const Status started = server_->Start();
    ASSERT_TRUE(started.has_value()) << started.error().ToString();
  }

  static Response Text(std::string body) {
    Response response;
    response.content_type = "text/plain";
    response.body = std::move(body);
    return response;
  }

  ClientOptions ClientFor() {
    ClientOptions options;
    options.base_url = (options_.tls ? "https://127.0.0.1:" : "http://127.0.0.1:") +
                       std::to_string(server_->port());
    options.ca_pem = authority_.ca_pem();
    return options;
  }
  std::unique_ptr<Client> NewClient() { return NewClient(ClientFor()); }
  static std::unique_ptr<Client> NewClient(ClientOptions options) {
    auto client = Client::Create(std::move(options));
    LS_CHECK(client.has_value());
    return *std::move(client);
  }
  test::RawConnection Connect() const { return test::RawConnection(server_->port()); }

  test::TestAuthority authority_;
  test::TemporaryFolder folder_;
  ServerOptions options_;
  std::vector<std::tuple<std::string, std::string, Handler>> more_;
  std::atomic<int> served_{0};
  std::unique_ptr<Server> server_;
};

inline const std::string kGetOk = "GET /ok HTTP/1.1\r\nHost: h\r\n\r\n";

}  // namespace longshore::http
