// SPDX-License-Identifier: Apache-2.0
#include "worker/restic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace longshore::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(ResticTest, ReadsStatusAndSummary) {
  BackupStatus status;
  BackupSummary summary;
  EXPECT_TRUE(ParseBackupLine(R"({"message_type":"status","percent_done":0,"total_files":1,)"
                              R"("bytes_done":298325307,"current_files":["/a.dump"]})",
                              status, summary));
  EXPECT_EQ(status.bytes_done, 298325307u);
  EXPECT_TRUE(ParseBackupLine(R"({"message_type":"summary","data_added":300012752,)"
                              R"("total_bytes_processed":300000000,"snapshot_id":"53e7"})",
                              status, summary));
  EXPECT_EQ(summary.bytes, 300000000u);
  EXPECT_EQ(summary.snapshot, "53e7");
  EXPECT_FALSE(ParseBackupLine("", status, summary));
  EXPECT_FALSE(ParseBackupLine("[]", status, summary));
  EXPECT_FALSE(ParseBackupLine("{\"message_type\":\"status\"", status, summary));
  EXPECT_TRUE(ParseBackupLine(R"({"message_type":"status","bytes_done":-1})", status, summary));
  EXPECT_EQ(status.bytes_done, 0u);
}

TEST(ResticTest, TellsWhyItFailed) {
  struct Case {
    int code;
    const char* err;
    const char* error_class;
    bool retryable;
  };
  const Case cases[] = {
      {10,
       R"({"message_type":"exit_error","code":10,"message":"Fatal: repository does not exist"})",
       kNotFound, false},
      {11, "Fatal: unable to create lock", kRepository, true},
      {12, "Fatal: wrong password or no key found", kRepository, false},
      {1,
       R"({"message_type":"exit_error","code":1,"message":"Fatal: unable to save snapshot: )"
       R"(failed to save /a.dump: Fatal: command failed: exit status 3"})",
       kDumpFailed, false},
      {1, "Fatal: unable to open repository: unexpected HTTP response (401): 401 Unauthorized",
       kAuthentication, false},
      {1, "Fatal: dial tcp 127.0.0.1:1: connect: connection refused", kUnreachable, true},
      {1, "Fatal: disk full", kRepository, false},
  };
  for (const Case& item : cases) {
    Finished finished;
    finished.status.code = item.code;
    finished.err = item.err;
    const Failure failure = ClassifyRestic(finished, "copy x");
    EXPECT_EQ(failure.error_class, item.error_class) << item.err;
    EXPECT_EQ(failure.retryable, item.retryable) << item.err;
    EXPECT_THAT(failure.message, ::testing::StartsWith("copy x: ")) << item.err;
    EXPECT_THAT(failure.message, Not(HasSubstr("message_type")));
  }
}

// What a snapshot or a path is called never becomes an option of restic.
TEST(ResticTest, SetsNamesApartFromOptions) {
  Reaper reaper;
  const RepositoryAccess access;
  const Cancellation never;
  const Restic restic(reaper, access, {}, never);
  for (const Command& command :
       {restic.DumpCommand("--x", "--y"), restic.DumpFolderCommand("--x", "--y")}) {
    const auto end = std::find(command.argv.begin(), command.argv.end(), "--");
    EXPECT_EQ(std::distance(end, command.argv.end()), 3);
    for (auto it = command.argv.begin(); it != end; ++it) {
      EXPECT_THAT(*it, Not(HasSubstr("--x")));
      EXPECT_THAT(*it, Not(HasSubstr("--y")));
    }
  }
}

}  // namespace
}  // namespace longshore::worker
