// SPDX-License-Identifier: Apache-2.0
#include "common/placement/location.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/common/placement/three_nodes.h"

namespace longshore::placement {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

api::SourceLocation Where(const std::string& node, const std::map<std::string, std::string>& labels,
                          const std::string& service = "", const std::string& claim = "",
                          const std::string& zone = "") {
  return {.node_name = node,
          .pod_labels = labels,
          .service = service,
          .persistent_volume_claim = claim,
          .zone = zone};
}

TEST(LinksTest, EachLinkTriedIsTold) {
  const Location location = Locate(MakeSource(Where("gone", kLeader, "pg")), ThreeNodes());
  ASSERT_EQ(location.links.size(), 2u);  // the Service was not asked
  EXPECT_EQ(location.links[0].name, "nodeName");
  EXPECT_FALSE(location.links[0].found);
  EXPECT_EQ(location.links[0].reason, "node gone is not in the cluster");
  EXPECT_EQ(location.links[1].name, "podLabels");
  EXPECT_TRUE(location.links[1].found);
  EXPECT_EQ(location.links[1].reason, "pod db/pg-0 on n2 (labels role=leader)");
}

struct ChainCase {
  const char* name;
  api::SourceLocation where;
  std::vector<std::string> nodes;
  const char* method;
  const char* reason;
};

class ChainTest : public testing::TestWithParam<ChainCase> {};

// The first link that is set and finds something decides; the later ones are not asked.
TEST_P(ChainTest, FirstHitWins) {
  const FakeView view = ThreeNodes();
  const Location location = Locate(MakeSource(GetParam().where), view);
  EXPECT_EQ(location.nodes, GetParam().nodes);
  EXPECT_EQ(location.method, GetParam().method);
  EXPECT_THAT(location.reason, HasSubstr(GetParam().reason));
}

INSTANTIATE_TEST_SUITE_P(
    Chain, ChainTest,
    testing::Values(
        ChainCase{"NodeBeforeAll",
                  Where("n1", kLeader, "pg", "data", "zb"),
                  {"n1"},
                  "NodeName",
                  "the source names node n1"},
        ChainCase{"PodBeforeService",
                  Where("", kLeader, "pg", "data", "zb"),
                  {"n2"},
                  "Pod",
                  "pod db/pg-0 on n2 (labels role=leader)"},
        ChainCase{"ServiceBeforeClaim",
                  Where("", {}, "pg", "data", "zb"),
                  {"n3"},
                  "Service",
                  "(service db/pg)"},
        ChainCase{"ClaimBeforeZone",
                  Where("", {}, "", "data", "zb"),
                  {"n1"},
                  "PersistentVolume",
                  "claim db/data: its volume is on n1"},
        ChainCase{"ZoneLast", Where("", {}, "", "", "zb"), {}, "Zone", "the source names zone zb"},
        ChainCase{"GoneNodeFallsThrough",
                  Where("n9", kLeader),
                  {"n2"},
                  "Pod",
                  "node n9 is not in the cluster"},
        ChainCase{"NoSuchPodFallsThrough",
                  Where("", {{"role", "x"}}, "pg"),
                  {"n3"},
                  "Service",
                  "no running pod in db has labels role=x"},
        ChainCase{"MissingClaimFallsThrough",
                  Where("", {}, "", "nope", "za"),
                  {},
                  "Zone",
                  "there is no such claim"},
        ChainCase{"NothingSet", {}, {}, "Unknown", "says nothing about where"},
        ChainCase{"NothingFound",
                  Where("n9", {}, "x"),
                  {},
                  "Unknown",
                  "service db/x has no ready endpoint"}),
    [](const auto& info) { return info.param.name; });

TEST(LocateTest, TakesTopologyOfTheFirstNode) {
  const Location location = Locate(MakeSource({.node_name = "n3"}), ThreeNodes());
  EXPECT_EQ(location.rack, "r3");
  EXPECT_EQ(location.zone, "zb");
  EXPECT_EQ(location.region, "eu");
}

// After a failover both pods may run for a moment; the one that serves is the leader.
TEST(LocateTest, PrefersReadyPods) {
  FakeView view = ThreeNodes();
  view.by_labels[{"db", kLeader}] = {{"pg-0", "n1", false, ""}, {"pg-1", "n2", true, ""}};
  EXPECT_THAT(Locate(MakeSource({.pod_labels = kLeader}), view).nodes, ElementsAre("n2"));
}

// Better an unready leader's node than none: it is where the data is.
TEST(LocateTest, TakesUnreadyPodsWhenNoneIsReady) {
  FakeView view = ThreeNodes();
  view.by_labels[{"db", kLeader}] = {{"pg-0", "n1", false, ""}};
  EXPECT_THAT(Locate(MakeSource({.pod_labels = kLeader}), view).nodes, ElementsAre("n1"));
}

TEST(LocateTest, FollowsTheLeader) {
  FakeView view = ThreeNodes();
  const auto source = MakeSource({.pod_labels = kLeader});
  EXPECT_THAT(Locate(source, view).nodes, ElementsAre("n2"));
  view.by_labels[{"db", kLeader}] = {{"pg-1", "n3", true, ""}};
  EXPECT_THAT(Locate(source, view).nodes, ElementsAre("n3"));
}

const std::map<std::string, std::string> kStandby{{"role", "standby"}};

api::BackupSource StandbySource() {
  auto source = MakeSource({.pod_labels = kLeader, .standby_pod_labels = kStandby});
  source.spec.placement.replicas = "PreferStandby";
  return source;
}

TEST(LocateTest, ReadyStandbyIsPreferredWhereTheSourceSaysSo) {
  FakeView view = ThreeNodes();
  view.by_labels[{"db", kLeader}] = {{"pg-0", "n2", true, "", "uid-0"}};
  view.by_labels[{"db", kStandby}] = {{"pg-1", "n3", true, "", "uid-1"},
                                      {"pg-2", "n1", false, "", "uid-2"}};
  auto source = StandbySource();
  const Location location = Locate(source, view);
  EXPECT_THAT(location.nodes, ElementsAre("n3"));
  EXPECT_EQ(location.reason, "pod db/pg-1 on n3 (standby, labels role=standby)");
  // The leader is watched over too: the dump may read it.
  ASSERT_EQ(location.pods.size(), 2u);
  EXPECT_EQ(location.pods[0].agent_uid, "uid-1");
  EXPECT_EQ(location.pods[1].agent_uid, "uid-0");
  source.spec.placement.replicas = "LeaderOnly";
  EXPECT_THAT(Locate(source, view).nodes, ElementsAre("n2"));
  EXPECT_EQ(Locate(source, view).links.size(), 1u);
}

TEST(LocateTest, LeaderIsTakenWhileNoStandbyIsReady) {
  FakeView view = ThreeNodes();
  view.by_labels[{"db", kStandby}] = {{"pg-1", "n3", false, ""}};
  const Location location = Locate(StandbySource(), view);
  EXPECT_THAT(location.nodes, ElementsAre("n2"));
  EXPECT_THAT(location.reason, HasSubstr("no ready standby in db has labels role=standby"));
}

// Case 35: labels of the whole cluster's pods for the standbys, which the leader has too.
TEST(LocateTest, StandbyThatBecameTheLeaderIsNoStandby) {
  FakeView view = ThreeNodes();
  view.by_labels[{"db", kLeader}] = {{"pg-0", "n2", true, ""}};
  view.by_labels[{"db", kStandby}] = {{"pg-0", "n2", true, ""}, {"pg-1", "n3", true, ""}};
  EXPECT_THAT(Locate(StandbySource(), view).nodes, ElementsAre("n3"));
  view.by_labels[{"db", kLeader}] = {{"pg-1", "n3", true, ""}};
  EXPECT_THAT(Locate(StandbySource(), view).nodes, ElementsAre("n2"));
}

// A volume of a whole zone may be used on many nodes; the pod that has it mounted says which one.
TEST(LocateTest, PodThatMountsTheClaimBeatsTheVolumesAffinity) {
  FakeView view = ThreeNodes();
  view.volume_nodes[{"db", "data"}] = std::vector<std::string>{"n1", "n2"};
  const auto source = MakeSource({.persistent_volume_claim = "data"});
  EXPECT_THAT(Locate(source, view).nodes, ElementsAre("n1", "n2"));
  view.by_claim[{"db", "data"}] = {{"pg-0", "n2", true, ""}};
  const Location location = Locate(source, view);
  EXPECT_THAT(location.nodes, ElementsAre("n2"));
  EXPECT_THAT(location.reason, HasSubstr("pod db/pg-0 on n2 (has claim db/data mounted)"));
}

TEST(LocateTest, Case29_AttachmentBeatsTheVolumesAffinityAndAPodThatRunsBeatsBoth) {
  FakeView view = ThreeNodes();
  const auto source = MakeSource({.persistent_volume_claim = "data"});
  view.attached[{"db", "data"}] = {"n2"};
  const Location location = Locate(source, view);
  EXPECT_THAT(location.nodes, ElementsAre("n2"));
  EXPECT_EQ(location.zone, "za");
  EXPECT_EQ(location.reason, "claim db/data: its volume is attached to n2");
  view.by_claim[{"db", "data"}] = {{"pg-0", "n3", true, ""}};
  EXPECT_THAT(Locate(source, view).nodes, ElementsAre("n3"));
}

// Edge case 30: a claim that waits for its first consumer must not keep that consumer from running.
TEST(LocateTest, UnboundClaimIsUnknownButSaysThatAnyNodeWillDo) {
  FakeView view = ThreeNodes();
  view.volume_nodes.insert_or_assign(
      {"db", "data"}, Result<std::vector<std::string>>(FailedPrecondition("not bound yet")));
  const Location location = Locate(MakeSource({.persistent_volume_claim = "data"}), view);
  EXPECT_FALSE(location.known());
  EXPECT_TRUE(location.unbound);
  EXPECT_THAT(location.reason, HasSubstr("not bound yet"));
}

// Edge case 31: what is not there and what we may not list are told apart.
TEST(LocateTest, Case31_MissingClaimAndDeniedListAreToldApart) {
  FakeView view = ThreeNodes();
  const auto missing = Locate(MakeSource({.persistent_volume_claim = "nope"}), view);
  EXPECT_THAT(missing.reason, HasSubstr("NotFound"));
  const Error error{Code::kPermissionDenied, "claims may not be listed: no"};
  view.volume_nodes.insert_or_assign({"db", "data"}, Result<std::vector<std::string>>(error));
  const auto denied = Locate(MakeSource({.persistent_volume_claim = "data"}), view);
  EXPECT_THAT(denied.reason, HasSubstr("PermissionDenied: claims may not be listed: no"));
  EXPECT_FALSE(missing.unbound || denied.unbound);
}

TEST(LocateTest, Case31_DeniedEndpointsAreNotMissingOnes) {
  FakeView view = ThreeNodes();
  EXPECT_THAT(Locate(MakeSource({.service = "none"}), view).reason,
              HasSubstr("has no ready endpoint"));
  view.unlisted[Kind::kSlices] = {Code::kPermissionDenied, "endpoint slices may not be listed: no"};
  EXPECT_EQ(Locate(MakeSource({.service = "none"}), view).reason,
            "service db/none: PermissionDenied: endpoint slices may not be listed: no");
}

// The volume's affinity still says something; that there may be better knowledge is said too.
TEST(LocateTest, Case31_DeniedAttachmentsAreSaidBesideTheAffinity) {
  FakeView view = ThreeNodes();
  view.unlisted[Kind::kAttachments] = {Code::kPermissionDenied, "attachments may not be listed"};
  const auto location = Locate(MakeSource({.persistent_volume_claim = "data"}), view);
  EXPECT_THAT(location.nodes, ElementsAre("n1"));
  EXPECT_EQ(location.reason,
            "claim db/data: its volume is on n1 (where it is attached is not known: attachments "
            "may not be listed)");
}

// An arbiter carries the labels of its cluster and is behind its Service; its node is not near.
TEST(LocateTest, Case44_WitnessIsNotTakenForData) {
  FakeView view = ThreeNodes();
  const std::map<std::string, std::string> app{{"app", "pg"}};
  View::PodPlace witness{"pg-2", "n1", true, ""};
  witness.witness = "role=witness";
  view.by_labels[{"db", app}] = {{"pg-0", "n2", true, ""}, witness};
  view.by_service[{"db", "pg"}] = {witness, {"pg-0", "n3", true, ""}};
  const auto by_labels = Locate(MakeSource({.pod_labels = app}), view);
  EXPECT_THAT(by_labels.nodes, ElementsAre("n2"));
  EXPECT_EQ(by_labels.reason,
            "pod db/pg-0 on n2 (labels app=pg, without data: pod db/pg-2 (role=witness))");
  EXPECT_THAT(Locate(MakeSource({.service = "pg"}), view).nodes, ElementsAre("n3"));
  auto standby = MakeSource({.pod_labels = kLeader, .standby_pod_labels = app});
  standby.spec.placement.replicas = "PreferStandby";
  view.by_labels[{"db", app}] = {witness};
  const auto leader = Locate(standby, view);  // pg-0, since nobody stands by
  EXPECT_THAT(leader.nodes, ElementsAre("n2"));
  EXPECT_THAT(leader.reason, HasSubstr("no ready standby in db has labels app=pg, without data: "));
  // While only it is left, where the data is, is not known.
  EXPECT_FALSE(Locate(MakeSource({.pod_labels = app}), view).known());
}

TEST(LocateTest, PodsOfAnOwnerAreFoundAndTheLeaderAmongThem) {
  FakeView view = ThreeNodes();
  auto& pods = view.by_owner[{"db", "Cluster/orders"}];
  pods = {
      {"orders-1", "n1", true, ""}, {"orders-2", "n2", true, ""}, {"orders-3", "n3", false, ""}};
  const auto source = MakeSource({.owner = {"Cluster", "orders"}, .service = "pg"});
  const auto any = Locate(source, view);
  EXPECT_THAT(any.nodes, ElementsAre("n1", "n2"));
  EXPECT_EQ(any.reason, "pod db/orders-1 on n1, pod db/orders-2 on n2 (Cluster db/orders)");
  pods[1].leads = true;
  const auto leader = Locate(source, view);
  EXPECT_THAT(leader.nodes, ElementsAre("n2"));
  EXPECT_EQ(leader.reason, "pod db/orders-2 on n2 (leader of Cluster db/orders)");
  EXPECT_EQ(leader.method, "Pod");
  pods.clear();
  EXPECT_EQ(Locate(source, view).reason,
            "pod db/pg-0 on n3 (service db/pg); no running pod belongs to Cluster db/orders");
  view.unlisted[Kind::kStatefulSets] = {Code::kPermissionDenied, "no sets"};
  EXPECT_THAT(Locate(source, view).reason,
              HasSubstr("belongs to Cluster db/orders: PermissionDenied: no sets"));
}

// "statefulset", as kubectl takes it, is no kind.
TEST(LocateTest, AnOwnersKindInTheWrongCaseIsToldTheRightOne) {
  FakeView view = ThreeNodes();
  view.by_owner[{"db", "StatefulSet/pg"}] = {{"pg-0", "n1", true, ""}};
  const auto reason = [&](const std::string& kind) {
    return Locate(MakeSource({.owner = {kind, "pg"}}), view).reason;
  };
  EXPECT_EQ(reason("statefulset"),
            "no running pod belongs to statefulset db/pg (did you mean StatefulSet? A kind is "
            "spelled as in its manifest)");
  EXPECT_THAT(reason("PostgreSQL"), HasSubstr("did you mean postgresql?"));
  for (const char* kind : {"StatefulSet", "Deployment", "StatefulSets", "Made"}) {
    EXPECT_THAT(reason(kind), Not(HasSubstr("did you mean"))) << kind;
  }
}

// A database outside the cluster has hand-made endpoint slices with a zone and no node.
TEST(LocateTest, EndpointsWithoutNodeGiveTheirZone) {
  FakeView view = ThreeNodes();
  view.by_service[{"db", "outside"}] = {{"", "", true, "zb"}, {"", "", true, "zb"}};
  const Location location = Locate(MakeSource({.service = "outside"}), view);
  EXPECT_THAT(location.nodes, IsEmpty());
  EXPECT_EQ(location.zone, "zb");
  EXPECT_EQ(location.places.size(), 1u);
  EXPECT_TRUE(location.known());
}

TEST(LocateTest, NoLocationMeansTheServiceOfThePostgresqlHost) {
  auto source = MakeSource({});
  source.spec.postgresql.emplace();
  for (const char* host : {"pg", "pg.db.svc", "pg.db.svc.cluster.local"}) {
    source.spec.postgresql->host = host;
    EXPECT_THAT(Locate(source, ThreeNodes()).nodes, ElementsAre("n3")) << host;
  }
  for (const char* host : {"pg.other.svc", "pg.db", "pg.example.com", "10.0.0.7", ""}) {
    source.spec.postgresql->host = host;
    EXPECT_FALSE(Locate(source, ThreeNodes()).known()) << host;
  }
}

// Sources live in a backup namespace, their databases elsewhere.
TEST(LocateTest, LooksInTheNamespaceThatTheLocationNames) {
  auto source = MakeSource({.ns = "db", .service = "pg"});
  source.metadata.ns = "longshore-backup";
  EXPECT_THAT(Locate(source, ThreeNodes()).nodes, ElementsAre("n3"));
  source.spec.location.ns.clear();
  EXPECT_FALSE(Locate(source, ThreeNodes()).known());
}

TEST(LocateTest, NoLocationMeansTheFilesystemsClaim) {
  auto source = MakeSource({});
  source.spec.filesystem.emplace();
  source.spec.filesystem->persistent_volume_claim = "data";
  EXPECT_THAT(Locate(source, ThreeNodes()).nodes, ElementsAre("n1"));
}

TEST(LocateTest, AZoneWithoutNodesIsSaid) {
  const FakeView view;
  EXPECT_EQ(Locate(MakeSource({.zone = "zx"}), view).reason,
            "the source names zone zx, where no node is (labels of topology.kubernetes.io)");
}

TEST(LocateTest, ExplicitZoneTakesItsRegionOnlyWhenItIsUnambiguous) {
  FakeView view = ThreeNodes();
  EXPECT_EQ(Locate(MakeSource({.zone = "zb"}), view).region, "eu");
  view.AddNode("n4", "", "zb", "us");
  EXPECT_EQ(Locate(MakeSource({.zone = "zb"}), view).region, "");
}

// What stands beside the narrowest name tells it from others of that name.
TEST(LocateTest, RackAndRegionCanBeNamedToo) {
  FakeView view = ThreeNodes();
  view.AddNode("n4", "r1", "zb", "us");
  const auto one_rack = Locate(MakeSource({.rack = "r2"}), view);
  EXPECT_EQ(one_rack.method, "Rack");
  EXPECT_EQ(one_rack.reason, "the source names rack r2");
  EXPECT_EQ(one_rack.zone + one_rack.region, "zaeu");  // as its nodes have it
  EXPECT_EQ(Nearness(one_rack, *view.Node("n2")), Tier::kRack);
  EXPECT_EQ(Nearness(one_rack, *view.Node("n1")), Tier::kZone);
  // There are two of that name.
  EXPECT_EQ(Nearness(Locate(MakeSource({.rack = "r1"}), view), *view.Node("n4")), Tier::kRack);
  const auto in_zone = Locate(MakeSource({.rack = "r1", .zone = "za"}), view);
  EXPECT_EQ(in_zone.reason, "the source names rack r1, zone za");
  EXPECT_EQ(Nearness(in_zone, *view.Node("n1")), Tier::kRack);
  EXPECT_EQ(Nearness(in_zone, *view.Node("n4")), Tier::kNone);
  const auto region = Locate(MakeSource({.region = "eu"}), view);
  EXPECT_EQ(region.method, "Region");
  EXPECT_TRUE(region.known());
  EXPECT_EQ(Nearness(region, *view.Node("n3")), Tier::kRegion);
  EXPECT_EQ(Nearness(region, *view.Node("n4")), Tier::kNone);
  EXPECT_EQ(Locate(MakeSource({.zone = "zb", .region = "us"}), view).reason,
            "the source names zone zb, region us");
}

// Data outside is near no node, and that is known: nothing is guessed from the host's name.
TEST(LocateTest, ExternalDataIsNearNoNode) {
  FakeView view = ThreeNodes();
  view.by_service[{"db", "pg"}] = {{"pg-0", "n3", true, ""}};
  auto source = MakeSource({.external = true});
  source.spec.postgresql.emplace().host = "pg";
  const auto outside = Locate(source, view);
  EXPECT_EQ(outside.method, "External");
  EXPECT_FALSE(outside.known());
  EXPECT_EQ(outside.reason, "the source says that its data is outside of the cluster");
  EXPECT_EQ(Nearness(outside, *view.Node("n3")), Tier::kUnknown);
  // A zone that is close to it is nearer the truth.
  EXPECT_EQ(Locate(MakeSource({.zone = "zb", .external = true}), view).method, "Zone");
}

}  // namespace
}  // namespace longshore::placement
