// SPDX-License-Identifier: Apache-2.0
//
// How long it takes to say that nobody is there, and that who is only slow is waited for.
#include "worker/reach.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>

#include "common/base/files.h"

namespace longshore::worker {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

milliseconds Since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start);
}

// A loopback port; listens or only holds the number.
class LoopbackPort {
 public:
  explicit LoopbackPort(bool listens) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(::bind(fd_.get(), generic, size), 0);
    EXPECT_EQ(::getsockname(fd_.get(), generic, &size), 0);
    if (listens) {
      EXPECT_EQ(::listen(fd_.get(), 8), 0);
    }
    number = ntohs(address.sin_port);
  }
  int number = 0;

 private:
  UniqueFd fd_;
};

std::atomic<bool> let_go{false};
int NeverAnswers(const char*, const char*, const addrinfo*, addrinfo**) {
  while (!let_go) std::this_thread::sleep_for(milliseconds(5));
  return EAI_AGAIN;
}
int NobodyKnows(const char*, const char*, const addrinfo*, addrinfo**) { return EAI_NONAME; }

TEST(ReachTest, RefusedConnectionAndUnknownNameAreSaidAtOnce) {
  Cancellation cancellation;
  const LoopbackPort port(false);
  const auto start = std::chrono::steady_clock::now();
  const auto refused = CheckReach({.host = "127.0.0.1", .port = port.number}, cancellation);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().error_class, kUnreachable);
  EXPECT_TRUE(refused.error().retryable);
  EXPECT_THAT(refused.error().message, HasSubstr("Connection refused"));
  const auto unknown =
      CheckReach({.host = "nowhere", .port = 1, .resolve = &NobodyKnows}, cancellation);
  ASSERT_FALSE(unknown.has_value());
  EXPECT_EQ(unknown.error().error_class, kUnreachable);
  EXPECT_THAT(unknown.error().message, HasSubstr("nowhere:1: Name or service not known"));
  EXPECT_LT(Since(start), milliseconds(1000));
}

// The resolver has time-outs of its own, of up to a minute, and no way to stop it.
TEST(ReachTest, SilentNameServersTakeNoLongerThanTheTimeLimit) {
  Cancellation cancellation;
  const auto start = std::chrono::steady_clock::now();
  const ReachOptions options{
      .host = "nowhere", .port = 1, .timeout = milliseconds(100), .resolve = &NeverAnswers};
  const auto silent = CheckReach(options, cancellation);
  ASSERT_FALSE(silent.has_value());
  EXPECT_EQ(silent.error().error_class, kUnreachable);
  EXPECT_THAT(silent.error().message, HasSubstr("looking up its name timed out"));
  cancellation.Cancel();
  const auto cancelled =
      CheckReach({.host = "nowhere", .port = 1, .resolve = &NeverAnswers}, cancellation);
  EXPECT_EQ(cancelled.error().error_class, kCancelledClass);
  EXPECT_LT(Since(start), milliseconds(3000));
  let_go = true;
}

TEST(ReachTest, SlowServerIsWaitedForUntilTheTimeLimit) {
  Cancellation cancellation;
  const LoopbackPort port(true);  // connects, and never shakes hands
  EXPECT_TRUE(CheckReach({.host = "127.0.0.1", .port = port.number}, cancellation).has_value());
  const auto start = std::chrono::steady_clock::now();
  const auto slow = CheckReach(
      {.host = "127.0.0.1", .port = port.number, .tls = true, .timeout = milliseconds(300)},
      cancellation);
  ASSERT_FALSE(slow.has_value());
  EXPECT_THAT(slow.error().message, HasSubstr("the TLS handshake timed out"));
  EXPECT_GE(Since(start), milliseconds(290));
}

}  // namespace
}  // namespace longshore::worker
