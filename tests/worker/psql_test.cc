// SPDX-License-Identifier: Apache-2.0
#include "worker/psql.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/tools.h"

namespace longshore::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(PsqlTest, TellsWhyItFailed) {
  struct Case {
    const char* err;
    const char* error_class;
    bool retryable;
  };
  const Case cases[] = {
      {"psql: error: connection to server failed: FATAL:  password authentication failed for user",
       kAuthentication, false},
      {"FATAL:  database \"x\" does not exist", kNotFound, false},
      {"FATAL:  role \"x\" does not exist", kAuthentication, false},
      {"could not translate host name \"x\" to address", kUnreachable, true},
      {"SSL error: certificate verify failed", kConfiguration, false},
      {"server certificate for \"a\" does not match host name \"b\"", kConfiguration, false},
      {"ERROR:  42501: permission denied for table t\nLOCATION:  aclcheck_error, aclchk.c:2812",
       kAuthentication, false},
      {"ERROR:  55P03: canceling statement due to lock timeout", kDumpFailed, true},
      {"FATAL:  57P01: terminating connection due to administrator command", kUnreachable, true},
      {"ERROR:  42P04: database \"x\" already exists", kNotEmpty, false},
      {"ERROR:  22P02: invalid input syntax", kDumpFailed, false},
      {"", kDumpFailed, false},
  };
  for (const Case& item : cases) {
    const Failure failure = ClassifyPostgresql(item.err, "dump");
    EXPECT_EQ(failure.error_class, item.error_class) << item.err;
    EXPECT_EQ(failure.retryable, item.retryable) << item.err;
    EXPECT_THAT(failure.message, Not(HasSubstr("LOCATION")));
  }
}

TEST(PsqlTest, QuotesForSql) {
  EXPECT_EQ(QuoteLiteral("it's"), "'it''s'");
  EXPECT_EQ(QuoteIdentifier("a\"b"), "\"a\"\"b\"");
  // Whatever the server says of standard_conforming_strings, this ends where it should.
  EXPECT_EQ(QuoteLiteral("\\' x"), " E'\\\\'' x'");
}

TEST(ToolsTest, FindsVersions) {
  EXPECT_EQ(FindVersion("restic 0.18.0 compiled with go1.24.4 on linux/amd64"), "0.18.0");
  EXPECT_EQ(FindVersion("pg_dump (PostgreSQL) 17.6 (Debian 17.6-1)"), "17.6");
  EXPECT_EQ(FindVersion("nothing 7"), "");
}

}  // namespace
}  // namespace longshore::worker
