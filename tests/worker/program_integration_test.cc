// SPDX-License-Identifier: Apache-2.0
//
// The whole program, started as in a pod, against a controller that does what a test tells it: the
// protocol over a real stream, with real operations behind it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <thread>

#include "common/base/files.h"
#include "common/streams/server.h"
#include "tests/worker/world.h"
#include "worker/relay.h"
#include "worker/run.h"

namespace longshore::worker {
namespace {

using messages::WorkerMessage;
using std::chrono::milliseconds;
using std::chrono::seconds;

// Accepts one token, keeps every message, sends what it is told to.
class ScriptedController : public streams::ServerHandler {
 public:
  ScriptedController() {
    const test::Certificate certificate = authority_.IssueLocalhost();
    options_.address = "127.0.0.1";
    options_.certificate_file = folder_.Write("tls.crt", certificate.certificate_pem);
    options_.key_file = folder_.Write("tls.key", certificate.key_pem);
    folder_.Write("ca.crt", authority_.ca_pem());
    folder_.Write("token", "the-token");
    StartServer();
    options_.port = server_->port();
  }
  ~ScriptedController() override { server_->Stop(); }

  void StartServer() {
    server_ = std::make_unique<streams::Server>(options_, *this);
    const auto started = server_->Start();
    EXPECT_TRUE(started) << started.error().message;
  }
  void StopServer() { server_->Stop(); }

  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  int port() const { return server_->port(); }

  void Send(const messages::ControllerMessage& message) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(wake_.wait_for(lock, seconds(30), [&] { return connection_ != 0; }));
    server_->Send(connection_, message.SerializeAsString());
  }
  void SendAssign(const messages::Assign& assign) {
    messages::ControllerMessage message;
    *message.mutable_assign() = assign;
    Send(message);
  }
  void SendReleased(uint64_t epoch) {
    messages::ControllerMessage message;
    message.mutable_released()->set_epoch(epoch);
    Send(message);
  }

  // The next message of a kind; others before it are passed over.
  WorkerMessage Await(WorkerMessage::KindCase kind) {
    const auto deadline = std::chrono::steady_clock::now() + seconds(90);
    std::unique_lock lock(mutex_);
    while (true) {
      while (!messages_.empty()) {
        WorkerMessage message = std::move(messages_.front());
        messages_.pop_front();
        if (message.kind_case() == kind) return message;
      }
      wake_.wait_until(lock, deadline);
      if (std::chrono::steady_clock::now() >= deadline) {
        ADD_FAILURE() << "no message of kind " << kind;
        return {};
      }
    }
  }
  size_t refused() const { return refused_; }

 private:
  void Authenticate(const streams::Handshake& handshake, Decision done) override {
    if (handshake.path == "/v1/workers" && handshake.bearer_token == "the-token") {
      return done(std::string("worker"));
    }
    ++refused_;
    done(Error{Code::kUnauthenticated, "not the token"});
  }
  void OnOpen(streams::ConnectionId id, const std::string&, const std::string&) override {
    const std::lock_guard lock(mutex_);
    connection_ = id;
    wake_.notify_all();
  }
  void OnMessage(streams::ConnectionId, std::string_view bytes) override {
    WorkerMessage message;
    EXPECT_TRUE(message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())));
    const std::lock_guard lock(mutex_);
    messages_.push_back(std::move(message));
    wake_.notify_all();
  }
  void OnClose(streams::ConnectionId, const std::string&) override {
    const std::lock_guard lock(mutex_);
    connection_ = 0;
  }

  test::TemporaryFolder folder_;
  test::TestAuthority authority_;
  streams::ServerOptions options_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<WorkerMessage> messages_;
  streams::ConnectionId connection_ = 0;
  std::atomic<size_t> refused_{0};
  std::unique_ptr<streams::Server> server_;
};

class ProgramTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new test::PostgresqlServer();
    repository_ = new test::RestServer();
    server_->Sql("postgres", "CREATE DATABASE shop");
    server_->Sql("shop",
                 "CREATE TABLE t AS SELECT i, md5(i::text) || md5((i + 1)::text) AS h FROM "
                 "generate_series(1, 1000000) i");
  }
  static void TearDownTestSuite() {
    delete repository_;
    delete server_;
  }

  void StartWorker() {
    const std::string log = folder_.path() + "/log";
    std::filesystem::create_directories(folder_.path() + "/scratch");
    std::filesystem::create_directories(folder_.path() + "/secrets");
    Command command{
        {"sh", "-c", "exec \"$0\" \"$@\" >" + log + " 2>&1", LONGSHORE_WORKER, "--controller",
         "localhost:" + std::to_string(controller_.port()), "--ca-file", controller_.path("ca.crt"),
         "--token-file", controller_.path("token"), "--kind", "postgresql", "--scratch",
         folder_.path() + "/scratch", "--secrets-dir", folder_.path() + "/secrets"},
        BaseEnvironment("/tmp"),
        ""};
    auto started = Process::Start(test::TheReaper(), command);
    ASSERT_TRUE(started) << started.error().message;
    process_ = std::move(*started);
  }
  void TearDown() override {
    if (HasFailure()) std::cerr << ReadFile(folder_.path() + "/log").value_or("") << "\n";
  }
  static messages::Assign Assign(const std::string& type, const std::string& copy_id) {
    auto assign = test::NewAssign(type, "shop", copy_id, repository_->Repository());
    *assign.mutable_postgresql() = server_->Source("backup");
    return assign;
  }
  int Ready() {
    const auto finished =
        worker::Run(test::TheReaper(),
                    {{LONGSHORE_WORKER, "--ready", "--scratch", folder_.path() + "/scratch"},
                     BaseEnvironment("/tmp"),
                     ""},
                    {});
    return finished ? finished->status.code : -1;
  }
  // Told to stop, it exits with 0.
  void ExpectExit() {
    const auto status = process_->WaitFor(seconds(60));
    ASSERT_TRUE(status) << "it still runs";
    EXPECT_TRUE(status->ok()) << status->ToString();
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path() + "/secrets"));
  }

  static test::PostgresqlServer* server_;
  static test::RestServer* repository_;
  ScriptedController controller_;
  test::TemporaryFolder folder_;
  std::unique_ptr<Process> process_;
};
test::PostgresqlServer* ProgramTest::server_ = nullptr;
test::RestServer* ProgramTest::repository_ = nullptr;

TEST_F(ProgramTest, ServesOperationsOneAfterAnother) {
  StartWorker();
  const auto hello = controller_.Await(WorkerMessage::kHello).hello();
  EXPECT_EQ(hello.kind(), "postgresql");
  EXPECT_TRUE(hello.tools().contains("pg_dump"));
  EXPECT_TRUE(hello.tools().contains("restic"));
  controller_.Await(WorkerMessage::kIdle);
  EXPECT_EQ(Ready(), 0);

  const auto check = Assign("Check", "");
  controller_.SendAssign(check);
  EXPECT_TRUE(controller_.Await(WorkerMessage::kAssignReply).assign_reply().accepted());
  const auto checked = controller_.Await(WorkerMessage::kResult).result();
  EXPECT_TRUE(checked.succeeded()) << checked.error_message();
  EXPECT_EQ(checked.epoch(), check.epoch());
  controller_.SendReleased(check.epoch());
  controller_.Await(WorkerMessage::kIdle);

  const auto backup = Assign("Backup", "copy-program");
  controller_.SendAssign(backup);
  const auto progress = controller_.Await(WorkerMessage::kProgress).progress();
  EXPECT_EQ(progress.epoch(), backup.epoch());
  EXPECT_NE(progress.phase(), "");
  const auto copied = controller_.Await(WorkerMessage::kResult).result();
  EXPECT_TRUE(copied.succeeded()) << copied.error_message();
  EXPECT_EQ(copied.copy().rows(), 1000000u);
  controller_.Await(WorkerMessage::kResult);  // again, until it is released
  controller_.SendReleased(backup.epoch());

  controller_.Await(WorkerMessage::kIdle);
  messages::ControllerMessage retire;
  retire.mutable_retire();
  controller_.Send(retire);
  EXPECT_TRUE(controller_.Await(WorkerMessage::kRetireReply).retire_reply().accepted());
  process_->Signal(SIGTERM);
  ExpectExit();
}

TEST_F(ProgramTest, GoesOnWhenTheControllerIsAwayAndTellsItAfterwards) {
  StartWorker();
  controller_.Await(WorkerMessage::kIdle);
  const auto backup = Assign("Backup", "copy-away");
  controller_.SendAssign(backup);
  controller_.Await(WorkerMessage::kProgress);
  controller_.StopServer();
  std::this_thread::sleep_for(seconds(1));
  controller_.StartServer();
  const auto hello = controller_.Await(WorkerMessage::kHello).hello();
  EXPECT_EQ(hello.running_operation(), backup.operation());
  EXPECT_EQ(hello.running_epoch(), backup.epoch());
  const auto copied = controller_.Await(WorkerMessage::kResult).result();
  EXPECT_TRUE(copied.succeeded()) << copied.error_message();
  controller_.SendReleased(backup.epoch());
  controller_.Await(WorkerMessage::kIdle);
  process_->Signal(SIGTERM);
  ExpectExit();
}

