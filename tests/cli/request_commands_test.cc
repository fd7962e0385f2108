// SPDX-License-Identifier: Apache-2.0
//
// Requests and their pods.
#include "tests/cli/cli_fixture.h"

namespace longshore::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// As the controller answers: `accepted` is empty until it has looked.
Json Request(const std::string& accepted, const std::string& reason = "Valid",
             const std::string& message = "every reference was found") {
  Json request = {{"namespace", "backup"},
                  {"name", "req-1"},
                  {"spec", {{"pods", {{"initial", 1}}}, {"sourceRef", {{"name", "orders"}}}}}};
  if (!accepted.empty()) {
    request["status"]["conditions"] = {
        {{"type", "Accepted"}, {"status", accepted}, {"reason", reason}, {"message", message}}};
  }
  return request;
}

TEST_F(CliTest, RequestShortFormSendsTheWholeWish) {
  api_.On("POST /v1/requests", Request("True"), 201);
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
  api_.On("POST /v1/requests", Request("True"), 201);
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
  const Json refused = Request("False", "PolicyNotFound", "spec.policyRef: no PodPolicy nope");
  api_.On("POST /v1/requests", refused, 201);
  api_.On("GET /v1/requests/backup/req-1", refused);
  EXPECT_EQ(Longshore("request orders --policy nope --wait"), 1);
  EXPECT_THAT(err_.str(), HasSubstr("PolicyNotFound: spec.policyRef: no PodPolicy nope"));
  // Also while it is waited whether the refusal lasts.
  EXPECT_EQ(Longshore("request orders --policy nope --wait --timeout 2"), 6);
  EXPECT_THAT(err_.str(), HasSubstr("0 of 1 pods available: PolicyNotFound: spec.policyRef"));
}

// Without --wait, too, nobody should believe that a request is served when it is not.
TEST_F(CliTest, RequestFailsWithTheReasonWhenTheControllerRefusesIt) {
  const Json refused = Request("False", "UnknownSource", "spec.sourceRef: no BackupSource nope");
  api_.On("POST /v1/requests", Request(""), 201);
  api_.On("GET /v1/requests/backup/req-1", Request(""));
  api_.On("GET /v1/requests/backup/req-1", Problem("starting"), 503);
  api_.On("GET /v1/requests/backup/req-1", refused);
  EXPECT_EQ(Longshore("request nope -o name"), 1);
  EXPECT_EQ(out_.str(), "request/req-1\n") << "it was made, and has to be given back";
  EXPECT_EQ(err_.str(),
            "longshore: request req-1 cannot be served: UnknownSource: spec.sourceRef: no "
            "BackupSource nope; mend that or make another request; longshore request delete "
            "req-1 ends this one\n");
  EXPECT_LE(clock_.slept, std::chrono::seconds(4));
}

TEST_F(CliTest, RequestIsDoneAtOnceWhenItIsAcceptedAndForgivesARefusalThatHeals) {
  api_.On("POST /v1/requests", Request(""), 201);
  api_.On("GET /v1/requests/backup/req-1", Request("False", "PolicyNotFound", "not yet"));
  api_.On("GET /v1/requests/backup/req-1", Request("True"));
  EXPECT_EQ(Longshore("request orders"), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("Valid"));
  EXPECT_EQ(err_.str(), "");
  EXPECT_EQ(clock_.slept, std::chrono::milliseconds(600));
}

TEST_F(CliTest, RequestWithoutAVerdictSaysHowToLookAgain) {
  api_.On("POST /v1/requests", Request(""), 201);
  api_.On("GET /v1/requests/backup/req-1", Request(""));
  EXPECT_EQ(Longshore("request orders"), 0);
  EXPECT_THAT(err_.str(), HasSubstr("has not said yet"));
  EXPECT_THAT(err_.str(), HasSubstr("longshore request get req-1"));
  EXPECT_LE(clock_.slept, std::chrono::seconds(6));
}

