// SPDX-License-Identifier: Apache-2.0
//
// Verdicts. Numbers in names are those of the list of edge cases in docs/placement.md.
#include "extender/service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "tests/extender/fakes.h"

namespace longshore::extender {
namespace {

using nlohmann::json;
using placement::ImageSet;
using placement::MakeSource;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// n1 holds the data of db/orders; the others are one tier further away each.
class ServiceTest : public testing::Test {
 protected:
  ServiceTest() {
    *world_.cluster.view = placement::OneNodePerTier();
    world_.cluster.SetSource(MakeSource({.node_name = "n1"}));
  }

  json Filter(const std::string& body) { return json::parse(world_.service.Filter(body)); }
  // Scores by host.
  std::map<std::string, int> Prioritize(const std::string& body) {
    std::map<std::string, int> scores;
    for (const json& host : json::parse(world_.service.Prioritize(body))) {
      EXPECT_TRUE(scores.emplace(host["Host"], host["Score"]).second) << "host named twice";
    }
    return scores;
  }
  messages::PlacementVerdict Last() { return world_.sink.verdicts.back(); }
  double Count(const std::string& verb, const std::string& outcome) {
    const std::string text = world_.registry.Text();
    const std::string line =
        "longshore_extender_requests_total{outcome=\"" + outcome + "\",verb=\"" + verb + "\"} ";
    const size_t at = text.find(line);
    return at == std::string::npos ? -1 : std::stod(text.substr(at + line.size()));
  }