TEST_F(ProgramTest, CancelsAndStaysUsable) {
  StartWorker();
  controller_.Await(WorkerMessage::kIdle);
  const auto backup = Assign("Backup", "copy-program-cancelled");
  controller_.SendAssign(backup);
  while (controller_.Await(WorkerMessage::kProgress).progress().phase() != "Copying") {
  }
  messages::ControllerMessage cancel;
  cancel.mutable_cancel()->set_epoch(backup.epoch());
  controller_.Send(cancel);
  const auto result = controller_.Await(WorkerMessage::kResult).result();
  EXPECT_EQ(result.error_class(), "Cancelled");
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() + "/secrets"));
  controller_.SendReleased(backup.epoch());
  const auto check = Assign("Check", "");
  controller_.SendAssign(check);
  EXPECT_TRUE(controller_.Await(WorkerMessage::kAssignReply).assign_reply().accepted());
  EXPECT_TRUE(controller_.Await(WorkerMessage::kResult).result().succeeded());
  controller_.SendReleased(check.epoch());
  process_->Signal(SIGTERM);
  ExpectExit();
}

TEST_F(ProgramTest, FinishesItsOperationAfterSigterm) {
  StartWorker();
  controller_.Await(WorkerMessage::kIdle);
  const auto backup = Assign("Backup", "copy-sigterm");
  controller_.SendAssign(backup);
  controller_.Await(WorkerMessage::kProgress);
  process_->Signal(SIGTERM);
  controller_.SendAssign(Assign("Check", ""));
  EXPECT_EQ(controller_.Await(WorkerMessage::kAssignReply).assign_reply().reason(), "Busy");
  const auto result = controller_.Await(WorkerMessage::kResult).result();
  EXPECT_TRUE(result.succeeded()) << result.error_message();
  EXPECT_FALSE(process_->status());
  controller_.SendReleased(backup.epoch());
  ExpectExit();
}

TEST_F(ProgramTest, IsNotReadyWithAWrongToken) {
  std::ofstream(controller_.path("token")) << "another";
  StartWorker();
  while (controller_.refused() == 0) std::this_thread::sleep_for(milliseconds(20));
  EXPECT_NE(Ready(), 0);
  std::ofstream(controller_.path("token")) << "the-token";  // it is read again for each attempt
  controller_.Await(WorkerMessage::kIdle);
  EXPECT_EQ(Ready(), 0);
  process_->Signal(SIGTERM);
  ExpectExit();
}

TEST_F(ProgramTest, WipesSecretsThatAKilledContainerLeft) {
  std::filesystem::create_directories(folder_.path() + "/secrets/epoch-9");
  std::ofstream(folder_.path() + "/secrets/epoch-9/pgpass") << "secret";
  StartWorker();
  controller_.Await(WorkerMessage::kHello);
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path() + "/secrets"));
  process_->Signal(SIGTERM);
  ExpectExit();
}

TEST_F(ProgramTest, RefusesABadStartWithOneLine) {
  struct Case {
    std::vector<std::string> arguments;
    const char* message;
  };
  const std::vector<std::string> good = {"--controller",  "a:1",      "--ca-file", "/x",
                                         "--token-file",  "/y",       "--scratch", "/tmp",
                                         "--secrets-dir", "/tmp/none"};
  const Case cases[] = {{{}, "--controller"},
                        {{"--controller", "nowhere"}, "--controller"},
                        {{"--controller", "a:99999"}, "--controller"},
                        {{"--controller", "a:1"}, "--ca-file"},
                        {good, "--secrets-dir"},
                        {{"--no-such-flag"}, "--no-such-flag"}};
  for (const Case& item : cases) {
    std::vector<std::string> argv = {LONGSHORE_WORKER};
    argv.insert(argv.end(), item.arguments.begin(), item.arguments.end());
    const auto finished = worker::Run(test::TheReaper(), {argv, BaseEnvironment("/tmp"), ""}, {});
    ASSERT_TRUE(finished);
    EXPECT_EQ(finished->status.code, 2) << finished->err;
    EXPECT_EQ(std::count(finished->err.begin(), finished->err.end(), '\n'), 1) << finished->err;
    EXPECT_THAT(finished->err, ::testing::HasSubstr(item.message));
  }
}

}  // namespace
}  // namespace longshore::worker
