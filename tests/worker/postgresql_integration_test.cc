// SPDX-License-Identifier: Apache-2.0
//
// The postgresql operations against a real server, a real repository and the real tools.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/strings.h"
#include "tests/worker/world.h"
#include "worker/postgresql_snapshot.h"

namespace longshore::worker {
namespace {

using test::NewAssign;
using ::testing::HasSubstr;
using ::testing::Not;

// Everything that makes a dump, a hash or a name awkward.
constexpr char kSchema[] = R"sql(
CREATE SCHEMA "My: Schema";
CREATE TABLE customers (id serial PRIMARY KEY, name text, born date, balance money, ratio float8,
  at timestamptz, span interval, raw bytea, tags text[], doc jsonb, twice int GENERATED ALWAYS AS (length(name) * 2) STORED);
INSERT INTO customers (name, born, balance, ratio, at, span, raw, tags, doc)
  SELECT E'n\nä;\\' || i, '2000-01-01'::date + i, i / 3.0, i / 7.0, '2026-01-01'::timestamptz + i * '1h'::interval,
    i * '1 day 2 h'::interval, decode(md5(i::text), 'hex'), ARRAY['a', i::text], jsonb_build_object('i', i)
  FROM generate_series(1, 5000) i;
INSERT INTO customers (name) VALUES (NULL), (''), ('duplicate'), ('duplicate');
CREATE TABLE "My: Schema"."T ""quoted"" :x" (a int, b text);
INSERT INTO "My: Schema"."T ""quoted"" :x" VALUES (1, 'x'), (1, 'x'), (2, NULL);
CREATE TABLE empty (a int);
CREATE TABLE none ();
CREATE TABLE events (at date, n int) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2026-07-01');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2026-07-01') TO ('2027-01-01');
INSERT INTO events SELECT '2026-01-01'::date + i % 365, i FROM generate_series(1, 1000) i;
CREATE TABLE parent (a int); CREATE TABLE child (b int) INHERITS (parent);
INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 3);
CREATE UNLOGGED TABLE scratchpad (a int); INSERT INTO scratchpad VALUES (7);
CREATE SEQUENCE downwards INCREMENT -5 START -5; SELECT nextval('downwards');
CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM customers;
DO $$ BEGIN EXECUTE format('GRANT SELECT ON LARGE OBJECT %s TO backup', lo_from_bytea(0, 'large object')); END $$;
)sql";

class PostgresqlTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    server_ = new test::PostgresqlServer();
    repository_ = new test::RestServer();
    server_->Sql("postgres", "CREATE DATABASE shop");
    server_->Sql("shop", kSchema);
    server_->Sql("postgres", "CREATE DATABASE big");
    server_->Sql("big",
                 "CREATE TABLE t AS SELECT i, md5(i::text) || md5((i + 1)::text) AS h FROM "
                 "generate_series(1, 1500000) i");
  }
  static void TearDownTestSuite() {
    delete repository_;
    delete server_;
  }

  static messages::Assign Assign(const std::string& type, const std::string& part,
                                 const std::string& copy_id, const std::string& login) {
    messages::Assign assign = NewAssign(type, part, copy_id, repository_->Repository());
    *assign.mutable_postgresql() = server_->Source(login);
    return assign;
  }
  static std::string Databases() {
    return server_->Sql("postgres",
                        "SELECT string_agg(datname, ' ' ORDER BY datname) FROM "
                        "pg_database WHERE NOT datistemplate");
  }
  static std::string Sessions() {
    return server_->Sql("postgres",
                        "SELECT count(*) FROM pg_stat_activity WHERE application_name "
                        "LIKE 'longshore/%'");
  }
  // Sessions end when the server has noticed.
  static void ExpectNoSessions() {
    for (int i = 0; i < 100 && Sessions() != "0\n"; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    EXPECT_EQ(Sessions(), "0\n");
  }

  // A backup of `big` within these limits, in whose midst the repository goes to sleep.
  messages::OperationResult RunWhileTheRepositorySleeps(const std::string& copy,
                                                        uint32_t no_progress, uint32_t snapshot) {
    auto assign = Assign("Backup", "big", copy, "backup");
    assign.mutable_limits()->set_no_progress_seconds(no_progress);
    assign.mutable_limits()->set_snapshot_seconds(snapshot);
    std::atomic<bool> done{false};
    std::thread sandman([&] {
      while (!done && worker_.progress().Report().bytes_done() < (4u << 20)) {
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
      repository_->Pause();
    });
    const auto result = worker_.Run(assign);
    done = true;
    sandman.join();
    ExpectNoSessions();
    repository_->Resume();
    EXPECT_THAT(test::OutsideRestic(repository_->Repository(),
                                    {"snapshots", "--json", "--tag", "copy=" + copy}),
                HasSubstr("[]"));
    EXPECT_EQ(worker_.SecretsLeft(), 0u);
    return result;
  }

  static test::PostgresqlServer* server_;
  static test::RestServer* repository_;
  test::TestWorker worker_{"postgresql"};
};
test::PostgresqlServer* PostgresqlTest::server_ = nullptr;
test::RestServer* PostgresqlTest::repository_ = nullptr;

TEST_F(PostgresqlTest, ChecksLoginAndMakesTheRepository) {
  const auto result = worker_.Run(Assign("Check", "shop", "", "backup"));
  ASSERT_TRUE(result.succeeded()) << result.error_class() << ": " << result.error_message();
  EXPECT_THAT(result.server_version(), ::testing::MatchesRegex("[0-9]+\\.[0-9]+"));
  EXPECT_EQ(worker_.SecretsLeft(), 0u);
}

TEST_F(PostgresqlTest, RestoresACopyThatEqualsItsManifest) {
  const auto backup = worker_.Run(Assign("Backup", "shop", "copy-equal", "backup"));
  ASSERT_TRUE(backup.succeeded()) << backup.error_class() << ": " << backup.error_message();
  EXPECT_EQ(backup.copy().id(), "copy-equal");
  EXPECT_EQ(backup.copy().items(), 9u);
  EXPECT_EQ(backup.copy().rows(), 6010u);
  EXPECT_THAT(backup.copy().position(), HasSubstr("/"));
  EXPECT_GT(backup.copy().bytes(), 500000u);

  EXPECT_TRUE(test::DigestHoldsOutside(test::OutsideRestic(
      repository_->Repository(), {"dump", backup.copy().record_snapshot(), "/record.json"})));

  // The living source moves on: the restore is compared with the copy, not with it.
  server_->Sql("shop", "INSERT INTO empty VALUES (1)");
  auto restore = Assign("Restore", "shop", "copy-equal", "restore");
  restore.set_target_part("shop restored");
  const auto restored = worker_.Run(restore);
  ASSERT_TRUE(restored.succeeded()) << restored.error_class() << ": " << restored.error_message();
  EXPECT_EQ(restored.copy().manifest_digest(), backup.copy().manifest_digest());
  EXPECT_EQ(server_->Sql("shop restored", "SELECT count(*) FROM customers"), "5004\n");
  EXPECT_EQ(server_->Sql("shop restored", "SELECT count(*) FROM empty"), "0\n");
  EXPECT_EQ(server_->Sql("shop restored", "SELECT count FROM totals"), "5004\n");
  server_->Sql("shop", "DELETE FROM empty");

  const auto verified = worker_.Run(Assign("Verify", "shop", "copy-equal", "restore"));
  EXPECT_TRUE(verified.succeeded()) << verified.error_message();

  // Again into the same place: it holds something now.
  const auto refused = worker_.Run(restore);
  EXPECT_EQ(refused.error_class(), "NotEmpty");
  EXPECT_EQ(server_->Sql("shop restored", "SELECT count(*) FROM customers"), "5004\n");
  server_->Sql("postgres", "DROP DATABASE \"shop restored\"");
  EXPECT_EQ(Databases(), "big postgres shop\n");
  ExpectNoSessions();
}

TEST_F(PostgresqlTest, CommitsACopyOnce) {
  const auto assign = Assign("Backup", "shop", "copy-once", "backup");
  const auto first = worker_.Run(assign);
  ASSERT_TRUE(first.succeeded()) << first.error_message();
  auto again = assign;
  again.set_epoch(assign.epoch() + 1000);
  again.set_attempt(2);
  const auto second = worker_.Run(again);
  ASSERT_TRUE(second.succeeded()) << second.error_message();
  EXPECT_EQ(second.copy().data_snapshot(), first.copy().data_snapshot());
  EXPECT_EQ(second.copy().record_snapshot(), first.copy().record_snapshot());
}

TEST_F(PostgresqlTest, TakesTheEmptyDatabaseOfTheTargetName) {
  ASSERT_TRUE(worker_.Run(Assign("Backup", "shop", "copy-empty-target", "backup")).succeeded());
  server_->Sql("postgres", "CREATE ROLE somebody; CREATE DATABASE waiting OWNER somebody");
  auto restore = Assign("Restore", "shop", "copy-empty-target", "restore");
  restore.set_target_part("waiting");
  const auto restored = worker_.Run(restore);
  ASSERT_TRUE(restored.succeeded()) << restored.error_class() << ": " << restored.error_message();
  EXPECT_EQ(server_->Sql("postgres",
                         "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE "
                         "datname = 'waiting'"),
            "somebody\n");
  server_->Sql("postgres", "DROP DATABASE waiting; DROP ROLE somebody");
}

TEST_F(PostgresqlTest, LeavesNothingOfARestoreThatDoesNotEqual) {
  const auto backup = worker_.Run(Assign("Backup", "shop", "copy-mismatch", "backup"));
  ASSERT_TRUE(backup.succeeded()) << backup.error_message();
  std::atomic<bool> stop{false};
  // Spoils one row in the restored database as soon as the table is there.
  std::thread vandal([&] {
    while (!stop) {
      const std::string name = server_->Sql(
          "postgres", "SELECT datname FROM pg_database WHERE datname LIKE 'longshore_restore_%'");
      if (name.empty()) continue;
      const std::string database(Trim(name));
      // One session that looks every 5 ms: a new one for each look would come too late on a busy
      // machine.
      const std::string done = server_->Sql(
          database,
          "DO $$ BEGIN FOR i IN 1..2000 LOOP "
          "BEGIN UPDATE ONLY public.parent SET a = 42; IF FOUND THEN RETURN; END IF; "
          "EXCEPTION WHEN OTHERS THEN NULL; END; PERFORM pg_sleep(0.005); END LOOP; END $$; "
          "SELECT 1");
      if (done == "1\n") return;
    }
  });
  auto restore = Assign("Restore", "shop", "copy-mismatch", "restore");
  restore.set_target_part("spoilt");
  const auto restored = worker_.Run(restore);
  stop = true;
  vandal.join();
  EXPECT_FALSE(restored.succeeded());
  EXPECT_EQ(restored.error_class(), "Mismatch") << restored.error_message();
  EXPECT_THAT(restored.error_message(), HasSubstr("public.parent"));
  EXPECT_EQ(Databases(), "big postgres shop\n");
  ExpectNoSessions();
}

TEST_F(PostgresqlTest, MakesNoCopyOfADumpThatFailsHalfWay) {
  std::atomic<bool> done{false};
  std::thread killer([&] {
    while (!done) {
      if (worker_.progress().Report().bytes_done() > (4u << 20)) {
        server_->Sql("postgres",
                     "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE "
                     "query LIKE 'COPY %'");
        return;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
  const auto result = worker_.Run(Assign("Backup", "big", "copy-broken", "backup"));
  done = true;
  killer.join();
  EXPECT_FALSE(result.succeeded());
  EXPECT_THAT(result.error_class(), ::testing::AnyOf("Unreachable", "DumpFailed"))
      << result.error_message();
  EXPECT_THAT(test::OutsideRestic(repository_->Repository(),
                                  {"snapshots", "--json", "--tag", "copy=copy-broken"}),
              HasSubstr("[]"));
  EXPECT_EQ(worker_.SecretsLeft(), 0u);
  ExpectNoSessions();
}

// The catalogue is the server's: SQL in it (here the condition of an extension's table) must not
// make psql run a program beside the secrets.
TEST_F(PostgresqlTest, RunsNoCommandOutOfTheCatalogue) {
  const std::string mark = worker_.path("ran");
  server_->Sql("postgres", "CREATE DATABASE hostile");
  server_->Sql("hostile",
               "CREATE TABLE t (a int); ALTER EXTENSION plpgsql ADD TABLE t;"
               "UPDATE pg_extension SET extconfig = ARRAY['public.t'::regclass::oid], "
               "extcondition = ARRAY[E'WHERE true \\\\! touch " +
                   mark + "\\n'] WHERE extname = 'plpgsql'");
  const auto result = worker_.Run(Assign("Backup", "hostile", "copy-hostile", "backup"));
  server_->Sql("postgres", "DROP DATABASE hostile");
  EXPECT_FALSE(std::filesystem::exists(mark));
  EXPECT_EQ(result.error_class(), "Configuration") << result.error_message();
  EXPECT_THAT(result.error_message(), HasSubstr("public.t"));
}

// Should a server's words get out of their quotes all the same, psql refuses to run them.
TEST_F(PostgresqlTest, PsqlRefusesItsOwnCommands) {
  SecretFolder& folder = *SecretFolder::Create(worker_.path(""), 1)->release();
  const std::unique_ptr<SecretFolder> owned(&folder);
  Redactor redactor;
  const auto access = WritePostgresqlSecrets(folder, redactor, server_->Source("backup"), "test");
  ASSERT_TRUE(access.has_value());
  const Cancellation never;
  auto session = PsqlSession::Open(test::TheReaper(), *access, "shop", "/tmp", never);
  ASSERT_TRUE(session.has_value()) << session.error().message;
  const std::string mark = worker_.path("ran");
  const auto rows = (*session)->Query("SELECT 1\n\\! touch " + mark + "\n");
  EXPECT_FALSE(rows.has_value());
  EXPECT_FALSE(std::filesystem::exists(mark));
}

// The server cuts a long name inside a character and says the rest back to us.
TEST_F(PostgresqlTest, ResultsCanAlwaysBeParsed) {
  std::string name;
  for (int i = 0; i < 32; ++i) name += "\u00e4";
  const auto result = worker_.Run(Assign("Backup", name, "copy-utf8", "backup"));
  EXPECT_EQ(result.error_class(), "NotFound") << result.error_message();
  EXPECT_EQ(result.error_message(), ToValidUtf8(result.error_message()));
  messages::OperationResult parsed;
  EXPECT_TRUE(parsed.ParseFromString(result.SerializeAsString()));
}

// A server can send notices for ever, and the dump passes them on.
TEST_F(PostgresqlTest, ANoisyDumpDoesNotFillTheVolume) {
  const std::string bin = worker_.path("bin"), seen = worker_.path("seen");
  std::filesystem::create_directory(bin);
  std::ofstream(bin + "/pg_dump") << "#!/bin/sh\nhead -c 20000000 /dev/zero | tr '\\0' x >&2\n"
                                  << "stat -c %s " << worker_.settings().scratch << "/pg_dump.err >"
                                  << seen << "\nexit 1\n";
  std::filesystem::permissions(bin + "/pg_dump", std::filesystem::perms::owner_all);
  const std::string path = std::getenv("PATH");
  ::setenv("PATH", (bin + ":" + path).c_str(), 1);
  const auto result = worker_.Run(Assign("Backup", "shop", "copy-noisy", "backup"));
  ::setenv("PATH", path.c_str(), 1);
  EXPECT_EQ(result.error_class(), "DumpFailed") << result.error_message().substr(0, 200);
  EXPECT_LT(result.error_message().size(), 10000u);
  const auto size = ReadFile(seen);
  ASSERT_TRUE(size.has_value());
  EXPECT_LE(ParseInt(Trim(*size)).value_or(-1), 1 << 20);
  EXPECT_GT(ParseInt(Trim(*size)).value_or(-1), 0);
}

TEST_F(PostgresqlTest, LeavesNothingOfACancelledBackup) {
  Cancellation cancellation;
  std::atomic<bool> done{false};
  std::thread canceller([&] {
    while (!done && worker_.progress().Report().bytes_done() < (4u << 20)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    cancellation.Cancel();
  });
  const auto start = std::chrono::steady_clock::now();
  const auto result =
      worker_.Run(Assign("Backup", "big", "copy-cancelled", "backup"), cancellation);
  done = true;
  canceller.join();
  EXPECT_EQ(result.error_class(), "Cancelled") << result.error_message();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
  EXPECT_THAT(test::OutsideRestic(repository_->Repository(),
                                  {"snapshots", "--json", "--tag", "copy=copy-cancelled"}),
              HasSubstr("[]"));
  EXPECT_EQ(test::OutsideRestic(repository_->Repository(), {"list", "locks", "--no-lock"}), "");
  EXPECT_EQ(worker_.SecretsLeft(), 0u);
  ExpectNoSessions();
  // No tool of ours is left: each had the scratch folder as its HOME.
  for (const auto& process : std::filesystem::directory_iterator("/proc")) {
    // Processes come and go.
    const std::string text = ReadFile(process.path() / "environ").value_or("");
    EXPECT_THAT(text, Not(HasSubstr("HOME=" + worker_.settings().scratch))) << process.path();
  }
}

TEST_F(PostgresqlTest, ARepositoryThatSleepsEndsTheBackupAndItsSessions) {
  const auto result = RunWhileTheRepositorySleeps("copy-stalled", 15, 0);
  EXPECT_EQ(result.error_class(), "Stalled") << result.error_message();
  EXPECT_TRUE(result.retryable());
  EXPECT_THAT(result.error_message(), HasSubstr("in phase Copying"));
}

TEST_F(PostgresqlTest, ASnapshotIsNotHeldForLongerThanAllowed) {
  const auto result = RunWhileTheRepositorySleeps("copy-expired", 0, 8);
  EXPECT_EQ(result.error_class(), "SnapshotExpired") << result.error_message();
  EXPECT_FALSE(result.retryable());
}

TEST_F(PostgresqlTest, KeepsSecretsOutOfArgumentsAndEnvironments) {
  std::atomic<bool> done{false};
  size_t seen = 0;
  std::thread watcher([&] {
    const std::vector<std::string> secrets = {
        test::kBackupPassword, test::kRepositoryPassword, test::kEncryptionKey,
        PercentEncode(test::kRepositoryPassword), PercentEncode(test::kBackupPassword)};
    while (!done) {
      for (const auto& process : std::filesystem::directory_iterator("/proc")) {
        for (const char* file : {"cmdline", "environ"}) {
          const std::string text = ReadFile(process.path() / file).value_or("");
          if (text.find(worker_.settings().scratch) != std::string::npos) ++seen;
          for (const std::string& secret : secrets) {
            EXPECT_THAT(text, Not(HasSubstr(secret))) << process.path();
          }
        }
      }
    }
  });
  const auto result = worker_.Run(Assign("Backup", "big", "copy-secret", "backup"));
  done = true;
  watcher.join();
  EXPECT_TRUE(result.succeeded()) << result.error_message();
  EXPECT_GT(seen, 10u);  // it looked while the tools ran
}

TEST_F(PostgresqlTest, TellsWhatIsWrongWithItsInput) {
  struct Case {
    const char* name;
    std::function<void(messages::Assign&)> spoil;
    const char* error_class;
    const char* message;
  };
  const Case cases[] = {
      {"wrong password", [](auto& a) { a.mutable_postgresql()->set_password("wrong-secret"); },
       "Authentication", "password authentication failed"},
      {"unknown login", [](auto& a) { a.mutable_postgresql()->set_username("nobody"); },
       "Authentication", "nobody"},
      {"unknown database", [](auto& a) { a.set_part("nowhere"); }, "NotFound", "nowhere"},
      {"no part", [](auto& a) { a.clear_part(); }, "Configuration", "part"},
      {"password with line break",
       [](auto& a) { a.mutable_postgresql()->set_password("secret\n"); }, "Configuration",
       "line break"},
      {"server away",
       [](auto& a) { a.mutable_postgresql()->set_port(static_cast<uint32_t>(test::FreePort())); },
       "Unreachable", "onnection refused"},
      {"server of another authority",
       [](auto& a) { a.mutable_postgresql()->set_ca_pem(test::TestAuthority("another").ca_pem()); },
       "Configuration", "certificate verify failed"},
      {"server of another name", [](auto& a) { a.mutable_postgresql()->set_host("127.0.0.2"); },
       "Unreachable", ""},
      {"repository away",
       [](auto& a) {
         a.mutable_repository()->set_url(
             "rest:https://localhost:" + std::to_string(test::FreePort()) + "/writer/x/");
       },
       "Unreachable", "repository localhost"},
      {"repository of another authority",
       [](auto& a) { a.mutable_repository()->set_ca_pem(test::TestAuthority("another").ca_pem()); },
       "Configuration", "not trusted"},
      {"repository refuses login",
       [](auto& a) { a.mutable_repository()->set_password("wrong-secret"); }, "Authentication",
       "repository"},
      {"wrong key", [](auto& a) { a.mutable_repository()->set_encryption_key("wrong-secret"); },
       "Repository", "key"},
      {"unknown type", [](auto& a) { a.set_type("Dance"); }, "Configuration", "Dance"},
      {"copy id for a shell", [](auto& a) { a.set_copy_id("a,b"); }, "Configuration", "copyID"},
  };
  ASSERT_TRUE(worker_.Run(Assign("Check", "shop", "", "backup")).succeeded());
  for (const Case& item : cases) {
    SCOPED_TRACE(item.name);
    auto assign = Assign("Backup", "shop", "copy-bad", "backup");
    item.spoil(assign);
    const auto start = std::chrono::steady_clock::now();
    const auto result = worker_.Run(assign);
    EXPECT_EQ(result.error_class(), item.error_class) << result.error_message();
    EXPECT_THAT(result.error_message(), HasSubstr(item.message));
    EXPECT_THAT(result.error_message(), Not(HasSubstr("wrong-secret")));
    EXPECT_THAT(result.error_message(), Not(HasSubstr("#secret")));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(12));
    EXPECT_EQ(worker_.SecretsLeft(), 0u);
  }
}

TEST_F(PostgresqlTest, RestoreOfAnUnknownCopyIsNotFound) {
  const auto result = worker_.Run(Assign("Restore", "shop", "copy-unknown", "restore"));
  EXPECT_EQ(result.error_class(), "NotFound") << result.error_message();
  EXPECT_EQ(Sessions(), "0\n");
}

TEST_F(PostgresqlTest, SequencesMayMoveDuringTheDump) {
  server_->Sql("postgres", "CREATE DATABASE moving");
  server_->Sql("moving", "CREATE TABLE t (id bigserial, x text); CREATE SEQUENCE busy");
  std::atomic<bool> done{false};
  std::thread writer([&] {
    while (!done)
      server_->Sql("moving", "INSERT INTO t (x) SELECT 'y' FROM generate_series(1, 99)");
  });
  const auto backup = worker_.Run(Assign("Backup", "moving", "copy-moving", "backup"));
  EXPECT_TRUE(backup.succeeded()) << backup.error_message();
  auto restore = Assign("Restore", "moving", "copy-moving", "restore");
  restore.set_target_part("moved");
  const auto restored = worker_.Run(restore);
  done = true;
  writer.join();
  EXPECT_TRUE(restored.succeeded()) << restored.error_class() << ": " << restored.error_message();
  server_->Sql("postgres", "DROP DATABASE moved; DROP DATABASE moving");
}

}  // namespace
}  // namespace longshore::worker