  World world_;
};

TEST_F(ServiceTest, TiersGetScoresThatDoNotMeet) {
  const auto scores = Prioritize(RequestBody(kAll));
  EXPECT_GE(scores.at("n1"), 8);
  EXPECT_EQ(scores.at("n2"), 7);  // 63 + 4 + 6
  EXPECT_EQ(scores.at("n3"), 5);
  EXPECT_EQ(scores.at("n4"), 3);
  EXPECT_EQ(scores.at("n5"), 1);
}

TEST_F(ServiceTest, PreferLetsAllPass) {
  const json reply = Filter(RequestBody(kAll));
  EXPECT_EQ(reply["NodeNames"], json(kAll));
  EXPECT_THAT(reply["FailedNodes"], IsEmpty());
  EXPECT_EQ(reply["Error"], "");
}

TEST_F(ServiceTest, RequireRefusesForeverWhatIsTooFar) {
  world_.cluster.SetSource(MakeSource({.node_name = "n1"}, "Require", "Zone"));
  const json reply = Filter(RequestBody(kAll));
  EXPECT_EQ(reply["NodeNames"], json({"n1", "n2", "n3"}));
  EXPECT_THAT(reply["FailedNodes"], IsEmpty());
  EXPECT_EQ(reply["FailedAndUnresolvableNodes"],
            json({{"n4", "longshore: tier Zone of the data is required, this node is at Region"},
                  {"n5", "longshore: tier Zone of the data is required, this node is at None"}}));
}

// The controller has given the requirement up for this pod; its time is not ours to keep.
TEST_F(ServiceTest, Case41_RequirementThatTimedOutIsAPreference) {
  world_.cluster.SetSource(MakeSource({.node_name = "n1"}, "Require", "Rack"));
  std::string body = RequestBody(kAll);
  const std::string annotation = R"("longshore.dev/source-namespace":"db")";
  body.insert(body.find(annotation), R"("longshore.dev/placement-mode":"Prefer",)");
  EXPECT_EQ(Filter(body)["NodeNames"], json(kAll));
  const auto scores = Prioritize(body);
  EXPECT_GT(scores.at("n1"), scores.at("n3"));
  EXPECT_GT(scores.at("n3"), scores.at("n4"));
  const auto verdict = Last();
  for (const messages::NodeVerdict& node : verdict.nodes()) {
    const bool far = node.node() != "n1" && node.node() != "n2";
    EXPECT_EQ(testing::Value(node.reasons(), Contains(HasSubstr("tier Rack was required until"))),
              far)
        << node.node();
  }
  EXPECT_EQ(Filter(RequestBody(kAll))["NodeNames"], json({"n1", "n2"}));
}

// The leader may be back in a second: those nodes are not ruled out for ever.
TEST_F(ServiceTest, RequireFailsForNowWhileTheLocationIsUnknown) {
  world_.cluster.SetSource(MakeSource({.pod_labels = {{"role", "leader"}}}, "Require"));
  const json reply = Filter(RequestBody({"n1", "n2"}));
  EXPECT_THAT(reply["NodeNames"], IsEmpty());
  EXPECT_TRUE(reply["NodeNames"].is_array());
  EXPECT_THAT(reply["FailedAndUnresolvableNodes"], IsEmpty());
  EXPECT_THAT(reply["FailedNodes"]["n2"].get<std::string>(), HasSubstr("no running pod in db"));
}

// The scheduler has checked room and readiness on newer data than ours; refusing would be wrong.
TEST_F(ServiceTest, DoesNotRefuseForRoomOrReadiness) {
  auto& node = world_.cluster.view->AddNode("n1", "r1", "za", "eu");
  node.ready = false;
  node.pods = 110;
  node.cpu_requested_milli = 4000;
  EXPECT_EQ(Filter(RequestBody(kAll))["NodeNames"], json(kAll));
  EXPECT_EQ(Prioritize(RequestBody(kAll)).at("n1"), 8);
}

TEST_F(ServiceTest, Case04_EmptyListGivesEmptyLists) {
  EXPECT_EQ(Filter(RequestBody({}))["NodeNames"], json::array());
  EXPECT_EQ(world_.service.Prioritize(RequestBody({})), "[]");
}

TEST_F(ServiceTest, Case11_MalformedFilterIsAnErrorAndMalformedPrioritizeIsNeutral) {
  EXPECT_THAT(Filter("{\"Pod\":")["Error"].get<std::string>(),
              HasSubstr("longshore-extender: Pod"));
  EXPECT_EQ(world_.service.Prioritize("{\"Pod\":"), "[]");
  EXPECT_EQ(Count("filter", "malformed"), 1);
  EXPECT_EQ(Count("prioritize", "malformed"), 1);
  EXPECT_THAT(world_.sink.verdicts, IsEmpty());
}

// Fault: a flood of nonsense must not fill the disk with what is said about it.
TEST_F(ServiceTest, MalformedBodiesAreLoggedAFewTimesThenRarely) {
  const auto lines_of = [&](int bodies) {
    testing::internal::CaptureStderr();
    for (int i = 0; i < bodies; ++i) world_.service.Filter("{");
    return testing::internal::GetCapturedStderr();
  };
  const std::string flood = lines_of(1000);
  EXPECT_EQ(std::count(flood.begin(), flood.end(), '\n'), 10) << flood;
  EXPECT_EQ(Count("filter", "malformed"), 1000);
  world_.clock.now += std::chrono::seconds(10);
  EXPECT_THAT(lines_of(1), HasSubstr("\"leftOut\":990"));
  EXPECT_EQ(lines_of(1), "");
}

// A node added a moment ago, or a template of the autoscaler (case 43).
TEST_F(ServiceTest, Case18_NodeOutsideTheSnapshotPassesWithoutAnOpinion) {
  const auto scores = Prioritize(RequestBody({"n1", "new", "n5"}));
  EXPECT_EQ(scores.at("new"), 1);
  EXPECT_EQ(Filter(RequestBody({"n1", "new"}))["NodeNames"], json({"n1", "new"}));
  world_.cluster.SetSource(MakeSource({.node_name = "n1"}, "Require", "Zone"));
  EXPECT_EQ(Filter(RequestBody({"n1", "new"}))["NodeNames"], json({"n1", "new"}));
}

// Its name alone proves that it is not the node that is required.
TEST_F(ServiceTest, Case18_ButNotWhereItsNameSaysEnough) {
  world_.cluster.SetSource(MakeSource({.node_name = "n1"}, "Require", "Node"));
  const json reply = Filter(RequestBody({"n1", "new"}));
  EXPECT_EQ(reply["NodeNames"], json({"n1"}));
  EXPECT_TRUE(reply["FailedAndUnresolvableNodes"].contains("new"));
}

TEST_F(ServiceTest, Case21_BeforeTheFirstSyncAllPassAndNothingIsScored) {
  world_.cluster.is_synced = false;
  world_.cluster.SetSource(MakeSource({.node_name = "n1"}, "Require", "Node"));
  EXPECT_EQ(Filter(RequestBody(kAll))["NodeNames"], json(kAll));
  EXPECT_EQ(world_.service.Prioritize(RequestBody(kAll)), "[]");
  EXPECT_EQ(Count("filter", "unsynced"), 1);
}

TEST_F(ServiceTest, Case22_OldSnapshotStillAnswersAndItsAgeIsTold) {
  world_.cluster.is_age = std::chrono::minutes(10);
  EXPECT_EQ(Prioritize(RequestBody(kAll)).at("n2"), 7);
  EXPECT_EQ(Last().snapshot_age_ms(), 600'000);
}

// After the deadline the rest passes unjudged: late is worse than approximate.
TEST_F(ServiceTest, Case25_DeadlineLetsTheRestPass) {
  world_.cluster.SetSource(MakeSource({.node_name = "n1"}, "Require", "Node"));
  world_.clock.step = std::chrono::milliseconds(60);
  std::vector<std::string> many;
  for (int i = 0; i < 1000; ++i) many.push_back("x" + std::to_string(i));
  const json reply = Filter(RequestBody(many));
  EXPECT_EQ(reply["NodeNames"].size(), 1000u - 256u);
  EXPECT_EQ(reply["FailedAndUnresolvableNodes"].size(), 256u);
  EXPECT_EQ(Count("filter", "deadline"), 1);
}

// Points for those that were judged would take the pod away from the node of its data.
TEST_F(ServiceTest, Case25_DeadlineLeavesNoOpinion) {
  std::vector<std::string> many;
  for (int i = 0; i < 300; ++i) many.push_back("x" + std::to_string(i));
  many.push_back("n1");
  EXPECT_NE(world_.service.Prioritize(RequestBody(many)), "[]");
  world_.clock.step = std::chrono::milliseconds(60);
  EXPECT_EQ(world_.service.Prioritize(RequestBody(many)), "[]");
  EXPECT_EQ(Count("prioritize", "deadline"), 1);
}

TEST_F(ServiceTest, Case26_PodWithoutOurLabelIsUntouched) {
  const std::string body = RequestBody(kAll, "u1", "");
  EXPECT_EQ(Filter(body)["NodeNames"], json(kAll));
  EXPECT_EQ(world_.service.Prioritize(body), "[]");
  EXPECT_THAT(world_.sink.verdicts, IsEmpty());
  EXPECT_EQ(Count("filter", "untouched"), 1);
}

TEST_F(ServiceTest, Case27_UnknownSourceIsNeutralAndSaysSo) {
  const std::string body = RequestBody(kAll, "u1", "nobody");
  EXPECT_EQ(Filter(body)["NodeNames"], json(kAll));
  EXPECT_EQ(world_.service.Prioritize(body), "[]");
  EXPECT_EQ(Last().location(), "source db/nobody is not known");
  EXPECT_EQ(Count("prioritize", "unknown_source"), 1);
}

TEST_F(ServiceTest, Case28_DataInTwoZonesShowsBothReasons) {
  world_.cluster.view->by_labels[{"db", {{"role", "leader"}}}] = {{"s-0", "n3", true, ""},
                                                                  {"s-1", "n4", true, ""}};
  world_.cluster.SetSource(MakeSource({.pod_labels = {{"role", "leader"}}}));
  const auto scores = Prioritize(RequestBody(kAll));
  EXPECT_EQ(scores.at("n3"), scores.at("n4"));
  EXPECT_GT(scores.at("n3"), scores.at("n1"));
  EXPECT_THAT(Last().location(), HasSubstr("pod db/s-0 on n3, pod db/s-1 on n4"));
}

// The request's pod as one that mounts claim data of its own namespace.
std::string WithClaim(std::string body) {
  const std::string spec = R"("spec":{)";
  return body.insert(body.find(spec) + spec.size(),
                     R"("volumes":[{"name":"t","emptyDir":{}},)"
                     R"({"name":"d","persistentVolumeClaim":{"claimName":"data"}}],)");
}

TEST_F(ServiceTest, Case29_VolumeAttachedElsewhereLeavesItsNodeOnly) {
  world_.cluster.view->attached[{"backup", "data"}] = {"n4"};
  const json reply = Filter(WithClaim(RequestBody({"n1", "n4", "new"})));
  EXPECT_EQ(reply["NodeNames"], json({"n4"}));
  EXPECT_THAT(reply["FailedAndUnresolvableNodes"], IsEmpty());  // it may be detached
  const json reason =
      "longshore: a volume of the pod is attached to n4 and can be on one node at a time";
  EXPECT_EQ(reply["FailedNodes"], json({{"n1", reason}, {"new", reason}}));
  EXPECT_THAT(Last().nodes(1).reasons(), Contains(HasSubstr("attached to n4")));
  // Of pods that don't mount it, or once it is free, none is refused.
  EXPECT_EQ(Filter(RequestBody({"n1", "n4"}))["NodeNames"], json({"n1", "n4"}));
  world_.cluster.view->attached.clear();
  EXPECT_EQ(Filter(WithClaim(RequestBody({"n1", "n4"})))["NodeNames"], json({"n1", "n4"}));
}

TEST_F(ServiceTest, Case29_TooFarIsSaidFirst) {
  world_.cluster.SetSource(MakeSource({.node_name = "n1"}, "Require", "Node"));
  world_.cluster.view->attached[{"backup", "data"}] = {"n4"};
  const json reply = Filter(WithClaim(RequestBody({"n1", "n2", "n4"})));
  EXPECT_THAT(reply["NodeNames"], IsEmpty());
  EXPECT_TRUE(reply["FailedNodes"].contains("n1"));
  EXPECT_EQ(reply["FailedAndUnresolvableNodes"].size(), 2u);
}

TEST_F(ServiceTest, Case30_UnboundClaimVetoesNothing) {
  world_.cluster.view->volume_nodes.insert_or_assign(
      {"db", "data"}, Result<std::vector<std::string>>(FailedPrecondition("not bound yet")));
  world_.cluster.SetSource(MakeSource({.persistent_volume_claim = "data"}, "Require"));
  EXPECT_EQ(Filter(RequestBody(kAll))["NodeNames"], json(kAll));
}

TEST_F(ServiceTest, Case31_MissingClaimAndDeniedListAreToldApart) {
  world_.cluster.SetSource(MakeSource({.persistent_volume_claim = "data"}));
  Prioritize(RequestBody(kAll));
  EXPECT_THAT(Last().location(), HasSubstr("NotFound"));
  world_.cluster.view = std::make_shared<placement::FakeView>(*world_.cluster.view);
  world_.cluster.view->volume_nodes.insert_or_assign(
      {"db", "data"}, Result<std::vector<std::string>>(
                          Error{Code::kPermissionDenied, "claims may not be listed: no"}));
  Prioritize(RequestBody(kAll));
  EXPECT_THAT(Last().location(), HasSubstr("PermissionDenied: claims may not be listed: no"));
}

TEST_F(ServiceTest, Case33_HalfLabelledNodesAreBetweenFarAndNear) {
  world_.cluster.view->AddNode("bare");
  world_.cluster.view->AddNode("other-eu", "", "za", "us");
  const auto scores = Prioritize(RequestBody({"bare", "n4", "n5", "other-eu"}));
  EXPECT_GT(scores.at("n4"), scores.at("bare"));
  EXPECT_GE(scores.at("bare"), scores.at("n5"));
  EXPECT_EQ(scores.at("other-eu"), scores.at("n5"));  // the zone's name, but of another region
}

// 100 pods before the watch shows a single binding, over ten equal nodes: whatever the scheduler
// picks among the best, no node gets a herd.
TEST_F(ServiceTest, Case37_BurstSpreads) {
  std::vector<std::string> equals;
  for (int i = 0; i < 10; ++i) {
    equals.push_back("e" + std::to_string(i));
    world_.cluster.view->AddNode(equals.back(), "", "zx", "eu");
  }
  world_.cluster.SetSource(MakeSource({.zone = "zx"}));
  // One is calmer than the others, and every pod would go there.
  placement::PressureMap pressure;
  for (const auto& node : equals) {
    pressure[node] = {
        .cpu_used_milli = node == "e3" ? 0 : 1600, .cpu_capacity_milli = 4000, .age_ms = 10};
  }
  world_.pressure.Set(pressure, world_.clock.now);
  std::mt19937 random(37);
  std::map<std::string, int> placed;
  for (int pod = 0; pod < 100; ++pod) {
    const auto scores = Prioritize(RequestBody(equals, "u" + std::to_string(pod)));
    int best = 0;
    for (const auto& [node, score] : scores) best = std::max(best, score);
    std::vector<std::string> candidates;
    for (const auto& [node, score] : scores) {
      if (score == best) candidates.push_back(node);
    }
    ++placed[candidates[random() % candidates.size()]];
  }
  EXPECT_THAT(placed, SizeIs(10));
  for (const auto& [node, pods] : placed) EXPECT_LE(pods, 25) << node;
}

// Case 40: a reservation ends when the pod is seen bound, or after its time.
TEST_F(ServiceTest, Case40_ReservationsEnd) {
  Reservations reservations;
  auto& view = *world_.cluster.view;
  const auto now = world_.clock.now;
  reservations.Reserve("b", "p1", "u1", "n1", now);
  reservations.Reserve("b", "p2", "u2", "n1", now);
  EXPECT_EQ(reservations.Others("u3", view, now)["n1"], 2);
  EXPECT_EQ(reservations.Others("u1", view, now)["n1"], 1);  // not against itself
  view.bound["b/p1/u1"] = "n1";
  EXPECT_EQ(reservations.Others("u3", view, now)["n1"], 1);
  EXPECT_THAT(reservations.Others("u3", view, now + Reservations::kLifetime), IsEmpty());
}

TEST_F(ServiceTest, Case38_PressureAgesWhileNobodySpeaks) {
  world_.pressure.Set(
      {{"n1", {.cpu_used_milli = 4000, .cpu_capacity_milli = 4000, .age_ms = 1000}}},
      world_.clock.now);
  const PressureTable& table = *world_.pressure.table;
  EXPECT_EQ(table.Of("n1", world_.clock.now).age_ms, 1000);
  EXPECT_TRUE(table.Of("n1", world_.clock.now + std::chrono::seconds(4)).known());
  EXPECT_FALSE(table.Of("n1", world_.clock.now + std::chrono::milliseconds(4001)).known());
  EXPECT_FALSE(table.Of("n2", world_.clock.now).known());
  EXPECT_EQ(Prioritize(RequestBody(kAll)).at("n1"), 9);  // 84 + 0 + 6
  world_.clock.now += std::chrono::seconds(5);
  EXPECT_EQ(Prioritize(RequestBody(kAll)).at("n1"), 9);  // 84 + 4 + 6 = 94
}

TEST_F(ServiceTest, Case39_EqualNodesGetEqualScores) {
  world_.cluster.SetSource(MakeSource({.zone = "zx"}));
  std::vector<std::string> equals;
  for (int i = 0; i < 20; ++i) {
    equals.push_back("e" + std::to_string(i));
    world_.cluster.view->AddNode(equals.back(), "", "zx", "eu");
  }
  const auto scores = Prioritize(RequestBody(equals));
  EXPECT_THAT(scores, SizeIs(20));
  for (const auto& [node, score] : scores) EXPECT_EQ(score, scores.begin()->second);
}

TEST_F(ServiceTest, Case36_OverloadedNodeOfTheDataIsNotPreferred) {
  auto source = MakeSource({.node_name = "n1"});
  source.spec.placement.avoid_node_above_percent = 60;
  world_.cluster.SetSource(source);
  const auto busy = [&](int milli) {
    world_.pressure.Set(
        {{"n1", {.cpu_used_milli = milli, .cpu_capacity_milli = 4000, .age_ms = 100}}},
        world_.clock.now);
    return Prioritize(RequestBody(kAll));
  };
  EXPECT_GT(busy(2000).at("n1"), busy(2000).at("n2"));
  EXPECT_LT(busy(3000).at("n1"), busy(3000).at("n2"));
  EXPECT_THAT(Last().nodes(0).node(), "n2");
  EXPECT_EQ(Filter(RequestBody(kAll))["NodeNames"], json(kAll));
}

TEST_F(ServiceTest, NodeThatHasTheImageScoresMore) {
  const std::string image = "reg/pg@sha256:1";
  world_.cluster.SetSource(MakeSource({.zone = "zy"}));
  for (const char* name : {"e1", "e2"}) world_.cluster.view->AddNode(name, "", "zy", "eu");
  const auto images = [&](const std::string& node) {
    auto& info = world_.cluster.view->AddNode(node, "", "zy", "eu");
    info.images = ImageSet().With(image);
  };
  images("e2");
  const std::string body = WithImage(RequestBody({"e1", "e2"}), image);
  Prioritize(body);
  EXPECT_EQ(Last().nodes(0).node(), "e2");
  EXPECT_EQ(Last().nodes(0).image_points(), 2u);
  EXPECT_EQ(Last().nodes(1).image_points(), 0u);
  images("e1");  // it was pulled there meanwhile
  Prioritize(body);
  EXPECT_EQ(Last().nodes(1).image_points(), 2u);
  Prioritize(RequestBody({"e1", "e2"}));
  EXPECT_EQ(Last().nodes(0).image_points(), 0u);
}

TEST_F(ServiceTest, FollowsTheLeaderWithTheNextSnapshot) {
  const std::map<std::string, std::string> leader{{"role", "leader"}};
  world_.cluster.SetSource(MakeSource({.pod_labels = leader}));
  world_.cluster.view->by_labels[{"db", leader}] = {{"pg-0", "n1", true, ""}};
  EXPECT_GT(Prioritize(RequestBody(kAll)).at("n1"), 7);
  world_.cluster.view = std::make_shared<placement::FakeView>(*world_.cluster.view);
  world_.cluster.view->by_labels[{"db", leader}] = {{"pg-1", "n4", true, ""}};
  EXPECT_GT(Prioritize(RequestBody(kAll)).at("n4"), 7);
}

TEST_F(ServiceTest, ChangedSourceCountsAtOnce) {
  Prioritize(RequestBody(kAll));
  world_.cluster.SetSource(MakeSource({.node_name = "n4"}));
  EXPECT_GT(Prioritize(RequestBody(kAll)).at("n4"), 7);
}

TEST_F(ServiceTest, NodeListModeReturnsTheNodes) {
  world_.cluster.SetSource(MakeSource({.node_name = "n1"}, "Require", "Node"));
  json body = json::parse(RequestBody({}));
  body["NodeNames"] = nullptr;
  body["Nodes"]["items"] = {{{"metadata", {{"name", "n1"}}}}, {{"metadata", {{"name", "n2"}}}}};
  const json reply = Filter(body.dump());
  EXPECT_EQ(reply["Nodes"]["items"], json::parse(R"([{"metadata":{"name":"n1"}}])"));
  EXPECT_FALSE(reply.contains("NodeNames"));
}

// Of many nodes a filter that refuses none judges none: prioritize is asked next, and explains
// them.
TEST_F(ServiceTest, FilterThatRefusesNothingIsQuick) {
  std::vector<std::string> many = kAll;
  for (int i = 0; i < 100; ++i) many.push_back("m" + std::to_string(i));
  EXPECT_EQ(Filter(RequestBody(many))["NodeNames"], json(many));
  EXPECT_EQ(Last().nodes_offered(), 105u);
  EXPECT_EQ(Last().nodes_size(), 0);
  EXPECT_EQ(Count("filter", "judged"), 1);
  Filter(RequestBody({"n1", "n2"}));
  EXPECT_EQ(Last().nodes_size(), 2);
  Prioritize(RequestBody(many));
  EXPECT_EQ(Last().nodes_size(), 20);
}

TEST_F(ServiceTest, VerdictTellsTheBestTwentyNodesAndWhy) {
  std::vector<std::string> many = kAll;
  for (int i = 0; i < 100; ++i) {
    many.push_back("m" + std::to_string(i));
    world_.cluster.view->AddNode(many.back(), "", "zc", "us");
  }
  world_.cluster.SetSource(MakeSource({.node_name = "n4"}, "Require", "Zone"));
  Filter(RequestBody(many, "u7"));
  const auto verdict = Last();
  EXPECT_EQ(verdict.pod_namespace(), "backup");
  EXPECT_EQ(verdict.pod_name(), "p-u7");
  EXPECT_EQ(verdict.pod_uid(), "u7");
  EXPECT_EQ(verdict.verb(), "filter");
  EXPECT_EQ(verdict.nodes_offered(), 105u);
  EXPECT_EQ(verdict.location(), "the source names node n4");
  ASSERT_EQ(verdict.nodes_size(), 20);
  EXPECT_EQ(verdict.nodes(0).node(), "n4");
  EXPECT_TRUE(verdict.nodes(0).passed());
  EXPECT_EQ(verdict.nodes(0).tier(), "Node");
  EXPECT_EQ(verdict.nodes(0).locality_points(), 42u);  // within the tier that is near enough
  EXPECT_EQ(verdict.nodes(0).locality_points() + verdict.nodes(0).pressure_points() +
                verdict.nodes(0).room_points(),
            verdict.nodes(0).score());
  EXPECT_THAT(verdict.nodes(0).reasons(), Contains(HasSubstr("the data is on this node")));
  EXPECT_EQ(verdict.nodes(0).inputs().cpu_free_milli(), 4000);
  EXPECT_EQ(verdict.nodes(0).inputs().pressure().sample_age_ms(), -1);
  EXPECT_FALSE(verdict.nodes(1).passed());
  EXPECT_THAT(verdict.nodes(1).reasons(), Contains(HasSubstr("placement requires tier Zone")));
}

}  // namespace
}  // namespace longshore::extender
