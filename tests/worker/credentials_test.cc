// SPDX-License-Identifier: Apache-2.0
#include "worker/credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "common/base/files.h"
#include "tests/common/tls/certificates.h"

namespace longshore::worker {
namespace {

using test::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::Not;

messages::Repository Repository(const std::string& url) {
  messages::Repository repository;
  repository.set_url(url);
  repository.set_username("wr:iter");
  repository.set_password("p/w@ %#");
  repository.set_encryption_key("key");
  return repository;
}

TEST(CredentialsTest, EncodesTheLoginIntoTheRepositorysUrl) {
  TemporaryFolder base;
  auto folder = SecretFolder::Create(base.path(), 1);
  ASSERT_TRUE(folder);
  Redactor redactor;
  const auto access =
      WriteRepositorySecrets(**folder, redactor, Repository("rest:https://repo.example:8000/a/"));
  ASSERT_TRUE(access) << access.error().message;
  const std::string file = access->environment.at("RESTIC_REPOSITORY_FILE");
  EXPECT_EQ(*ReadFile(file), "rest:https://wr%3Aiter:p%2Fw%40%20%25%23@repo.example:8000/a/");
  struct stat status{};
  ASSERT_EQ(::stat(file.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  EXPECT_EQ(access->host, "repo.example");
  EXPECT_EQ(access->port, 8000);
  EXPECT_TRUE(access->tls);
}

TEST(CredentialsTest, ReadsHostAndPortOfEveryFormOfUrl) {
  struct Case {
    const char* url;
    const char* host;
    int port;
  };
  for (const Case& item :
       {Case{"rest:https://a.b/c/", "a.b", 443}, Case{"rest:http://a.b/", "a.b", 80},
        Case{"rest:https://[::1]:8000/", "::1", 8000}, Case{"rest:https://[::1]/", "::1", 443},
        Case{"/var/repository", "", 0}}) {
    TemporaryFolder base;
    auto folder = SecretFolder::Create(base.path(), 1);
    Redactor redactor;
    const auto access = WriteRepositorySecrets(**folder, redactor, Repository(item.url));
    ASSERT_TRUE(access) << item.url << ": " << access.error().message;
    EXPECT_EQ(access->host, item.host) << item.url;
    EXPECT_EQ(access->port, item.port) << item.url;
  }
}

TEST(CredentialsTest, RefusesUrlsThatItDoesNotUnderstand) {
  for (const char* url :
       {"", "ftp://x/", "rest:ftp://x/", "rest:https://", "rest:https://a:b@c/",
        "rest:https://a:99999/", "rest:https://a:x/", "s3:https://a/b", "rest:https://a/\n"}) {
    TemporaryFolder base;
    auto folder = SecretFolder::Create(base.path(), 1);
    Redactor redactor;
    const auto access = WriteRepositorySecrets(**folder, redactor, Repository(url));
    ASSERT_FALSE(access) << url;
    EXPECT_EQ(access.error().error_class, kConfiguration) << url;
    EXPECT_THAT(access.error().message, HasSubstr("repository.url")) << url;
  }
}

TEST(CredentialsTest, OverwritesAndRemovesAllWhenTheFolderGoes) {
  TemporaryFolder base;
  std::string link;
  {
    auto folder = SecretFolder::Create(base.path(), 1);
    const auto path = (*folder)->Write("secret", "value");
    ASSERT_TRUE(path);
    link = base.path() + "/second-name";  // what a hard link sees afterwards
    std::filesystem::create_hard_link(*path, link);
  }
  EXPECT_FALSE(std::filesystem::exists(base.path() + "/epoch-1"));
  EXPECT_EQ(*ReadFile(link), std::string(5, '\0'));
}

TEST(CredentialsTest, WipesWhatAKilledContainerLeft) {
  TemporaryFolder base;
  std::filesystem::create_directory(base.path() + "/epoch-3");
  base.Write("epoch-3/pgpass", "x");
  base.Write("stray", "y");
  ASSERT_TRUE(WipeSecrets(base.path()));
  EXPECT_TRUE(std::filesystem::is_empty(base.path()));
  EXPECT_TRUE(WipeSecrets(base.path() + "/nowhere"));
}

TEST(CredentialsTest, EscapesThePasswordFileOfPostgresql) {
  TemporaryFolder base;
  auto folder = SecretFolder::Create(base.path(), 1);
  messages::PostgresqlSource source;
  source.set_host("db.example");
  source.set_port(5432);
  source.set_username("us:er");
  source.set_password("a:b\\c'd");
  Redactor redactor;
  const auto access = WritePostgresqlSecrets(**folder, redactor, source, "longshore/op");
  ASSERT_TRUE(access) << access.error().message;
  EXPECT_EQ(*ReadFile(access->environment.at("PGPASSFILE")),
            "db.example:5432:*:us\\:er:a\\:b\\\\c'd\n");
  const std::string service = *ReadFile(access->environment.at("PGSERVICEFILE"));
  EXPECT_THAT(service, HasSubstr("sslmode=verify-full\n"));
  EXPECT_THAT(service, HasSubstr("application_name=longshore/op\n"));
  EXPECT_THAT(service, Not(HasSubstr("a:b")));
}

TEST(CredentialsTest, RefusesAHostThatLibpqWouldReadAsSomethingElse) {
  for (const char* host : {"", "/var/run", "a,b", "a b", "x\nsslmode=disable"}) {
    TemporaryFolder base;
    auto folder = SecretFolder::Create(base.path(), 1);
    messages::PostgresqlSource source;
    source.set_host(host);
    source.set_port(5432);
    source.set_username("u");
    source.set_password("p");
    Redactor redactor;
    const auto access = WritePostgresqlSecrets(**folder, redactor, source, "x");
    ASSERT_FALSE(access) << host;
    EXPECT_EQ(access.error().error_class, kConfiguration);
  }
}

TEST(RedactorTest, TakesSecretsOutInBothForms) {
  Redactor redactor;
  redactor.Add("p/w@secret");
  redactor.Add("abc");  // too short to be one
  EXPECT_EQ(redactor.Redact("a p/w@secret b p%2Fw%40secret c p/w@secret abc"),
            "a *** b *** c *** abc");
}

TEST(ConnectionStringTest, QuotesTheDatabase) {
  EXPECT_EQ(ConnectionString("a 'b' \\c"), "service=longshore dbname='a \\'b\\' \\\\c'");
}

}  // namespace
}  // namespace longshore::worker
