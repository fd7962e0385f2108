// SPDX-License-Identifier: Apache-2.0
//
// Backups, restores and other operations, waiting for them, and copies.
#include "tests/cli/cli_fixture.h"

namespace longshore::cli {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

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

// What was refused, has ended or leaves is no choice, and is named when there is none.
TEST_F(CliTest, BackupCountsOnlyLiveRequests) {
  const auto request = [](const std::string& name, const std::string& accepted,
                          const std::string& reason) {
    return Json{{"name", name},
                {"spec", {{"purpose", "Backup"}}},
                {"status",
                 {{"conditions", Json::array({{{"type", "Accepted"},
                                               {"status", accepted},
                                               {"reason", reason},
                                               {"message", "it says so"}}})}}}};
  };
  const Json expired = request("req-expired", "False", "Expired");
  const Json refused = request("req-refused", "False", "PolicyNotFound");
  api_.On("GET /v1/requests", List({expired, refused, request("req-1", "True", "Valid")}));
  api_.On("GET /v1/requests", List(Json::array({refused})));
  api_.On("POST /v1/operations", Operation("op-1", "shop", {{"state", "Queued"}}), 201);
  EXPECT_EQ(Longshore("backup orders --part shop"), 0) << err_.str();
  EXPECT_EQ(api_.asked().back().body.at("spec").at("requestRef").at("name"), "req-1");
  EXPECT_EQ(Longshore("backup orders --part shop"), 3);
  EXPECT_THAT(err_.str(), HasSubstr("(req-refused is not served: PolicyNotFound: it says so)"));
}

TEST_F(CliTest, QueuedOperationsSayWhatTheyWaitFor) {
  const Json queued = Operation(
      "op-1", "shop",
      {{"state", "Queued"},
       {"conditions", Json::array({{{"type", "Succeeded"},
                                    {"status", "Unknown"},
                                    {"reason", "PodsBusy"},
                                    {"message", "2 of 2 pods of request req-1 are busy"}}})}});
  api_.On("GET /v1/operations", List(Json::array({queued})));
  api_.On("GET /v1/operations/backup/op-1", queued);
  EXPECT_EQ(Longshore("operations"), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("Queued  2 of 2 pods of request req-1 are busy  "));
  EXPECT_EQ(Longshore("operations get op-1"), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("Queued, 2 of 2 pods of request req-1 are busy\n"));
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

// Following has no end but the operation's, so that nothing is tried again for a time; it is said.
TEST_F(CliTest, WaitSaysOnceThatItWaitsForTheController) {
  api_.On("POST /v1/operations", Operation("op-1", "shop", {{"state", "Queued"}}), 201);
  const std::string path = "GET /v1/operations/backup/op-1";
  api_.On(path, Operation("op-1", "shop", {{"state", "Queued"}}));
  for (int i = 0; i < 40; ++i) api_.On(path, Problem("starting"), 503);
  api_.On(path, Operation("op-1", "shop", {{"state", "Succeeded"}}));
  EXPECT_EQ(Longshore("backup orders --request req-1 --part shop --wait"), 0) << err_.str();
  EXPECT_EQ(err_.str(),
            "orders/shop: Queued\n"
            "the controller does not answer (starting); waiting for it\n"
            "orders/shop: Succeeded\n");
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

}  // namespace
}  // namespace longshore::cli
