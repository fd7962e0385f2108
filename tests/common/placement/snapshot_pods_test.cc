// SPDX-License-Identifier: Apache-2.0
//
// Which pods a snapshot finds, by labels, owners, claims and Services.
#include "tests/common/placement/made_snapshots.h"

namespace longshore::placement {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(SnapshotTest, FindsRunningPodsByLabelsAndClaim) {
  Add(&SnapshotBuilder::Pod, PodJson("b", "n2"));
  Add(&SnapshotBuilder::Pod, PodJson("a", "n1"));
  Json leaving = PodJson("leaving", "n3");
  leaving["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z";
  Add(&SnapshotBuilder::Pod, leaving);
  Json starting = PodJson("starting", "n3");
  starting["status"] = {{"phase", "Pending"}};
  Add(&SnapshotBuilder::Pod, starting);
  const auto snapshot = Build();
  const auto places = snapshot->PodsByLabels("db", {{"role", "leader"}});
  ASSERT_EQ(places.size(), 2u);
  EXPECT_EQ(places[0].pod, "a");
  EXPECT_EQ(places[0].node, "n1");
  EXPECT_TRUE(places[0].ready);
  EXPECT_EQ(snapshot->PodsByClaim("db", "data").size(), 2u);
  EXPECT_THAT(snapshot->PodsByLabels("db", {{"role", "standby"}}), IsEmpty());
  EXPECT_THAT(snapshot->PodsByLabels("other", {{"role", "leader"}}), IsEmpty());
}

TEST_F(SnapshotTest, Case44_MembersThatOnlyVoteAreKnownByALabel) {
  const std::vector<std::pair<std::string, std::string>> labels = {
      {"role", "witness"},
      {"app.kubernetes.io/component", "arbiter"},
      {"cnpg.io/instanceRole", "Tie-Breaker"},
      {"mongodb.kubedb.com/node.type", "arbiter"},
      {"longshore.dev/holds-data", "false"}};
  for (const auto& [key, value] : labels) {
    Json pod = PodJson("pg-2", "n1");
    EXPECT_EQ(ReadPod(pod).witness, "");
    pod["metadata"]["labels"][key] = value;
    EXPECT_EQ(ReadPod(pod).witness, key + "=" + value);
  }
  Json holder = PodJson("pg-0", "n1");
  holder["metadata"]["labels"]["app"] = "witness";  // a database of that name
  EXPECT_EQ(ReadPod(holder).witness, "");
  holder["metadata"]["labels"]["role"] = "arbiter";
  EXPECT_EQ(ReadPod(holder).witness, "role=arbiter");
  holder["metadata"]["labels"]["longshore.dev/holds-data"] = "true";
  EXPECT_EQ(ReadPod(holder).witness, "");
  // Behind a Service too.
  Json witness = PodJson("pg-2", "n1");
  witness["metadata"]["labels"]["role"] = "witness";
  Add(&SnapshotBuilder::Pod, witness);
  Add(&SnapshotBuilder::Slice,
      SliceJson(
          Json::array({{{"nodeName", "n1"}, {"targetRef", {{"kind", "Pod"}, {"name", "pg-2"}}}}})));
  EXPECT_EQ(Build()->ServiceEndpoints("db", "pg").at(0).witness, "role=witness");
}

TEST_F(SnapshotTest, FindsPodsByWhatOwnsThem) {
  Json replica = OwnedBy(PodJson("web", "n3"), "ReplicaSet", "orders-web-6d4cf56db6");
  replica["metadata"]["labels"] = {{"pod-template-hash", "6d4cf56db6"}};
  Add(&SnapshotBuilder::Pod, OwnedBy(PodJson("pg-0", "n1"), "StatefulSet", "pg"));
  Add(&SnapshotBuilder::Pod, OwnedBy(PodJson("direct", "n2"), "Cluster", "orders"));
  Add(&SnapshotBuilder::Pod, replica);
  Add(&SnapshotBuilder::StatefulSet,
      OwnedBy({{"metadata", {{"namespace", "db"}, {"name", "pg"}}}}, "PostgresCluster", "orders"));
  const auto pods = [&](const std::string& kind, const std::string& name) {
    std::vector<std::string> names;
    for (const auto& place : Build()->PodsByOwner("db", {kind, name})) names.push_back(place.pod);
    return names;
  };
  EXPECT_THAT(pods("StatefulSet", "pg"), ElementsAre("pg-0"));
  EXPECT_THAT(pods("PostgresCluster", "orders"), ElementsAre("pg-0"));
  EXPECT_THAT(pods("Cluster", "orders"), ElementsAre("direct"));
  EXPECT_THAT(pods("ReplicaSet", "orders-web-6d4cf56db6"), ElementsAre("web"));
  EXPECT_THAT(pods("Deployment", "orders-web"), ElementsAre("web"));
  EXPECT_THAT(pods("Other", "orders"), IsEmpty());  // owns it too, and runs nothing
  EXPECT_THAT(Build()->PodsByOwner("other", {"StatefulSet", "pg"}), IsEmpty());
  const Json gone = OwnedBy({{"metadata", {{"namespace", "db"}, {"name", "pg"}}}}, "X", "x");
  builder_.StatefulSet(&gone, nullptr);
  EXPECT_THAT(pods("PostgresCluster", "orders"), IsEmpty());
}

TEST_F(SnapshotTest, LabelsAboutRolesTellTheLeader) {
  const auto leads = [](const std::string& key, const std::string& value) {
    Json pod = PodJson("pg-0", "n1");
    pod["metadata"]["labels"] = {{key, value}};
    return ReadPod(pod).leads;
  };
  EXPECT_TRUE(leads("role", "leader"));
  EXPECT_TRUE(leads("spilo-role", "master"));
  EXPECT_TRUE(leads("cnpg.io/instanceRole", "primary"));
  EXPECT_TRUE(leads("app.kubernetes.io/component", "Primary"));
  EXPECT_FALSE(leads("role", "replica"));
  EXPECT_FALSE(leads("app", "master"));
}

// Or else the first backup pod of a shared volume would make the data be where it runs.
TEST_F(SnapshotTest, BackupPodsDoNotUseAClaim) {
  Json ours = PodJson("lsp-1", "n1");
  ours["metadata"]["labels"] = {{api::kLabelSource, "orders"}};
  Add(&SnapshotBuilder::Pod, ours);
  EXPECT_THAT(Build()->PodsByClaim("db", "data"), IsEmpty());
}

TEST_F(SnapshotTest, KnowsWhichPodWasBoundByItsUid) {
  Add(&SnapshotBuilder::Pod, PodJson("a", "n1", "u1"));
  EXPECT_EQ(Build()->NodeOfPod("db", "a", "u1"), "n1");
  EXPECT_EQ(Build()->NodeOfPod("db", "a", "u2"), "");
}

TEST_F(SnapshotTest, ReadsReadyEndpoints) {
  Add(&SnapshotBuilder::Slice, SliceJson({{{"nodeName", "n1"},
                                           {"conditions", {{"ready", true}}},
                                           {"targetRef", {{"kind", "Pod"}, {"name", "pg-0"}}}},
                                          {{"nodeName", "n2"}, {"conditions", {{"ready", false}}}},
                                          {{"zone", "zb"}}}));
  const auto places = Build()->ServiceEndpoints("db", "pg");
  ASSERT_EQ(places.size(), 2u);
  EXPECT_EQ(places[0].zone, "zb");
  EXPECT_EQ(places[1].pod, "pg-0");
  EXPECT_THAT(Build()->ServiceEndpoints("db", "other"), IsEmpty());
}

}  // namespace
}  // namespace longshore::placement
