// SPDX-License-Identifier: Apache-2.0
// The whole tool against scripted answers: what it asks, what it prints, how it ends.
#include <gmock/gmock.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "cli/session.h"
#include "common/base/files.h"
#include "common/base/strings.h"
#include "tests/cli/fake_manager_api.h"

namespace longshore::cli {
namespace {

using testing::ContainsRegex;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// Time stands still unless somebody sleeps.
class SleepyClock : public Clock {
 public:
  WallTime Now() const override { return *ParseTime("2026-01-01T00:10:00Z") + slept; }
  MonotonicTime Monotonic() const override { return MonotonicTime(slept); }
  std::chrono::milliseconds slept{0};
};

class CliTest : public testing::Test {
 protected:
  CliTest() : folder_("/tmp/longshore-cli-test-" + RandomId(8)) {
    EXPECT_EQ(std::system(("mkdir -p " + folder_).c_str()), 0);
    std::ofstream(folder_ + "/token") << "the-token\n";
    environment_ = {{"LONGSHORE_SERVER", api_.url()},
                    {"LONGSHORE_TOKEN_FILE", folder_ + "/token"},
                    {"LONGSHORE_NAMESPACE", "backup"},
                    {"HOME", folder_}};
  }
  ~CliTest() override { EXPECT_EQ(std::system(("rm -r " + folder_).c_str()), 0); }

  // Runs the tool; what it printed is in out_ and err_ afterwards.
  int Longshore(const std::string& line) {
    out_.str("");
    err_.str("");
    std::vector<std::string> arguments;
    for (const std::string& word : Split(line, ' ')) {
      if (!word.empty()) arguments.push_back(word);
    }
    return cli::Run(arguments,
                    {.out = out_,
                     .err = err_,
                     .environment = [this](const char* name) { return environment_[name]; },
                     .clock = clock_,
                     .sleep =
                         [this](std::chrono::milliseconds time) {
                           clock_.slept += time;
                           return --sleeps_left_ > 0;
                         }});
  }
  static Json List(Json items) { return {{"items", std::move(items)}, {"cursor", "log-1"}}; }
  static Json Problem(const std::string& detail) {
    return {{"title", "x"}, {"status", 400}, {"detail", detail}};
  }
  static Json Operation(const std::string& name, const std::string& part, const Json& status) {
    return {{"namespace", "backup"},
            {"name", name},
            {"createdAt", "2026-01-01T00:08:55Z"},
            {"spec", {{"type", "Backup"}, {"sourceRef", {{"name", "orders"}}}, {"part", part}}},
            {"status", status}};
  }

