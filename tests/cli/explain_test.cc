// SPDX-License-Identifier: Apache-2.0
#include "cli/explain.h"

#include "tests/cli/cli_fixture.h"

namespace longshore::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

const WallTime kSeenAt = *ParseTime("2026-01-01T00:10:00Z");

TEST(ExplainTest, SaysThatARequirementTimedOut) {
  const api::Json explanation = {{"spec", {{"placementMode", "Prefer"}}}};
  EXPECT_THAT(RenderExplanation(explanation, kSeenAt),
              HasSubstr("nearness was  required until requireTimeoutSeconds"));
}

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
                 "localityPoints": 60, "pressurePoints": 20, "roomPoints": 15, "imagePoints": 2,
                 "reasons": ["holds the data"]},
                {"node": "node-3", "tier": "Zone", "feasible": false, "score": 0,
                 "reasons": ["not ready"]}],
    "verdicts": [{"time": "t", "verb": "filter", "nodesOffered": 3, "snapshotAgeMs": 60378,
                  "nodes": [{"node": "node-1", "score": 95, "localityPoints": 84,
                             "pressurePoints": 6, "roomPoints": 5}]}],
    "samples": [{"time": "s1", "usage": {"cpu": "412m", "memory": "104857600"}}]})");
  EXPECT_EQ(RenderExplanation(explanation, kSeenAt),
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
            "  NODE    TIER  SCORE  LOCALITY  PRESSURE  ROOM  IMAGE  WHY\n"
            "  node-1  Node  95     60        20        15    2      holds the data\n"
            "  node-3  Zone  no     -         -         -     -      not ready\n"
            "\n"
            "What the scheduler extender decided:\n"
            "  t filter of 3 nodes\n"
            "  NODE    TIER  SCORE  LOCALITY  PRESSURE  ROOM  IMAGE  WHY\n"
            "  node-1  -     95     84        6         5     -      -\n"
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
        kSeenAt);
  };
  EXPECT_THAT(text(62'000), HasSubstr("filter of 1 node\n"));
  EXPECT_THAT(text(600'000), HasSubstr("filter of 1 node, by old data: the API server was last "
                                       "heard 10m00s before\n"));
}

// The scheduler tries a pod that waits again and again; one table says as much as four.
TEST(ExplainTest, CallsInARowThatCameToTheSameAreOne) {
  const auto filter = [](const std::string& time, const std::string& why, int load_percent) {
    const std::string load = "pressure: cpu " + std::to_string(load_percent) + " %";
    return api::Json{{"time", time},
                     {"verb", "filter"},
                     {"nodesOffered", 2},
                     {"nodes",
                      {{{"node", "n1"}, {"feasible", false}, {"reasons", {why, load}}},
                       {{"node", "n2"}, {"feasible", false}, {"reasons", {"cordoned"}}}}}};
  };
  const auto text = [](const api::Json& verdicts) {
    return RenderExplanation({{"pod", {{"name", "p"}}}, {"verdicts", verdicts}}, kSeenAt);
  };
  const std::string four = text({filter("t1", "too far", 10), filter("t2", "too far", 20),
                                 filter("t3", "too far", 30), filter("t4", "full", 30)});
  EXPECT_THAT(four, HasSubstr("  t3 filter of 2 nodes, as in the 2 calls before, since t1\n"));
  EXPECT_THAT(four, HasSubstr("too far; pressure: cpu 30 %\n"));
  EXPECT_THAT(four, Not(HasSubstr("cpu 20 %")));
  EXPECT_THAT(four, HasSubstr("  t4 filter of 2 nodes\n"));
  EXPECT_THAT(text({filter("t1", "full", 10), filter("t2", "full", 10)}),
              HasSubstr("  t2 filter of 2 nodes, as in the call before, at t1\n"));
  // Then there is room for what was decided before.
  api::Json verdicts = api::Json::array({filter("t0", "too far", 10)});
  for (int i = 1; i < 8; ++i) verdicts.push_back(filter("t" + std::to_string(i), "full", 10));
  EXPECT_THAT(text(verdicts), HasSubstr("  t0 filter of 2 nodes\n"));
  EXPECT_THAT(text(verdicts), HasSubstr("as in the 6 calls before, since t1\n"));
  // Another verb or number of nodes is another call.
  verdicts = {filter("t1", "full", 10), filter("t2", "full", 10), filter("t3", "full", 10)};
  verdicts[1]["verb"] = "prioritize";
  verdicts[2]["nodesOffered"] = 3;
  EXPECT_THAT(text(verdicts), Not(HasSubstr("before")));
}

// What is missing is said, not left out.
TEST(ExplainTest, SaysWhatIsUnknown) {
  const api::Json bare = *api::ParseJson(
      R"({"pod": {"namespace": "b", "name": "p", "state": "Planned"}, "workerAgeMs": null})");
  const std::string text = RenderExplanation(bare, kSeenAt);
  EXPECT_THAT(text, HasSubstr("worker      not heard"));
  EXPECT_THAT(text, HasSubstr("steered to  anywhere"));
  EXPECT_THAT(text, HasSubstr("extender has told nothing"));
  EXPECT_THAT(text, HasSubstr("no node agent reports this pod"));
}

using ExplainCommandTest = CliTest;

TEST_F(ExplainCommandTest, AsksAboutANode) {
  Json counterfactual = {
      {"node", "n2"}, {"wins", false}, {"changes", {{{"text", "would have won"}}}}};
  const Json node = {{"node", "n2"}, {"rank", 37}, {"rankOf", 5000}, {"score", 42}};
  api_.On("GET /v1/explain/backup/lsp-a", {{"counterfactual", counterfactual}, {"node", node}});
  counterfactual["wins"] = true;
  api_.On("GET /v1/explain/backup/lsp-a", {{"counterfactual", counterfactual}});
  EXPECT_EQ(Longshore("explain lsp-a --node n2"), 0) << err_.str();
  EXPECT_EQ(api_.lines().back(), "GET /v1/explain/backup/lsp-a?node=n2");
  EXPECT_THAT(out_.str(), HasSubstr("\nHow n2 ranks: 37 of 5000\n"));
  EXPECT_THAT(out_.str(), HasSubstr("\nWhat would have changed it for n2:\n  would have won\n"));
  EXPECT_EQ(Longshore("explain lsp-a --node n2"), 0);
  EXPECT_THAT(out_.str(), HasSubstr("\nNothing would have had to change for n2.\n"));
}

TEST(LocateTest, SaysWhereAndHowThatIsKnown) {
  const api::Json located = *api::ParseJson(R"j({
    "source": {"namespace": "backup", "name": "orders"},
    "placement": {"mode": "Require", "tier": "Rack"},
    "location": {"nodes": ["node-1"], "rack": "r1", "zone": "z1", "region": "",
                 "method": "Service", "reason": "x",
                 "links": [{"name": "podLabels", "found": false,
                            "reason": "no running pod in db has labels role=leader"},
                           {"name": "service", "found": true,
                            "reason": "pod db/pg-0 on node-1 (service db/pg)"}]},
    "ranking": [{"node": "node-1", "tier": "Node", "feasible": true, "score": 95,
                 "localityPoints": 84, "pressurePoints": 5, "roomPoints": 6, "imagePoints": 0,
                 "reasons": ["the data is on this node (+84)"]}]})j");
  EXPECT_EQ(
      RenderLocation(located),
      "source    backup/orders\n"
      "data      node-1\n"
      "topology  rack r1, zone z1\n"
      "wanted    Require Rack\n"
      "\n"
      "How that is known:\n"
      "  TRIED      FOUND  WHY\n"
      "  podLabels  no     no running pod in db has labels role=leader\n"
      "  service    yes    pod db/pg-0 on node-1 (service db/pg)\n"
      "\n"
      "How the nodes rank now:\n"
      "  NODE    TIER  SCORE  LOCALITY  PRESSURE  ROOM  IMAGE  WHY\n"
      "  node-1  Node  95     84        5         6     0      the data is on this node (+84)\n");
}

