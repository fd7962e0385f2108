// SPDX-License-Identifier: Apache-2.0
//
// The filesystem operations against a real repository.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <thread>

#include "common/base/strings.h"
#include "tests/worker/world.h"
#include "worker/file_manifest.h"

namespace longshore::worker {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class FilesystemTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { repository_ = new test::RestServer(); }
  static void TearDownTestSuite() { delete repository_; }

  void SetUp() override {
    Write("source/app/plain.txt", "hello\n");
    Write("source/app/empty", "");
    Write("source/app/sub/na\xc3\xafve %41 \n name", std::string(3000000, 'x'));
    Write("source/app/secret.key", "k");
    ::chmod(worker_.path("source/app/secret.key").c_str(), 0600);
    fs::create_directories(worker_.path("source/app/hollow/deep"));
    fs::create_symlink("../nowhere", worker_.path("source/app/link"));
    Write("source/other/not-mine", "x");
  }

  void Write(const std::string& name, const std::string& content) {
    fs::create_directories(fs::path(worker_.path(name)).parent_path());
    std::ofstream(worker_.path(name)) << content;
  }
  messages::Assign Assign(const std::string& type, const std::string& part,
                          const std::string& copy_id, const std::string& repository = "files") {
    auto assign = test::NewAssign(type, part, copy_id, repository_->Repository(repository));
    assign.mutable_filesystem()->set_path(worker_.settings().source_dir);
    return assign;
  }

  static test::RestServer* repository_;
  test::TestWorker worker_{"filesystem"};
};
test::RestServer* FilesystemTest::repository_ = nullptr;