  const std::string folder_;
  FakeManagerApi api_;
  SleepyClock clock_;
  int sleeps_left_ = 1000;
  std::map<std::string, std::string> environment_;
  std::ostringstream out_, err_;
};

TEST_F(CliTest, RequestShortFormSendsTheWholeWish) {
  api_.On("POST /v1/requests", {{"namespace", "backup"}, {"name", "req-1"}}, 201);
  EXPECT_EQ(Longshore("request orders --policy standard --pods 2 --max 4 --min 0 --up cpu=60% "
                      "--down cpu=15% --window 2 --idle 15 -o name"),
            0)
      << err_.str();
  EXPECT_EQ(out_.str(), "request/req-1\n");
  const auto asked = api_.asked().at(0);
  EXPECT_EQ(asked.authorization, "Bearer the-token");
  EXPECT_EQ(asked.idempotency_key.size(), 32u);
  EXPECT_EQ(asked.body, *api::ParseJson(R"({"namespace": "backup", "spec": {
    "sourceRef": {"name": "orders"}, "policyRef": {"name": "standard"}, "purpose": "Backup",
    "pods": {"min": 0, "initial": 2, "max": 4},
    "scaling": {"idleSeconds": 15, "signals": [{"name": "cpu", "windowSeconds": 2,
      "up": {"utilizationPercent": 60}, "down": {"utilizationPercent": 15}}]}}})"));
}

TEST_F(CliTest, RequestCreateIsTheSameAndKeepsAGivenKey) {
  api_.On("POST /v1/requests", {{"namespace", "backup"}, {"name", "req-1"}}, 201);
  EXPECT_EQ(Longshore("request create vault/orders --idempotency-key job-7"), 0) << err_.str();
  EXPECT_EQ(api_.asked().at(0).idempotency_key, "job-7");
  EXPECT_EQ(api_.asked().at(0).body.at("spec").at("sourceRef").at("namespace"), "vault");
}

TEST_F(CliTest, RequestWaitsUntilThePodsAreAvailable) {
  const auto request = [](int available) {
    return Json{{"namespace", "backup"},
                {"name", "req-1"},
                {"spec", {{"pods", {{"initial", 2}}}, {"sourceRef", {{"name", "orders"}}}}},
                {"status", {{"pods", {{"available", available}}}}}};
  };
  api_.On("POST /v1/requests", request(0), 201);
  for (int available : {0, 1}) api_.On("GET /v1/requests/backup/req-1", request(available));
  api_.On("GET /v1/requests/backup/req-1", Problem("starting"), 503);
  api_.On("GET /v1/requests/backup/req-1", request(2));
  EXPECT_EQ(Longshore("request orders --pods 2 --wait"), 0) << err_.str();
  EXPECT_EQ(err_.str(), "0 of 2 pods available\n1 of 2 pods available\nstarting\n");
  EXPECT_THAT(out_.str(), HasSubstr("req-1"));
}

TEST_F(CliTest, RequestWaitTellsWhyItCannotBeServed) {
  const Json refused = {{"namespace", "backup"},
                        {"name", "req-1"},
                        {"spec", {{"pods", {{"initial", 1}}}}},
                        {"status",
                         {{"conditions",
                           {{{"type", "Accepted"},
                             {"status", "False"},
                             {"reason", "PolicyNotFound"},
                             {"message", "spec.policyRef: no PodPolicy nope"}}}}}}};
  api_.On("POST /v1/requests", refused, 201);
  api_.On("GET /v1/requests/backup/req-1", refused);
  EXPECT_EQ(Longshore("request orders --policy nope --wait"), 1);
  EXPECT_THAT(err_.str(), HasSubstr("PolicyNotFound: spec.policyRef: no PodPolicy nope"));
  // Also while it is waited whether the refusal lasts.
  EXPECT_EQ(Longshore("request orders --policy nope --wait --timeout 2"), 6);
  EXPECT_THAT(err_.str(), HasSubstr("0 of 1 pods available: PolicyNotFound: spec.policyRef"));
}

TEST_F(CliTest, RequestGetTellsWhatIsKnown) {
  api_.On(
      "GET /v1/requests/backup/req-1",
      {{"namespace", "backup"},
       {"name", "req-1"},
       {"createdAt", "2026-01-01T00:09:00Z"},
       {"spec",
        {{"sourceRef", {{"name", "orders"}}}, {"pods", {{"min", 0}, {"initial", 2}, {"max", 4}}}}},
       {"status",
        {{"pods", {{"available", 1}, {"assigned", 2}, {"failed", 0}}},
         {"conditions",
          {{{"type", "Accepted"}, {"status", "True"}, {"reason", "Valid"}, {"message", "ok"}}}}}}});
  EXPECT_EQ(Longshore("request get request/req-1"), 0) << err_.str();
  EXPECT_EQ(out_.str(),
            "FIELD     VALUE\n"
            "request   backup/req-1\n"
            "source    orders\n"
            "age       1m00s\n"
            "pods      min 0, initial 2, max 4\n"
            "states    2 assigned, 1 available\n"
            "Accepted  True Valid: ok\n");
  // Before the controller has written a status.
  api_.On("GET /v1/requests/backup/req-2", {{"namespace", "backup"}, {"name", "req-2"}});
  EXPECT_EQ(Longshore("request get req-2"), 0) << err_.str();
}

TEST_F(CliTest, OperationGetShowsTheCopy) {
  api_.On("GET /v1/operations/backup/op-1",
          Operation("op-1", "shop",
                    {{"state", "Succeeded"},
                     {"attempt", 1},
                     {"copy", {{"id", "copy-1"}, {"rows", 0}, {"items", 9}}}}));
  EXPECT_EQ(Longshore("operations get operation/op-1"), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("copy items  9\n"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("copy rows")));
}

TEST_F(CliTest, CancelAcquireAndReleaseCallTheirRoutes) {
  api_.On("POST /v1/operations/backup/op-1:cancel",
          Operation("op-1", "shop", {{"state", "Running"}}));
  api_.On("POST /v1/pods:acquire",
          {{"namespace", "backup"}, {"pod", "lsp-a"}, {"epoch", 4}, {"node", "node-1"}});
  api_.On("POST /v1/pods/backup/lsp-a:release",
          {{"namespace", "backup"}, {"name", "lsp-a"}, {"state", "Available"}});
  EXPECT_EQ(Longshore("operations cancel op-1"), 0) << err_.str();
  EXPECT_EQ(Longshore("pods acquire req-1 --wait 30s --idempotency-key k -o name"), 0)
      << err_.str();
  EXPECT_EQ(out_.str(), "pod/lsp-a\n");
  EXPECT_EQ(api_.asked().back().idempotency_key, "k");
  EXPECT_EQ(api_.asked().back().body.at("waitSeconds"), 30);
  EXPECT_EQ(Longshore("pods release pod/lsp-a"), 0) << err_.str();
}

TEST_F(CliTest, ScalePatchesOnlyWhatIsGiven) {
  api_.On("PATCH /v1/requests/backup/req-1", {{"namespace", "backup"}, {"name", "req-1"}});
  api_.On("GET /v1/requests/backup/req-1", {{"spec", {{"pods", {{"initial", 2}}}}}});
  EXPECT_EQ(Longshore("request scale req-1 --max 6 --demand 3"), 0) << err_.str();
  EXPECT_EQ(api_.asked().back().body, *api::ParseJson(R"({"spec":{"pods":{"max":6},"demand":3}})"));
  // min <= initial <= max always holds, so the number at first follows.
  EXPECT_EQ(Longshore("request scale req-1 --min 3 --max 6"), 0) << err_.str();
  EXPECT_EQ(api_.asked().back().body,
            *api::ParseJson(R"({"spec":{"pods":{"min":3,"initial":3,"max":6}}})"));
  EXPECT_EQ(Longshore("request scale req-1 --max 1"), 0) << err_.str();
  EXPECT_EQ(api_.asked().back().body,
            *api::ParseJson(R"({"spec":{"pods":{"initial":1,"max":1}}})"));
}

TEST_F(CliTest, PodsTable) {
  api_.On("GET /v1/pods",
          List({{{"name", "lsp-a"},
                 {"state", "Assigned"},
                 {"node", "node-1"},
                 {"tier", "Node"},
                 {"reason", "Dispatched"},
                 {"since", "2026-01-01T00:09:15Z"},
                 {"lease", {{"operation", "op-1"}}},
                 {"usage",
                  {{"cpu", "412m"},
                   {"memory", "104857600"},
                   {"readBytes", "0"},
                   {"writeBytes", "31457280"}}}},
                {{"name", "lsp-b"}, {"state", "Planned"}, {"node", nullptr}, {"usage", nullptr}}}));
  EXPECT_EQ(Longshore("pods --request req-1 --state Assigned"), 0) << err_.str();
  EXPECT_EQ(
      out_.str(),
      "NAME   STATE     NODE    TIER  CPU   MEMORY   READ, WRITE        OPERATION  REASON      "
      "SINCE\n"
      "lsp-a  Assigned  node-1  Node  412m  100 MiB  0 B/s, 30.0 MiB/s  op-1       Dispatched  "
      "45s\n"
      "lsp-b  Planned   -       -     -     -        -                  -          -           "
      "-\n");
  EXPECT_THAT(api_.lines(),
              ElementsAre("GET /v1/pods?namespace=backup&request=req-1&state=Assigned"));
}

TEST_F(CliTest, OutputForProgramsIsTheReplyItself) {
  api_.On("GET /v1/pods", List({{{"name", "lsp-a"}}}));
  EXPECT_EQ(Longshore("-o json pods -A"), 0);
  EXPECT_EQ(*api::ParseJson(out_.str()), List({{{"name", "lsp-a"}}}));
  EXPECT_EQ(Longshore("pods -o name"), 0);
  EXPECT_EQ(out_.str(), "pod/lsp-a\n");
  EXPECT_THAT(api_.lines(), ElementsAre("GET /v1/pods", "GET /v1/pods?namespace=backup"));
}

TEST_F(CliTest, BackupMakesOneOperationPerPart) {
  api_.On("GET /v1/sources/backup/orders", {{"spec", {{"parts", {"ledger", "shop"}}}}});
  api_.On("POST /v1/operations", Operation("op-1", "ledger", {{"state", "Queued"}}), 201);
  api_.On("POST /v1/operations", Operation("op-2", "shop", {{"state", "Queued"}}), 201);
  EXPECT_EQ(Longshore("backup orders --request request/req-1 --all-parts -o json"), 0)
      << err_.str();
  EXPECT_EQ(api::ParseJson(out_.str())->at("items").size(), 2u);
  const auto asked = api_.asked();
  EXPECT_EQ(asked.at(1).body.at("spec").at("part"), "ledger");
  EXPECT_EQ(asked.at(2).body.at("spec").at("part"), "shop");
  EXPECT_EQ(asked.at(2).body.at("spec").at("requestRef").at("name"), "req-1");
  EXPECT_NE(asked.at(1).idempotency_key, asked.at(2).idempotency_key);
}

TEST_F(CliTest, BackupAsksWhichPartsAndFindsTheOnlyRequest) {
  api_.On("GET /v1/requests",
          List({{{"name", "req-old"}, {"deletedAt", "x"}, {"spec", {{"purpose", "Backup"}}}},
                {{"name", "req-1"}, {"spec", {{"purpose", "Backup"}}}},
                {{"name", "req-2"}, {"spec", {{"purpose", "Restore"}}}}}));
  api_.On("GET /v1/sources/backup/orders", {{"spec", {{"parts", {"ledger", "shop"}}}}});
  EXPECT_EQ(Longshore("backup orders"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("several parts (ledger, shop): choose with --part"));
  api_.On("POST /v1/operations", Operation("op-1", "shop", {{"state", "Queued"}}), 201);
  EXPECT_EQ(Longshore("backup orders --part shop"), 0) << err_.str();
  EXPECT_EQ(api_.asked().back().body.at("spec").at("requestRef").at("name"), "req-1");
}

TEST_F(CliTest, BackupWithoutARequestSaysHowToMakeOne) {
  api_.On("GET /v1/requests", List(Json::array()));
  EXPECT_EQ(Longshore("backup orders --part shop"), 3);
  EXPECT_THAT(err_.str(), HasSubstr("longshore request orders --purpose Backup"));
}

TEST_F(CliTest, WaitFollowsToTheEndInPlainLines) {
  api_.On("POST /v1/operations", Operation("op-1", "shop", {{"state", "Queued"}}), 201);
  const std::string path = "GET /v1/operations/backup/op-1";
  api_.On(path, Operation("op-1", "shop", {{"state", "Queued"}}));
  api_.On(path, Operation("op-1", "shop",
                          {{"state", "Running"},
                           {"progress",
                            {{"phase", "Copying"},
                             {"bytesDone", 120 << 20},
                             {"bytesTotal", 300 << 20},
                             {"bytesPerSecond", 30 << 20},
                             {"etaSeconds", 6}}}}));
  api_.On(path,
          Operation("op-1", "shop",
                    {{"state", "Succeeded"}, {"copy", {{"id", "copy-1"}, {"bytes", 290 << 20}}}}));
  EXPECT_EQ(Longshore("backup orders --request req-1 --part shop --wait"), 0) << err_.str();
  EXPECT_EQ(err_.str(),
            "orders/shop: Queued\n"
            "orders/shop: Running, Copying, 120 MiB of 300 MiB (40%), 30.0 MiB/s, 6s left\n"
            "orders/shop: Succeeded, copy-1, 290 MiB\n");
}

// Nothing new is not said again; a phase that is the state is said once.
TEST_F(CliTest, WaitDoesNotRepeatALineWhenNothingMoved) {
  api_.On("POST /v1/operations", Operation("op-1", "shop", {{"state", "Queued"}}), 201);
  const std::string path = "GET /v1/operations/backup/op-1";
  for (int i = 0; i < 25; ++i) api_.On(path, Operation("op-1", "shop", {{"state", "Queued"}}));
  const auto running = [](int mib) {
    return Json{{"state", "Running"},
                {"progress", {{"phase", "Copying"}, {"bytesDone", mib << 20}}}};
  };
  for (int i = 0; i < 15; ++i) api_.On(path, Operation("op-1", "shop", running(i)));
  api_.On(path, Operation("op-1", "shop",
                          {{"state", "Committing"}, {"progress", {{"phase", "Committing"}}}}));
  api_.On(path, Operation("op-1", "shop", {{"state", "Cancelled"}}));
  EXPECT_EQ(Longshore("backup orders --request req-1 --part shop --wait"), 1);
  EXPECT_THAT(err_.str(), StartsWith("orders/shop: Queued\n"
                                     "orders/shop: Running, Copying\n"
                                     "orders/shop: Running, Copying, 10.0 MiB\n"
                                     "orders/shop: Committing\n"
                                     "orders/shop: Cancelled\n"));
}

TEST_F(CliTest, OperationsTableIsNewestFirstAndNamesWhatIsWritten) {
  Json older = Operation("op-1", "shop", {{"state", "Queued"}});
  Json newer = Operation("op-2", "shop", {{"state", "Queued"}});
  newer["createdAt"] = "2026-01-01T00:09:00Z";
  newer["spec"]["target"]["part"] = "shop2";
  api_.On("GET /v1/operations", List({older, newer}));
  EXPECT_EQ(Longshore("operations"), 0) << err_.str();
  EXPECT_THAT(out_.str(), ContainsRegex("op-2 .*orders/shop2 .*\nop-1 .*orders/shop "));
}

TEST_F(CliTest, AFailedOperationIsExitOneAndSaysWhy) {
  api_.On("POST /v1/operations", Operation("op-1", "shop", {{"state", "Queued"}}), 201);
  api_.On("GET /v1/operations/backup/op-1",
          Operation("op-1", "shop",
                    {{"state", "Failed"},
                     {"error", {{"class", "Authentication"}, {"message", "wrong password"}}}}));
  EXPECT_EQ(Longshore("backup orders --request req-1 --part shop --wait"), 1);
  EXPECT_THAT(err_.str(), HasSubstr("1 of 1 operations did not succeed"));
  EXPECT_THAT(err_.str(), HasSubstr("Authentication: wrong password"));
}

TEST_F(CliTest, CtrlCAndTimeoutSayHowToLookAgain) {
  api_.On("POST /v1/operations", Operation("op-1", "shop", {{"state", "Queued"}}), 201);
  api_.On("GET /v1/operations/backup/op-1", Operation("op-1", "shop", {{"state", "Queued"}}));
  EXPECT_EQ(Longshore("backup orders --request req-1 --part shop --wait --timeout 5"), 6);
  EXPECT_THAT(err_.str(), HasSubstr("longshore operations get op-1 -n backup"));
  sleeps_left_ = 2;
  EXPECT_EQ(Longshore("backup orders --request req-1 --part shop --wait"), 130);
  EXPECT_THAT(err_.str(), HasSubstr("longshore operations get op-1 -n backup"));
}

TEST_F(CliTest, RestoreTakesThePartFromTheCopy) {
  api_.On("GET /v1/copies", List({{{"id", "copy-1"}, {"part", "ledger"}, {"source", "orders"}}}));
  api_.On("POST /v1/operations", Operation("op-1", "ledger", {{"state", "Queued"}}), 201);
  EXPECT_EQ(Longshore("restore copy/copy-1 --to orders-restored --request req-1 --part ledger2"), 0)
      << err_.str();
  EXPECT_EQ(api_.asked().back().body.at("spec"), *api::ParseJson(R"({
    "type": "Restore", "sourceRef": {"name": "orders-restored"}, "requestRef": {"name": "req-1"},
    "copyID": "copy-1", "part": "ledger", "target": {"part": "ledger2"}})"));
  EXPECT_EQ(Longshore("restore copy-9 --to orders-restored --request req-1"), 3);
  EXPECT_THAT(err_.str(), HasSubstr("longshore copies"));
}

TEST_F(CliTest, CopiesTable) {
  api_.On("GET /v1/copies", List({{{"id", "copy-1"},
                                   {"source", "orders"},
                                   {"part", "ledger"},
                                   {"bytes", 314572800},
                                   {"items", 4},
                                   {"rows", 300000},
                                   {"time", "2026-01-01T00:08:00Z"},
                                   {"dataSnapshot", "0123456789abcdef"}}}));
  EXPECT_EQ(Longshore("copies --source orders"), 0);
  EXPECT_EQ(out_.str(),
            "ID      SOURCE  PART    SIZE     ITEMS  ROWS    TAKEN  SNAPSHOT\n"
            "copy-1  orders  ledger  300 MiB  4      300000  2m00s  01234567\n");
}

TEST_F(CliTest, EventsAreAPageForPrograms) {
  const Json page = {{"events",
                      {{{"time", "2026-01-01T00:00:00.123456Z"},
                        {"type", "PodsAvailable"},
                        {"request", "req-1"},
                        {"source", "orders"},
                        {"data", {{"pods", {"a", "b"}}, {"cause", "Requested"}}}}}},
                     {"cursor", "log-7"}};
  api_.On("GET /v1/events", page);
  EXPECT_EQ(Longshore("events --after now -o json"), 0);
  EXPECT_EQ(*api::ParseJson(out_.str()), page);
  EXPECT_EQ(Longshore("events --after log-3"), 0);
  EXPECT_THAT(out_.str(), HasSubstr("2026-01-01T00:00:00.123  PodsAvailable  req-1    orders  "
                                    "cause=Requested pods=a,b\n"));
  EXPECT_THAT(err_.str(), HasSubstr("--after log-7"));
}

// Objects in events are told in words: progress with rate, a copy by its id, samples by signal.
TEST_F(CliTest, EventsTellObjectsInWords) {
  const auto event = [](const Json& data) { return Json{{"type", "T"}, {"data", data}}; };
  api_.On("GET /v1/events",
          {{"events",
            {event({{"progress",
                     {{"phase", "Copying"},
                      {"bytesDone", 30 << 20},
                      {"bytesTotal", 60 << 20},
                      {"bytesPerSecond", 5 << 20},
                      {"etaSeconds", 6}}}}),
             event({{"copy", {{"bytes", 7}, {"dataSnapshot", "0123"}, {"id", "copy-1"}}}}),
             event({{"error", {{"class", "Mismatch"}, {"message", "public.item"}}}}),
             event({{"inputs",
                     {{{"pod", "lsp-a"},
                       {"signal", "cpu"},
                       {"value", "1m"},
                       {"threshold", "30m"},
                       {"samples", 16}}}},
                    {"time", "2026-01-01T00:00:00Z"},
                    {"to", 3}})}},
           {"cursor", "log-7"}});
  EXPECT_EQ(Longshore("events"), 0) << err_.str();
  for (const char* text : {"progress=Copying, 30.0 MiB of 60.0 MiB (50%), 5.0 MiB/s, 6s left\n",
                           "copy=copy-1\n", "error=Mismatch: public.item\n",
                           "inputs=lsp-a cpu 1m (threshold 30m, 16 samples) to=3\n"}) {
    EXPECT_THAT(out_.str(), HasSubstr(text));
  }
}

TEST_F(CliTest, FollowedEventsGoOnAfterTheirCursor) {
  const auto page = [](const std::string& type, const std::string& cursor) {
    return Json{{"events", {{{"type", type}}}}, {"cursor", cursor}};
  };
  api_.On("GET /v1/events", page("A", "log-1"));
  api_.On("GET /v1/events", {{"detail", "away"}}, 503);  // a restart in between is waited out
  api_.On("GET /v1/events", page("B", "log-2"));
  sleeps_left_ = 3;
  EXPECT_EQ(Longshore("events --follow -o json"), 130);
  EXPECT_EQ(out_.str(), "{\"type\":\"A\"}\n{\"type\":\"B\"}\n");
  EXPECT_EQ(api_.lines().at(2), "GET /v1/events?after=log-1&namespace=backup&wait=5");
  EXPECT_THAT(err_.str(), HasSubstr("--after log-2"));
}

TEST_F(CliTest, ExitCodesTellWhatWentWrong) {
  struct Case {
    int status, exit_code;
  };
  for (const Case& c : {Case{400, 2}, Case{401, 4}, Case{403, 4}, Case{404, 3}, Case{408, 6},
                        Case{409, 1}, Case{410, 1}, Case{500, 1}, Case{503, 5}}) {
    FakeManagerApi api;
    api.On("GET /v1/operations/backup/op-1", Problem("the detail"), c.status);
    EXPECT_EQ(Longshore("operations get op-1 --server " + api.url()), c.exit_code) << c.status;
    EXPECT_EQ(err_.str(), "longshore: the detail\n");
  }
  EXPECT_EQ(Longshore("pods --server http://127.0.0.1:9"), 5);
}

TEST_F(CliTest, UsageErrorsNameTheFlag) {
  for (const char* line :
       {"", "nonsense", "request", "pods --colour red", "request orders --pods x", "pods -o yaml",
        "restore copy-1", "request orders --purpose Fun", "request orders --up cpu",
        "request scale req-1", "pods a/b/c", "backup orders --part p --idempotency-key="}) {
    EXPECT_EQ(Longshore(line), 2) << line;
    EXPECT_FALSE(err_.str().empty()) << line;
  }
  environment_.erase("LONGSHORE_TOKEN_FILE");
  EXPECT_EQ(Longshore("pods"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("LONGSHORE_TOKEN_FILE"));
  environment_["LONGSHORE_TOKEN_FILE"] = folder_ + "/none";
  EXPECT_EQ(Longshore("pods"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("--token-file " + folder_ + "/none"));
  std::ofstream(folder_ + "/empty") << "\n";
  environment_["LONGSHORE_TOKEN_FILE"] = folder_ + "/empty";
  EXPECT_EQ(Longshore("pods"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("--token-file " + folder_ + "/empty is empty"));
  EXPECT_EQ(Longshore("pods --server 10.0.0.1:30443"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("--server 10.0.0.1:30443: use https://HOST:PORT"));
}

// A word that is no command is named, with those that are; plurals that people type are taken.
TEST_F(CliTest, AnUnknownCommandIsNamed) {
  EXPECT_EQ(Longshore("frobnicate now"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("there is no command \"frobnicate\"; there are request, pods"));
  api_.On("GET /v1/requests", List(Json::array()));
  api_.On("GET /v1/pods", List(Json::array()));
  EXPECT_EQ(Longshore("requests list"), 0) << err_.str();
  EXPECT_EQ(Longshore("pods list --state Available"), 0) << err_.str();
  EXPECT_EQ(api_.lines().back(), "GET /v1/pods?namespace=backup&state=Available");
}

// A slash at the end of the server's URL is the same server.
TEST_F(CliTest, ServerMayEndWithASlash) {
  api_.On("GET /v1/pods", List(Json::array()));
  EXPECT_EQ(Longshore("pods --server " + api_.url() + "/"), 0) << err_.str();
  EXPECT_THAT(api_.lines(), ElementsAre("GET /v1/pods?namespace=backup"));
}

TEST_F(CliTest, TextOfOthersDoesNotSteerTheTerminal) {
  api_.On("GET /v1/operations/backup/op-1", Problem("bad \x1b[2J thing"), 400);
  EXPECT_EQ(Longshore("operations get op-1"), 2);
  EXPECT_THAT(err_.str(), Not(HasSubstr("\x1b")));
}

TEST_F(CliTest, LoginRemembersPathsNotTokens) {
  api_.On("GET /v1/requests", List(Json::array()));
  EXPECT_EQ(Longshore("login"), 0) << err_.str();
  const std::string config = *ReadFile(folder_ + "/.config/longshore/config.yaml");
  EXPECT_THAT(config, HasSubstr("tokenFile: \"" + folder_ + "/token\""));
  EXPECT_THAT(config, Not(HasSubstr("the-token")));
  environment_ = {{"HOME", folder_}};
  EXPECT_EQ(Longshore("request list"), 0) << err_.str();
  EXPECT_THAT(api_.lines().back(), HasSubstr("namespace=backup"));
  std::ofstream(folder_ + "/.config/longshore/config.yaml") << "token: abc\n";
  EXPECT_EQ(Longshore("request list"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("token: no such field"));
}

TEST_F(CliTest, CompletionKnowsEveryCommand) {
  EXPECT_EQ(Longshore("completion bash"), 0);
  EXPECT_THAT(out_.str(), HasSubstr("\"request scale\") words=\""));
  EXPECT_THAT(out_.str(), HasSubstr("--rotate-ca"));
}

TEST_F(CliTest, HelpAndVersionAreSuccesses) {
  EXPECT_EQ(Longshore("--version"), 0);
  EXPECT_THAT(out_.str(), HasSubstr("longshore "));
  EXPECT_EQ(Longshore("--help"), 0);
  EXPECT_THAT(out_.str(), HasSubstr("Exit codes"));
  EXPECT_EQ(Longshore("request --help"), 0);
}

}  // namespace
}  // namespace longshore::cli