TEST(LocateTest, SaysWhenNothingSaysWhere) {
  const std::string text = RenderLocation(
      *api::ParseJson(R"({"source": {"namespace": "b", "name": "s"}, "location": {"nodes": []}})"));
  EXPECT_THAT(text, HasSubstr("data    unknown\n"));
  EXPECT_THAT(text, HasSubstr("set spec.location of the source"));
}

TEST(ScalingTest, TellsWhatWasDecidedWhatIsMeasuredAndWhatHoldsIt) {
  const api::Json scaling = *api::ParseJson(R"({
    "namespace": "backup", "name": "req-1", "desiredPods": 2,
    "conditions": [{"type": "ScalingLimited", "status": "True", "reason": "MaxPods",
                    "message": "Usage wants 3 pods: spec.pods.max is 2: raise it"}],
    "decisions": [{"time": "t2", "from": 1, "to": 2, "cause": "DemandWaiting",
                   "message": "2 operations wait",
                   "candidates": [{"name": "Usage", "pods": 2, "message": "cpu"},
                                  {"name": "Demand", "pods": 3, "chosen": true,
                                   "message": "2 operations wait"}],
                   "limit": {"reason": "MaxPods", "pods": 2}},
                  {"time": "t1", "from": 0, "to": 1, "cause": "Requested", "message": "initial"}],
    "now": {"idleSeconds": 120,
            "pods": [{"name": "a", "busy": true,
                      "signals": [{"signal": "cpu", "value": "140m", "up": "120m", "down": "30m",
                                   "overSeconds": 2, "windowSeconds": 3}]},
                     {"name": "b", "busy": false, "idleSeconds": 45,
                      "signals": [{"signal": "cpu", "up": "120m", "down": "30m",
                                   "overSeconds": 0, "windowSeconds": 3}]}],
            "growth": ["MaxPods: spec.pods.max is 2"], "shrink": ["operations wait"]}})");
  EXPECT_EQ(RenderScaling(scaling),
            "request         backup/req-1\n"
            "pods            2 wanted\n"
            "ScalingLimited  True MaxPods: Usage wants 3 pods: spec.pods.max is 2: raise it\n"
            "\n"
            "Decisions, newest first:\n"
            "  DECIDED  PODS    CAUSE          LIMITED BY  WHY\n"
            "  t2       1 to 2  DemandWaiting  MaxPods     2 operations wait\n"
            "  t1       0 to 1  Requested      -           initial\n"
            "\n"
            "Who had a say in the last decision:\n"
            "  CANDIDATE  WANTS  CHOSEN  WHY\n"
            "  Usage      2      no      cpu\n"
            "  Demand     3      yes     2 operations wait\n"
            "\n"
            "Measured:\n"
            "  POD  IDLE FOR      SIGNAL  NOW      UP    OVER FOR  DOWN\n"
            "  a    has work      cpu     140m     120m  2s of 3s  30m\n"
            "  b    45s of 2m00s  cpu     unknown  120m  0s of 3s  30m\n"
            "\n"
            "Growth:\n"
            "  MaxPods: spec.pods.max is 2\n"
            "\n"
            "Shrinking:\n"
            "  operations wait\n");
}

TEST(ScalingTest, SaysWhenNothingWasEvaluated) {
  const api::Json scaling = *api::ParseJson(R"({"namespace": "n", "name": "r", "now": null})");
  EXPECT_THAT(RenderScaling(scaling), HasSubstr("Nothing was decided yet"));
  EXPECT_THAT(RenderScaling(scaling), HasSubstr("Nothing was evaluated"));
  EXPECT_THAT(RenderScaling(scaling), Not(HasSubstr("Measured")));
}

}  // namespace
}  // namespace longshore::cli