TEST_F(FilesystemTest, RestoresACopyThatEqualsItsManifest) {
  ASSERT_TRUE(worker_.Run(Assign("Check", "app", "")).succeeded());
  const auto backup = worker_.Run(Assign("Backup", "app", "copy-files"));
  ASSERT_TRUE(backup.succeeded()) << backup.error_class() << ": " << backup.error_message();
  EXPECT_EQ(backup.copy().items(), 8u);
  EXPECT_EQ(backup.copy().bytes(), 3000007u);

  const std::string record = test::OutsideRestic(
      repository_->Repository("files"), {"dump", backup.copy().record_snapshot(), "/record.json"});
  EXPECT_TRUE(test::DigestHoldsOutside(record));
  EXPECT_EQ(backup.copy().record_digest(), Sha256Hex(record));

  const auto verified = worker_.Run(Assign("Verify", "app", "copy-files"));
  EXPECT_TRUE(verified.succeeded()) << verified.error_message();

  auto restore = Assign("Restore", "app", "copy-files");
  restore.set_target_part("again/app");
  const auto restored = worker_.Run(restore);
  ASSERT_TRUE(restored.succeeded()) << restored.error_class() << ": " << restored.error_message();
  EXPECT_EQ(restored.copy().manifest_digest(), backup.copy().manifest_digest());
  EXPECT_EQ(restored.copy().record_digest(), backup.copy().record_digest());
  EXPECT_EQ(fs::read_symlink(worker_.path("target/again/app/link")), "../nowhere");
  struct stat status{};
  ASSERT_EQ(::stat(worker_.path("target/again/app/secret.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  EXPECT_FALSE(fs::exists(worker_.path("target/again/app/not-mine")));

  EXPECT_EQ(worker_.Run(restore).error_class(), "NotEmpty");
  EXPECT_EQ(worker_.SecretsLeft(), 0u);
}

mode_t ModeOf(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

// Nobody but the worker could enter what it made with its own umask.
TEST_F(FilesystemTest, FoldersThatARestoreMakesHaveTheModeOfTheCopiedOne) {
  ::chmod(worker_.path("source/app").c_str(), 02755);
  ASSERT_TRUE(worker_.Run(Assign("Backup", "app", "copy-mode")).succeeded());
  auto restore = Assign("Restore", "app", "copy-mode");
  restore.set_target_part("made/app");
  const auto restored = worker_.Run(restore);
  ASSERT_TRUE(restored.succeeded()) << restored.error_message();
  EXPECT_EQ(ModeOf(worker_.path("target/made/app")), 02755u);
  EXPECT_EQ(ModeOf(worker_.path("target/made")), 02755u);

  fs::create_directories(worker_.path("target/was/there"));
  ::chmod(worker_.path("target/was/there").c_str(), 0711);
  restore.set_target_part("was/there");
  restore.set_epoch(restore.epoch() + 1);
  ASSERT_TRUE(worker_.Run(restore).succeeded());
  EXPECT_EQ(ModeOf(worker_.path("target/was/there")), 0711u);
}

TEST_F(FilesystemTest, ARestoreThatFailsLeavesNoFolder) {
  ASSERT_TRUE(worker_.Run(Assign("Backup", "app", "copy-gone")).succeeded());
  auto restore = Assign("Restore", "app", "copy-gone");
  restore.set_target_part("made/app");
  Cancellation cancellation;
  std::jthread cancel([&](const std::stop_token& stop) {
    while (!stop.stop_requested() && !fs::exists(worker_.path("target/made"))) {
      std::this_thread::yield();
    }
    cancellation.Cancel();
  });
  EXPECT_EQ(worker_.Run(restore, cancellation).error_class(), "Cancelled");
  EXPECT_FALSE(fs::exists(worker_.path("target/made")));
}

// As the controller mounts the claim: to be read, to be written, or not at all.
TEST_F(FilesystemTest, KnowsWhatItsPodIsFor) {
  ASSERT_TRUE(worker_.Run(Assign("Backup", "app", "copy-for")).succeeded());
  worker_.settings().source_dir = worker_.path("none");
  EXPECT_TRUE(worker_.Run(Assign("Check", "", "")).succeeded());
  const auto backup = worker_.Run(Assign("Backup", "app", "copy-y"));
  EXPECT_EQ(backup.error_class(), "Configuration") << backup.error_message();
  worker_.settings().target_dir = worker_.path("none");
  const auto restore = worker_.Run(Assign("Restore", "app", "copy-for"));
  EXPECT_EQ(restore.error_class(), "Configuration");
  EXPECT_THAT(restore.error_message(), HasSubstr("requests for Backup mount the claim"));
}

TEST(FileFailureTest, ARefusedPathSaysToWhomAndWhatHelps) {
  const Failure failure = FileFailure(EACCES, "/source/app");
  EXPECT_EQ(failure.error_class, "Authentication");
  EXPECT_EQ(failure.message, "/source/app: Permission denied to user " +
                                 std::to_string(::geteuid()) + " and group " +
                                 std::to_string(::getegid()) +
                                 "; set runAsUser and runAsGroup of the PodPolicy to who may, "
                                 "then make a new request");
}

TEST_F(FilesystemTest, NamesFilesThatChangeWhileTheyAreRead) {
  Write("source/busy/quiet", std::string(20000000, 'q'));
  std::atomic<bool> done{false};
  std::thread writer([&] {
    while (!done) std::ofstream(worker_.path("source/busy/log"), std::ios::app) << "line\n";
  });
  const auto backup = worker_.Run(Assign("Backup", "busy", "copy-busy"));
  done = true;
  writer.join();
  ASSERT_TRUE(backup.succeeded()) << backup.error_message();
  const std::string record = test::OutsideRestic(
      repository_->Repository("files"), {"dump", backup.copy().record_snapshot(), "/record.json"});
  EXPECT_THAT(record, HasSubstr(R"("changedWhileRead":["log"])"));
  auto restore = Assign("Restore", "busy", "copy-busy");
  const auto restored = worker_.Run(restore);
  EXPECT_TRUE(restored.succeeded()) << restored.error_message();
  const auto verified = worker_.Run(Assign("Verify", "busy", "copy-busy"));
  EXPECT_TRUE(verified.succeeded()) << verified.error_message();
}

TEST_F(FilesystemTest, TellsWhatIsWrongWithItsInput) {
  EXPECT_EQ(worker_.Run(Assign("Backup", "missing", "copy-x")).error_class(), "NotFound");
  EXPECT_EQ(worker_.Run(Assign("Backup", "../..", "copy-x")).error_class(), "Configuration");
  EXPECT_EQ(worker_.Run(Assign("Backup", "a\nb", "copy-x")).error_class(), "Configuration");
  EXPECT_EQ(worker_.Run(Assign("Backup", "app/link", "copy-x")).error_class(), "NotFound");
  EXPECT_EQ(worker_.Run(Assign("Restore", "app", "copy-none")).error_class(), "NotFound");
  auto database = Assign("Backup", "app", "copy-x");
  database.mutable_postgresql();
  EXPECT_EQ(worker_.Run(database).error_class(), "Configuration");
}

TEST_F(FilesystemTest, FindsADamagedRepository) {
  ASSERT_TRUE(worker_.Run(Assign("Backup", "app", "copy-damaged", "damaged")).succeeded());
  // One byte of the biggest pack: where the three megabytes are.
  fs::path biggest;
  for (const auto& entry :
       fs::recursive_directory_iterator(repository_->data() + "/writer/damaged/data")) {
    if (entry.is_regular_file() &&
        (biggest.empty() || entry.file_size() > fs::file_size(biggest))) {
      biggest = entry.path();
    }
  }
  fs::permissions(biggest, fs::perms::owner_all);
  std::fstream pack(biggest, std::ios::in | std::ios::out | std::ios::binary);
  const auto middle = static_cast<std::streamoff>(fs::file_size(biggest) / 2);
  pack.seekg(middle);
  const char byte = static_cast<char>(pack.get() ^ 0x55);
  pack.seekp(middle);
  pack.put(byte);
  pack.close();
  fs::remove_all(worker_.settings().scratch + "/restic-cache");
  const auto verified = worker_.Run(Assign("Verify", "app", "copy-damaged", "damaged"));
  EXPECT_FALSE(verified.succeeded());
  EXPECT_THAT(verified.error_class(), ::testing::AnyOf("Repository", "Mismatch"))
      << verified.error_message();
}

}  // namespace
}  // namespace longshore::worker
