// SPDX-License-Identifier: Apache-2.0
#include "cli/explain.h"

#include <gmock/gmock.h>

namespace longshore::cli {
namespace {

using testing::HasSubstr;

const WallTime kNow = *ParseTime("2026-01-01T00:10:00Z");

TEST(ExplainTest, TellsTheWholeStory) {
  const api::Json explanation = *api::ParseJson(R"({
    "pod": {"namespace": "backup", "name": "lsp-a", "request": "req-1", "source": "orders",
            "state": "Assigned", "reason": "Dispatched", "message": "op-1", "node": "node-1",
            "tier": "Node", "since": "2026-01-01T00:09:55Z", "cause": "ThresholdExceeded",
            "lease": {"holder": "longshore", "operation": "op-1"}},
    "spec": {"candidateNodes": ["node-1", "node-2"]},
    "request": {"image": {"name": "postgresql-17", "reason": "newest that fits"},
                "lastDecision": {"message": "cpu over 60% on lsp-b"}},
    "workerAgeMs": 350,
    "location": {"reason": "pod db/orders-0 runs on node-1"},
    "ranking": [{"node": "node-1", "tier": "Node", "feasible": true, "score": 95,
                 "localityPoints": 60, "pressurePoints": 20, "roomPoints": 15,
                 "reasons": ["holds the data"]},
                {"node": "node-3", "tier": "Zone", "feasible": false, "score": 0,
                 "reasons": ["not ready"]}],
    "verdicts": [{"time": "t", "verb": "filter", "nodesOffered": 3, "snapshotAgeMs": 60378,
                  "nodes": [{"node": "node-1", "score": 95, "localityPoints": 84,
                             "pressurePoints": 6, "roomPoints": 5}]}],
    "samples": [{"time": "s1", "usage": {"cpu": "412m", "memory": "104857600"}}]})");
  EXPECT_EQ(RenderExplanation(explanation, kNow),
            "pod          backup/lsp-a\n"
            "request      req-1 (source orders)\n"
            "state        Assigned for 5s: Dispatched op-1\n"
            "provisioned  ThresholdExceeded\n"
            "node         node-1\n"
            "nearness     Node\n"
            "held by      longshore op-1\n"
            "worker       heard 350 ms ago\n"
            "image        postgresql-17 newest that fits\n"
            "steered to   node-1, node-2\n"
            "data         pod db/orders-0 runs on node-1\n"
            "\n"
            "Last scaling decision of the request:\n"
            "  cpu over 60% on lsp-b\n"
            "\n"
            "How the nodes rank now:\n"
            "  NODE    TIER  SCORE  LOCALITY  PRESSURE  ROOM  WHY\n"
            "  node-1  Node  95     60        20        15    holds the data\n"
            "  node-3  Zone  no     -         -         -     not ready\n"
            "\n"
            "What the scheduler extender decided:\n"
            "  t filter of 3 nodes\n"
            "  NODE    TIER  SCORE  LOCALITY  PRESSURE  ROOM  WHY\n"
            "  node-1  -     95     84        6         5     -\n"
            "\n"
            "Measured usage:\n"
            "  TIME  CPU   MEMORY   READ  WRITE\n"
            "  s1    412m  100 MiB  -     -\n");
}

// A quiet API server is heard once a minute; only a longer silence makes a verdict doubtful.
TEST(ExplainTest, DoubtsAVerdictOnlyAfterASilenceOfTheApiServer) {
  const auto text = [](int64_t age_ms) {
    return RenderExplanation(
        {{"pod", {{"name", "p"}}},
         {"verdicts", {{{"verb", "filter"}, {"nodesOffered", 1}, {"snapshotAgeMs", age_ms}}}}},
        kNow);
  };
  EXPECT_THAT(text(62'000), HasSubstr("filter of 1 node\n"));
  EXPECT_THAT(text(600'000), HasSubstr("filter of 1 node, by old data: the API server was last "
                                       "heard 10m00s before\n"));
}

// What is missing is said, not left out.
TEST(ExplainTest, SaysWhatIsUnknown) {
  const api::Json bare = *api::ParseJson(
      R"({"pod": {"namespace": "b", "name": "p", "state": "Planned"}, "workerAgeMs": null})");
  const std::string text = RenderExplanation(bare, kNow);
  EXPECT_THAT(text, HasSubstr("worker      not heard"));
  EXPECT_THAT(text, HasSubstr("steered to  anywhere"));
  EXPECT_THAT(text, HasSubstr("extender has told nothing"));
  EXPECT_THAT(text, HasSubstr("no node agent reports this pod"));
}

}  // namespace
}  // namespace longshore::cli
