// SPDX-License-Identifier: Apache-2.0
//
// The server certificate's life on disk.
#include "common/tls/reloader.h"

#include <gtest/gtest.h>

#include "tests/common/tls/certificates.h"

namespace longshore::tls {
namespace {

class ReloaderTest : public ::testing::Test {
 protected:
  void Put(const test::Certificate& certificate) {
    folder_.Write("tls.crt", certificate.certificate_pem);
    folder_.Write("tls.key", certificate.key_pem);
  }
  ServerFiles Files() const {
    return {folder_.path() + "/tls.crt", folder_.path() + "/tls.key", ""};
  }
  test::TestAuthority authority_;
  test::TemporaryFolder folder_;
};

// A renewed certificate is taken, and connections that hold the old context keep it.
TEST_F(ReloaderTest, TakesChangedFiles) {
  Put(authority_.IssueLocalhost());
  Reloader reloader(Files(), std::chrono::milliseconds(0));
  ASSERT_TRUE(reloader.Load().has_value());
  const ContextPtr before = reloader.Get();
  EXPECT_EQ(before, reloader.Get());
  Put(authority_.IssueLocalhost());
  EXPECT_NE(before, reloader.Get());
}

// A certificate without its key (renewal half done) must not take the server down.
TEST_F(ReloaderTest, KeepsTheOldContextWhileFilesAreWrong) {
  Put(authority_.IssueLocalhost());
  Reloader reloader(Files(), std::chrono::milliseconds(0));
  ASSERT_TRUE(reloader.Load().has_value());
  const ContextPtr before = reloader.Get();
  const auto next = authority_.IssueLocalhost();
  folder_.Write("tls.crt", next.certificate_pem);
  EXPECT_EQ(before, reloader.Get());
  folder_.Write("tls.key", next.key_pem);
  EXPECT_NE(before, reloader.Get());
}

TEST_F(ReloaderTest, NamesTheFileThatIsMissingOrBroken) {
  Reloader missing(Files());
  const Status status = missing.Load();
  ASSERT_FALSE(status.has_value());
  EXPECT_EQ(status.error().code, Code::kInvalidArgument);
  EXPECT_NE(status.error().message.find("tls.crt"), std::string::npos);
  Put({"nonsense", "nonsense"});
  EXPECT_EQ(Reloader(Files()).Load().error().code, Code::kInvalidArgument);
}

// An empty authority file would otherwise mean "no client certificates needed".
TEST_F(ReloaderTest, RefusesAnEmptyClientAuthority) {
  Put(authority_.IssueLocalhost());
  ServerFiles files = Files();
  files.client_ca_file = folder_.Write("ca.crt", "");
  EXPECT_EQ(Reloader(files).Load().error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace longshore::tls