TEST_F(CliTest, WhoMayOnlyMakeRequestsMakesThem) {
  api_.On("POST /v1/requests", Request(""), 201);
  api_.On("GET /v1/requests/backup/req-1", Problem("may not get"), 403);
  EXPECT_EQ(Longshore("request orders -o name"), 0) << err_.str();
  EXPECT_EQ(out_.str(), "request/req-1\n");
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
  api_.On("GET /v1/requests/backup/req-1",
          {{"spec", {{"pods", {{"min", 0}, {"initial", 2}, {"max", 8}}}}},
           {"status", {{"desiredPods", 4}}}});
  EXPECT_EQ(Longshore("request scale req-1 --max 6 --demand 3"), 0) << err_.str();
  EXPECT_EQ(api_.asked().back().body, *api::ParseJson(R"({"spec":{"pods":{"max":6},"demand":3}})"));
  // One takes the other's place.
  EXPECT_EQ(Longshore("request scale req-1 --deadline 06:00Z"), 0) << err_.str();
  EXPECT_EQ(api_.asked().back().body,
            *api::ParseJson(R"({"spec":{"dailyDeadline":"06:00Z","deadline":null}})"));
  EXPECT_EQ(Longshore("request scale req-1 --deadline 2026-01-31T06:00:00Z"), 0) << err_.str();
  EXPECT_EQ(
      api_.asked().back().body,
      *api::ParseJson(R"({"spec":{"dailyDeadline":null,"deadline":"2026-01-31T06:00:00Z"}})"));
  EXPECT_EQ(Longshore("request scale req-1 --pods 5"), 0) << err_.str();
  EXPECT_EQ(api_.asked().back().body, *api::ParseJson(R"({"spec":{"pods":{"initial":5}}})"));
  // min <= initial <= max always holds, so it becomes what is wanted now: --min takes nothing away.
  EXPECT_EQ(Longshore("request scale req-1 --min 3 --max 6"), 0) << err_.str();
  EXPECT_EQ(api_.asked().back().body,
            *api::ParseJson(R"({"spec":{"pods":{"min":3,"initial":4,"max":6}}})"));
  EXPECT_EQ(Longshore("request scale req-1 --max 1"), 0) << err_.str();
  EXPECT_EQ(api_.asked().back().body,
            *api::ParseJson(R"({"spec":{"pods":{"initial":1,"max":1}}})"));
}

TEST_F(CliTest, ScaleBeyondTheLimitsSaysWhichOneToMove) {
  api_.On("GET /v1/requests/backup/req-1",
          {{"spec", {{"pods", {{"min", 1}, {"initial", 1}, {"max", 2}}}}}});
  EXPECT_EQ(Longshore("request scale req-1 --pods 3"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("the request allows 1 to 2 pods; give --max 3 as well"));
  EXPECT_EQ(Longshore("request scale req-1 --pods 0"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("the request allows 1 to 2 pods; give --min 0 as well"));
}

// Before anything is asked, and not by a limit of the request that could not be raised so far.
TEST_F(CliTest, ScaleOutOfTheRangeSaysTheRange) {
  const std::pair<const char*, const char*> cases[] = {
      {"--pods -1", "--pods -1: must be a whole number from 0 to 1000"},
      {"--pods 1001", "--pods 1001: must be a whole number from 0 to 1000"},
      {"--pods 99999999999", "--pods 99999999999: must be a whole number from 0 to 1000"},
      {"--min -1", "--min -1: must be a whole number from 0 to 1000"},
      {"--max 0", "--max 0: must be a whole number from 1 to 1000"},
      {"--demand 100001", "--demand 100001: must be a whole number from 0 to 100000"},
  };
  for (const auto& [flags, says] : cases) {
    EXPECT_EQ(Longshore(std::string("request scale req-1 ") + flags), 2) << flags;
    EXPECT_THAT(err_.str(), HasSubstr(says));
  }
  EXPECT_TRUE(api_.asked().empty());
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

}  // namespace
}  // namespace longshore::cli
