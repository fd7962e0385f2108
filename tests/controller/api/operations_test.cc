// SPDX-License-Identifier: Apache-2.0
// /v1/operations, /v1/copies, /v1/sources and /v1/explain over HTTP.
#include "tests/controller/api/api_fixture.h"

namespace longshore::controller {
namespace {

using testing::HasSubstr;

class OperationsTest : public ApiTest {
 protected:
  void SetUp() override {
    ApiTest::SetUp();
    PutRequest("req-1");
    PutSource("orders", {"ledger", "shop"});
  }
  static Json Body(Json spec) {
    Json whole = {{"type", "Backup"},
                  {"sourceRef", {{"name", "orders"}}},
                  {"requestRef", {{"name", "req-1"}}},
                  {"part", "ledger"}};
    if (!spec.is_null()) whole.merge_patch(spec);
    return {{"namespace", "backup"}, {"spec", whole}};
  }
  Json PutCopy(const std::string& operation, const std::string& id, const std::string& time,
               const Json& source = {{"name", "orders"}}) {
    return PutOperation(
        operation, {{"type", "Backup"}, {"sourceRef", source}, {"part", "ledger"}},
        {{"state", "Succeeded"}, {"completionTime", time}, {"copy", {{"id", id}, {"bytes", 10}}}});
  }
};

TEST_F(OperationsTest, CreatesOncePerKeyAndShowsQueued) {
  const Reply first = Post("/v1/operations", Body({}), "k1");
  ASSERT_EQ(first.status, 201) << first.body;
  EXPECT_TRUE(first.body.at("name").get<std::string>().starts_with("op-"));
  EXPECT_EQ(first.body.at("status").at("state"), "Queued");
  EXPECT_EQ(Post("/v1/operations", Body({}), "k1").status, 200);
  EXPECT_EQ(Post("/v1/operations", Body({{"part", "shop"}}), "k1").status, 409);
}

TEST_F(OperationsTest, NamesTheFieldOfBadInput) {
  struct Case {
    const char* name;
    Json spec;
    const char* detail;
  };
  const Case cases[] = {
      {"type", {{"type", "Copy"}}, "spec.type: must be Backup, Restore, Verify or Check"},
      {"no copy", {{"type", "Verify"}}, "spec.copyID: is required for Verify"},
      {"copy of a backup", {{"copyID", "c"}}, "spec.copyID: only Restore and Verify"},
      {"no such request",
       {{"requestRef", {{"name", "none"}}}},
       "spec.requestRef.name: request backup/none does not exist"},
      {"no such part", {{"part", "lodger"}}, "spec.part: source orders has no such part"},
      {"unknown", {{"prat", "x"}}, "spec.prat: no such field"},
      {"cancelled at birth", {{"cancel", true}}, "spec.cancel"},
      {"pod of nobody", {{"podRef", {{"name", "lsp-x"}}}}, "spec.podRef.name: you do not hold"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const Reply reply = Post("/v1/operations", Body(c.spec), "k1");
    EXPECT_GE(reply.status, 400);
    EXPECT_LT(reply.status, 500);
    EXPECT_THAT(reply.detail(), HasSubstr(c.detail));
  }
}

// The pods of a request are made for its source: no other is done by them.
TEST_F(OperationsTest, RefusesAnotherSourceThanThatOfItsRequest) {
  PutSource("stock", {});
  kube_.Grant(kUser, "get", "backupsources", "vault");
  const Reply other = Post("/v1/operations", Body({{"sourceRef", {{"name", "stock"}}}}), "k1");
  EXPECT_EQ(other.status, 422) << other.body;
  EXPECT_EQ(other.body.at("code"), "InvalidArgument");
  EXPECT_EQ(other.detail(),
            "spec.sourceRef: is backup/stock, but request backup/req-1 is for source "
            "backup/orders; name that source, or a request for this one");
  const auto in_namespace = [&](const char* ns, const char* key) {
    return Post("/v1/operations", Body({{"sourceRef", {{"namespace", ns}}}}), key);
  };
  EXPECT_THAT(in_namespace("vault", "k2").detail(), HasSubstr("is vault/orders, but"));
  EXPECT_EQ(in_namespace("backup", "k3").status, 201) << "the same, said in full";
  // A repetition gets its answer, whatever has become of the request.
  PutRequest("req-1", "stock");
  EXPECT_EQ(in_namespace("backup", "k3").status, 200);
}

// A restore writes one source with the data of another: it needs the right on both.
TEST_F(OperationsTest, ARestoreNeedsTheRightOnBothEnds) {
  PutCopy("op-a", "copy-a", "2026-01-01T00:00:00Z");
  PutCopy("op-b", "copy-b", "2026-01-01T00:00:00Z", {{"name", "secret"}, {"namespace", "vault"}});
  const auto restore = [&](const std::string& copy) {
    return Post("/v1/operations", Body({{"type", "Restore"}, {"copyID", copy}}), copy);
  };
  EXPECT_EQ(restore("copy-a").status, 201);
  const Reply foreign = restore("copy-b");
  EXPECT_EQ(foreign.status, 403);
  EXPECT_THAT(foreign.detail(), HasSubstr("restore backupsources.longshore.dev \"secret\" in "
                                          "namespace vault"));
  // Nobody remembers whose data that is.
  EXPECT_THAT(restore("copy-unknown").detail(), HasSubstr("in all namespaces"));
  kube_.Revoke(kUser, "restore", "backupsources", "backup");
  const Reply target = Post(
      "/v1/operations",
      Body({{"type", "Restore"}, {"copyID", "copy-a"}, {"sourceRef", {{"name", "elsewhere"}}}}),
      "k9");
  EXPECT_EQ(target.status, 403);
  EXPECT_THAT(target.detail(), HasSubstr("\"elsewhere\""));
}

TEST_F(OperationsTest, MergesLiveProgressUntilTheEnd) {
  PutOperation("op-1", {{"type", "Backup"}}, {{"state", "Running"}});
  PutOperation("op-2", {{"type", "Backup"}},
               {{"state", "Failed"}, {"progress", {{"bytesDone", 1}}}});
  api::OperationProgress progress;
  progress.bytes_done = 500;
  progress.eta_seconds = 7;
  live_.progress["op-1"] = live_.progress["op-2"] = progress;
  const Reply running = Get("/v1/operations/backup/op-1");
  EXPECT_EQ(running.body.at("status").at("progress").at("bytesDone"), 500);
  EXPECT_EQ(running.body.at("status").at("progress").at("etaSeconds"), 7);
  EXPECT_EQ(Get("/v1/operations/backup/op-2").body.at("status").at("progress").at("bytesDone"), 1);
  EXPECT_EQ(Get("/v1/operations?namespace=backup&state=Running").body.at("items").size(), 1u);
}

TEST_F(OperationsTest, CancelsIdempotentlyAndLeavesTheEndedAlone) {
  PutOperation("op-1", {{"type", "Backup"}}, {{"state", "Running"}});
  PutOperation("op-2", {{"type", "Backup"}}, {{"state", "Succeeded"}});
  for (int i = 0; i < 2; ++i) {
    const Reply reply = Post("/v1/operations/backup/op-1:cancel", Json::object());
    ASSERT_EQ(reply.status, 200) << reply.body;
    EXPECT_EQ(reply.body.at("spec").at("cancel"), true);
  }
  EXPECT_EQ(Post("/v1/operations/backup/op-2:cancel", Json::object()).status, 200);
  EXPECT_FALSE(kube_.Get("operations", "backup", "op-2").at("spec").contains("cancel"));
  EXPECT_EQ(Post("/v1/operations/backup/none:cancel", Json::object()).status, 404);
  EXPECT_EQ(Post("/v1/operations/backup/op-1:cancel", {{"force", true}}).status, 400);
}

TEST_F(OperationsTest, CopiesAreThoseOfSucceededBackupsNewestFirst) {
  PutCopy("op-a", "copy-a", "2026-01-01T00:00:00Z");
  PutCopy("op-b", "copy-b", "2026-01-02T00:00:00Z");
  PutOperation("op-c", {{"type", "Verify"}, {"sourceRef", {{"name", "orders"}}}},
               {{"state", "Succeeded"}, {"copy", {{"id", "copy-a"}}}});
  PutOperation("op-d", {{"type", "Backup"}, {"sourceRef", {{"name", "orders"}}}},
               {{"state", "Failed"}, {"copy", {{"id", "copy-d"}}}});
  const Json items = Get("/v1/copies?namespace=backup&source=orders").body.at("items");
  ASSERT_EQ(items.size(), 2u);
  EXPECT_EQ(items[0].at("id"), "copy-b");
  EXPECT_EQ(items[0].at("part"), "ledger");
  EXPECT_EQ(items[0].at("sourceNamespace"), "backup");
  EXPECT_EQ(items[1].at("operation"), "op-a");
}

TEST_F(OperationsTest, ListsSourcesAndTheirParts) {
  EXPECT_EQ(Get("/v1/sources?namespace=backup").body.at("items").size(), 1u);
  EXPECT_EQ(Get("/v1/sources/backup/orders").body.at("spec").at("parts")[1], "shop");
  EXPECT_EQ(Get("/v1/sources/other/orders").status, 403);
}

TEST_F(OperationsTest, LocatesASource) {
  const Reply reply = Get("/v1/sources/backup/orders/location");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const Json& location = reply.body.at("location");
  EXPECT_EQ(location.at("method"), "Unknown");
  EXPECT_EQ(location.at("reason"), "the source says nothing about where its data is");
  EXPECT_TRUE(location.at("links").empty());
  EXPECT_TRUE(reply.body.at("ranking").is_array());
  EXPECT_EQ(Get("/v1/sources/backup/none/location").status, 404);
  EXPECT_EQ(Get("/v1/sources/other/orders/location").status, 403);
}

TEST_F(OperationsTest, ExplainsAPod) {
  PutPod("lsp-a");
  live_.usage["pod-lsp-a"] = {{"t1", {{"cpu", 1}}, 1900}, {"t2", {{"cpu", 2}}, 900}};
  Verdict verdict;
  verdict.verb = "filter";
  verdict.nodes_offered = 3;
  verdict.nodes.push_back({.node = "node-1", .score = 90, .reasons = {"holds the data"}});
  live_.verdicts.push_back(verdict);
  const Reply reply = Get("/v1/explain/backup/lsp-a");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_EQ(reply.body.at("pod").at("node"), "node-1");
  EXPECT_EQ(reply.body.at("samples").size(), 2u);
  EXPECT_EQ(reply.body.at("verdicts")[0].at("nodes")[0].at("reasons")[0], "holds the data");
  EXPECT_EQ(reply.body.at("workerAgeMs"), 100);
  EXPECT_TRUE(reply.body.at("location").is_object());
  EXPECT_EQ(Get("/v1/explain/backup/none").status, 404);
}

}  // namespace
}  // namespace longshore::controller
