// SPDX-License-Identifier: Apache-2.0
//
// The filesystem operations against a real repository.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tests/worker/world.h"

namespace longshore::worker {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class FilesystemTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { repository_ = new testing::RestServer(); }
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
    auto assign = testing::NewAssign(type, part, copy_id, repository_->Repository(repository));
    assign.mutable_filesystem()->set_path(worker_.settings().source_dir);
    return assign;
  }

  static testing::RestServer* repository_;
  testing::TestWorker worker_{"filesystem"};
};
testing::RestServer* FilesystemTest::repository_ = nullptr;

TEST_F(FilesystemTest, RestoresACopyThatEqualsItsManifest) {
  ASSERT_TRUE(worker_.Run(Assign("Check", "app", "")).succeeded());
  const auto backup = worker_.Run(Assign("Backup", "app", "copy-files"));
  ASSERT_TRUE(backup.succeeded()) << backup.error_class() << ": " << backup.error_message();
  EXPECT_EQ(backup.copy().items(), 8u);
  EXPECT_EQ(backup.copy().bytes(), 3000007u);

  EXPECT_TRUE(testing::DigestHoldsOutside(
      testing::OutsideRestic(repository_->Repository("files"),
                             {"dump", backup.copy().record_snapshot(), "/record.json"})));

  const auto verified = worker_.Run(Assign("Verify", "app", "copy-files"));
  EXPECT_TRUE(verified.succeeded()) << verified.error_message();

  auto restore = Assign("Restore", "app", "copy-files");
  restore.set_target_part("again/app");
  const auto restored = worker_.Run(restore);
  ASSERT_TRUE(restored.succeeded()) << restored.error_class() << ": " << restored.error_message();
  EXPECT_EQ(restored.copy().manifest_digest(), backup.copy().manifest_digest());
  EXPECT_EQ(fs::read_symlink(worker_.path("target/again/app/link")), "../nowhere");
  struct stat status{};
  ASSERT_EQ(::stat(worker_.path("target/again/app/secret.key").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  EXPECT_FALSE(fs::exists(worker_.path("target/again/app/not-mine")));

  EXPECT_EQ(worker_.Run(restore).error_class(), "NotEmpty");
  EXPECT_EQ(worker_.SecretsLeft(), 0u);
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
  const std::string record = testing::OutsideRestic(
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
