// SPDX-License-Identifier: Apache-2.0
#include "common/placement/snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshore::placement {
namespace {

using api::Json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Listed kAll = Listed::Everything();

Json NodeJson(const std::string& name, const std::string& zone = "za") {
  return Json{{"metadata",
               {{"name", name},
                {"labels",
                 {{"topology.kubernetes.io/zone", zone},
                  {"topology.kubernetes.io/region", "eu"},
                  {"topology.longshore.dev/rack", "r-" + name},
                  {"cores", "16"}}}}},
              {"status",
               {{"allocatable", {{"cpu", "3920m"}, {"memory", "8Gi"}, {"pods", "110"}}},
                {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}};
}

Json PodJson(const std::string& name, const std::string& node, const std::string& uid = "u1") {
  return Json{
      {"metadata",
       {{"namespace", "db"}, {"name", name}, {"uid", uid}, {"labels", {{"role", "leader"}}}}},
      {"spec",
       {{"nodeName", node},
        {"containers",
         {{{"resources", {{"requests", {{"cpu", "500m"}, {"memory", "1Gi"}}}}}},
          {{"resources", {{"requests", {{"cpu", 1}}}}}}}},
        {"volumes", {{{"persistentVolumeClaim", {{"claimName", "data"}}}}}}}},
      {"status",
       {{"phase", "Running"}, {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}};
}

Json ClaimJson(const Json& spec, const std::string& phase) {
  return Json{{"metadata", {{"namespace", "db"}, {"name", "data"}}},
              {"spec", spec},
              {"status", {{"phase", phase}}}};
}

Json VolumeJson(const Json& terms) {
  return Json{{"metadata", {{"name", "pv-1"}}},
              {"spec", {{"nodeAffinity", {{"required", {{"nodeSelectorTerms", terms}}}}}}}};
}

class SnapshotTest : public testing::Test {
 protected:
  void Add(void (SnapshotBuilder::*apply)(const Json*, const Json*), const Json& object) {
    (builder_.*apply)(nullptr, &object);
  }
  std::shared_ptr<const ClusterSnapshot> Build() { return builder_.Build(kAll); }
  // The nodes that a bound claim's volume with these terms may be used on.
  std::vector<std::string> NodesOfVolume(const Json& terms) {
    Add(&SnapshotBuilder::Claim, ClaimJson({{"volumeName", "pv-1"}}, "Bound"));
    Add(&SnapshotBuilder::Volume, VolumeJson(terms));
    return Build()->VolumeNodes("db", "data").value_or(VolumePlace{{"error"}, {}}).nodes;
  }
  SnapshotBuilder builder_;
};

TEST_F(SnapshotTest, ReadsNodes) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  const auto snapshot = Build();
  const NodeInfo* node = snapshot->Node("n1");
  ASSERT_NE(node, nullptr);
  EXPECT_EQ(node->rack, "r-n1");
  EXPECT_EQ(node->zone, "za");
  EXPECT_EQ(node->region, "eu");
  EXPECT_TRUE(node->ready && node->schedulable);
  EXPECT_EQ(node->cpu_allocatable_milli, 3920);
  EXPECT_EQ(node->memory_allocatable_bytes, int64_t{8} << 30);
  EXPECT_EQ(node->max_pods, 110);
  EXPECT_EQ(snapshot->Node("n2"), nullptr);
}

TEST_F(SnapshotTest, NodeWithoutReadyConditionIsNotReady) {
  Json node = NodeJson("n1");
  node["status"].erase("conditions");
  node["spec"]["unschedulable"] = true;
  Add(&SnapshotBuilder::Node, node);
  const auto snapshot = Build();
  EXPECT_FALSE(snapshot->Node("n1")->ready);
  EXPECT_FALSE(snapshot->Node("n1")->schedulable);
}

TEST_F(SnapshotTest, AddsUpRequestsOfPods) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  Add(&SnapshotBuilder::Pod, PodJson("a", "n1"));
  Add(&SnapshotBuilder::Pod, PodJson("b", "n1"));
  Add(&SnapshotBuilder::Pod, PodJson("unbound", ""));
  const auto snapshot = Build();
  EXPECT_EQ(snapshot->Node("n1")->cpu_requested_milli, 3000);
  EXPECT_EQ(snapshot->Node("n1")->memory_requested_bytes, int64_t{2} << 30);
  EXPECT_EQ(snapshot->Node("n1")->pods, 2);
}

// Anybody may ask for what no node has; it must not turn into room for others when it is added up.
TEST_F(SnapshotTest, RequestsBeyondAnyNodeStopCounting) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  const auto asking = [](const std::string& name, const char* amount) {
    Json pod = PodJson(name, "n1", "u-" + name);
    const Json container{{"resources", {{"requests", {{"cpu", amount}, {"memory", amount}}}}}};
    pod["spec"]["containers"] = Json::array({container, container});
    pod["spec"]["initContainers"] = Json::array({container});
    return pod;
  };
  std::vector<Json> pods;
  for (const char* amount : {"9e15", "9223372036854775807", "9E"}) {
    pods.push_back(asking("p-" + std::to_string(pods.size()), amount));
    EXPECT_EQ(ReadPod(pods.back()).cpu_milli, kMostRequested) << amount;
    EXPECT_EQ(ReadPod(pods.back()).memory_bytes, kMostRequested) << amount;
  }
  for (int i = 0; i < 10'000; ++i) pods.push_back(asking("q-" + std::to_string(i), "9e15"));
  for (const Json& pod : pods) Add(&SnapshotBuilder::Pod, pod);
  const auto full = Build();
  EXPECT_EQ(full->Node("n1")->cpu_requested_milli, kMostRequestedOfNode);
  EXPECT_EQ(full->Node("n1")->memory_requested_bytes, kMostRequestedOfNode);
  EXPECT_LT(full->Table().room(0).cpu_milli.free, 0);
  for (size_t i = 1; i < pods.size(); ++i) builder_.Pod(&pods[i], nullptr);
  EXPECT_EQ(Build()->Node("n1")->cpu_requested_milli, kMostRequested);
  builder_.Pod(&pods[0], nullptr);
  EXPECT_EQ(Build()->Node("n1")->cpu_requested_milli, 0);
}

// What was published does not change: a request is answered from one state of the cluster.
TEST_F(SnapshotTest, CountsBackupPodsOfEachNode) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  Add(&SnapshotBuilder::Pod, PodJson("pg-0", "n1"));
  Json ours = PodJson("lsp-1", "n1", "u2");
  ours["metadata"]["labels"][api::kLabelSource] = "orders";
  Add(&SnapshotBuilder::Pod, ours);
  EXPECT_EQ(Build()->Node("n1")->backup_pods, 1);
  EXPECT_EQ(Build()->Node("n1")->pods, 2);
  ours["status"]["phase"] = "Succeeded";
  Add(&SnapshotBuilder::Pod, ours);
  EXPECT_EQ(Build()->Node("n1")->backup_pods, 0);
}

TEST_F(SnapshotTest, StaysAsItWasWhenTheClusterMovesOn) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  Add(&SnapshotBuilder::Pod, PodJson("a", "n1"));
  const auto before = Build();
  const Json pod = PodJson("a", "n1");
  builder_.Pod(&pod, nullptr);
  Add(&SnapshotBuilder::Node, NodeJson("n1", "zb"));
  const auto after = Build();
  EXPECT_EQ(before->Node("n1")->pods, 1);
  EXPECT_EQ(before->Node("n1")->zone, "za");
  EXPECT_EQ(after->Node("n1")->pods, 0);
  EXPECT_EQ(after->Node("n1")->cpu_requested_milli, 0);
  EXPECT_EQ(after->Node("n1")->zone, "zb");
}

TEST_F(SnapshotTest, SharesNodesThatDidNotChange) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  Add(&SnapshotBuilder::Node, NodeJson("n2"));
  const auto before = Build();
  Add(&SnapshotBuilder::Pod, PodJson("a", "n1"));
  const auto after = Build();
  EXPECT_NE(before->Node("n1"), after->Node("n1"));
  EXPECT_EQ(before->Node("n2"), after->Node("n2"));
}

TEST_F(SnapshotTest, FinishedPodsHoldNoRoom) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  Add(&SnapshotBuilder::Pod, PodJson("a", "n1"));
  Json done = PodJson("a", "n1");
  done["status"]["phase"] = "Succeeded";
  Add(&SnapshotBuilder::Pod, done);
  EXPECT_EQ(Build()->Node("n1")->pods, 0);
}

// Pods are listed before their nodes, or a node comes back under its name (edge case 19).
TEST_F(SnapshotTest, UsageSurvivesTheOrderOfArrival) {
  Add(&SnapshotBuilder::Pod, PodJson("a", "n1"));
  EXPECT_EQ(Build()->Node("n1"), nullptr);
  const Json node = NodeJson("n1");
  Add(&SnapshotBuilder::Node, node);
  EXPECT_EQ(Build()->Node("n1")->pods, 1);
  builder_.Node(&node, nullptr);
  EXPECT_EQ(Build()->Node("n1"), nullptr);
  Add(&SnapshotBuilder::Node, node);
  EXPECT_EQ(Build()->Node("n1")->pods, 1);
}

TEST_F(SnapshotTest, CountsInitContainersSidecarsAndOverheadAsTheSchedulerDoes) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  Json pod = PodJson("a", "n1");
  pod["spec"]["initContainers"] = {
      {{"restartPolicy", "Always"}, {"resources", {{"requests", {{"cpu", "100m"}}}}}},
      {{"resources", {{"requests", {{"cpu", "2"}}}}}}};
  pod["spec"]["overhead"] = {{"cpu", "10m"}};
  Add(&SnapshotBuilder::Pod, pod);
  EXPECT_EQ(Build()->Node("n1")->cpu_requested_milli, 2110);  // max(1600, 2100) + 10
  pod["spec"]["resources"]["requests"]["cpu"] = "3";
  Add(&SnapshotBuilder::Pod, pod);
  EXPECT_EQ(Build()->Node("n1")->cpu_requested_milli, 3010);
}

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
      {{"metadata",
        {{"namespace", "db"},
         {"name", "pg-x"},
         {"labels", {{"kubernetes.io/service-name", "pg"}}}}},
       {"endpoints",
        Json::array({{{"nodeName", "n1"}, {"targetRef", {{"kind", "Pod"}, {"name", "pg-2"}}}}})}});
  EXPECT_EQ(Build()->ServiceEndpoints("db", "pg").at(0).witness, "role=witness");
}

Json OwnedBy(Json object, const std::string& kind, const std::string& name) {
  object["metadata"]["ownerReferences"] =
      Json::array({{{"kind", "Other"}, {"name", name}},
                   {{"kind", kind}, {"name", name}, {"controller", true}}});
  return object;
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
  Add(&SnapshotBuilder::Slice, Json{{"metadata",
                                     {{"namespace", "db"},
                                      {"name", "pg-abc"},
                                      {"labels", {{"kubernetes.io/service-name", "pg"}}}}},
                                    {"endpoints",
                                     {{{"nodeName", "n1"},
                                       {"conditions", {{"ready", true}}},
                                       {"targetRef", {{"kind", "Pod"}, {"name", "pg-0"}}}},
                                      {{"nodeName", "n2"}, {"conditions", {{"ready", false}}}},
                                      {{"zone", "zb"}}}}});
  const auto places = Build()->ServiceEndpoints("db", "pg");
  ASSERT_EQ(places.size(), 2u);
  EXPECT_EQ(places[0].zone, "zb");
  EXPECT_EQ(places[1].pod, "pg-0");
  EXPECT_THAT(Build()->ServiceEndpoints("db", "other"), IsEmpty());
}

TEST_F(SnapshotTest, TellsWhyAVolumesNodesAreNotKnown) {
  EXPECT_EQ(builder_.Build({})->VolumeNodes("db", "data").error().code, Code::kUnavailable);
  EXPECT_EQ(Build()->VolumeNodes("db", "data").error().code, Code::kNotFound);
  Add(&SnapshotBuilder::Claim, ClaimJson(Json::object(), "Pending"));
  EXPECT_EQ(Build()->VolumeNodes("db", "data").error().code, Code::kFailedPrecondition);
  Add(&SnapshotBuilder::Claim, ClaimJson({{"volumeName", "pv-1"}}, "Bound"));
  EXPECT_THAT(Build()->VolumeNodes("db", "data").error().message, HasSubstr("pv-1 is gone"));
  Add(&SnapshotBuilder::Volume, Json{{"metadata", {{"name", "pv-1"}}}});
  EXPECT_EQ(Build()->VolumeNodes("db", "data").error().code, Code::kInvalidArgument);
}

TEST_F(SnapshotTest, SelectedNodeOfAnUnboundClaimCounts) {
  Json claim = ClaimJson(Json::object(), "Pending");
  claim["metadata"]["annotations"]["volume.kubernetes.io/selected-node"] = "n1";
  Add(&SnapshotBuilder::Claim, claim);
  EXPECT_THAT(Build()->VolumeNodes("db", "data")->nodes, ElementsAre("n1"));
  EXPECT_FALSE(Build()->VolumeNodes("db", "data")->exists);
}

Json AttachmentJson(const std::string& name, const std::string& node, bool attached = true) {
  return Json{{"metadata", {{"name", name}}},
              {"spec",
               {{"attacher", "csi.example"},
                {"nodeName", node},
                {"source", {{"persistentVolumeName", "pv-1"}}}}},
              {"status", {{"attached", attached}}}};
}

TEST_F(SnapshotTest, Case29_KnowsWhereAVolumeIsAttached) {
  Add(&SnapshotBuilder::Claim, ClaimJson({{"volumeName", "pv-1"}}, "Bound"));
  Add(&SnapshotBuilder::Volume,
      Json{{"metadata", {{"name", "pv-1"}}}, {"spec", {{"accessModes", {"ReadWriteOnce"}}}}});
  EXPECT_THAT(Build()->AttachedNodes("db", "data"), IsEmpty());
  Add(&SnapshotBuilder::Attachment, AttachmentJson("a", "n1", false));
  EXPECT_THAT(Build()->AttachedNodes("db", "data"), IsEmpty()) << "on its way only";
  const auto before = Build();
  Add(&SnapshotBuilder::Attachment, AttachmentJson("a", "n1"));
  EXPECT_TRUE(builder_.changed());
  const auto after = Build();
  EXPECT_THAT(after->AttachedNodes("db", "data"), ElementsAre("n1"));
  EXPECT_EQ(after->AttachedTo("db", "data"), "n1");
  EXPECT_THAT(before->AttachedNodes("db", "data"), IsEmpty());
  EXPECT_THAT(after->AttachedNodes("db", "other"), IsEmpty());
  Json leaving = AttachmentJson("a", "n1");
  leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  Add(&SnapshotBuilder::Attachment, leaving);
  EXPECT_THAT(Build()->AttachedNodes("db", "data"), IsEmpty());
  Add(&SnapshotBuilder::Attachment, AttachmentJson("b", "n2"));
  EXPECT_EQ(Build()->AttachedTo("db", "data"), "n2");
  const Json gone = AttachmentJson("b", "n2");
  builder_.Attachment(&gone, nullptr);
  EXPECT_EQ(Build()->AttachedTo("db", "data"), "");
}

TEST_F(SnapshotTest, Case29_AccessModesDecideWhetherOneNodeHasIt) {
  Add(&SnapshotBuilder::Claim, ClaimJson({{"volumeName", "pv-1"}}, "Bound"));
  Add(&SnapshotBuilder::Attachment, AttachmentJson("a", "n1"));
  const std::vector<std::pair<Json, std::string>> cases{
      {{"ReadWriteOnce"}, "n1"},
      {{"ReadWriteOncePod"}, "n1"},
      {{"ReadWriteMany"}, ""},
      {{"ReadOnlyMany"}, ""},
      {{"ReadWriteOnce", "ReadOnlyMany"}, ""},
      {Json::array(), ""},
  };
  for (const auto& [modes, node] : cases) {
    Add(&SnapshotBuilder::Volume,
        Json{{"metadata", {{"name", "pv-1"}}}, {"spec", {{"accessModes", modes}}}});
    EXPECT_EQ(Build()->AttachedTo("db", "data"), node) << modes;
    EXPECT_THAT(Build()->AttachedNodes("db", "data"), ElementsAre("n1")) << modes;
  }
}

// Who may not list attachments goes on without them.
TEST_F(SnapshotTest, Case31_IsCompleteWithoutWhatItMayNotList) {
  Listed listed = kAll;
  EXPECT_TRUE(listed.all());
  listed.kinds.erase(Kind::kSlices);
  EXPECT_FALSE(listed.all());  // may still come
  listed.denied[Kind::kSlices] = "no";
  EXPECT_TRUE(listed.all());
  for (const Kind needed : {Kind::kNodes, Kind::kPods}) {
    Listed without = kAll;
    without.kinds.erase(needed);
    without.denied[needed] = "no";
    EXPECT_FALSE(without.all());
  }
}

TEST_F(SnapshotTest, Case31_DeniedAndNotYetListedAreToldApart) {
  Add(&SnapshotBuilder::Claim, ClaimJson({{"volumeName", "pv-1"}}, "Bound"));
  Listed listed = kAll;
  for (const Kind kind : {Kind::kClaims, Kind::kVolumes}) {
    listed = kAll;
    listed.kinds.erase(kind);
    EXPECT_EQ(builder_.Build(listed)->VolumeNodes("db", "data").error().code, Code::kUnavailable);
    listed.denied[kind] = "user x cannot list them";
    const auto denied = builder_.Build(listed)->VolumeNodes("db", "data");
    EXPECT_EQ(denied.error().ToString(), "PermissionDenied: " + std::string(KindName(kind)) +
                                             " may not be listed: user x cannot list them");
  }
  EXPECT_FALSE(Build()->Unlisted(Kind::kClaims).has_value());
}

// What was listed before a right was withdrawn is not known any more.
TEST_F(SnapshotTest, Case31_NothingIsSaidOfWhatMayNoLongerBeListed) {
  Add(&SnapshotBuilder::Node, NodeJson("n1"));
  Add(&SnapshotBuilder::Claim, ClaimJson({{"volumeName", "pv-1"}}, "Bound"));
  Add(&SnapshotBuilder::Volume,
      Json{{"metadata", {{"name", "pv-1"}}}, {"spec", {{"accessModes", {"ReadWriteOnce"}}}}});
  Add(&SnapshotBuilder::Attachment, AttachmentJson("a", "n1"));
  Add(&SnapshotBuilder::Slice, {{"metadata",
                                 {{"namespace", "db"},
                                  {"name", "pg-x"},
                                  {"labels", {{"kubernetes.io/service-name", "pg"}}}}},
                                {"endpoints", Json::array({{{"nodeName", "n1"}}})}});
  Add(&SnapshotBuilder::Pod, OwnedBy(PodJson("pg-0", "n1"), "StatefulSet", "pg"));
  Add(&SnapshotBuilder::StatefulSet,
      OwnedBy({{"metadata", {{"namespace", "db"}, {"name", "pg"}}}}, "Cluster", "orders"));
  const auto without = [&](std::optional<Kind> kind) {
    Listed listed = kAll;
    if (kind) listed.kinds.erase(*kind);
    if (kind) listed.denied[*kind] = "no";
    return builder_.Build(listed);
  };
  const auto all = without({});
  EXPECT_EQ(all->AttachedTo("db", "data"), "n1");
  EXPECT_EQ(all->ServiceEndpoints("db", "pg").size(), 1u);
  EXPECT_EQ(all->PodsByOwner("db", {"Cluster", "orders"}).size(), 1u);
  for (const Kind kind : {Kind::kAttachments, Kind::kVolumes, Kind::kClaims}) {
    EXPECT_EQ(without(kind)->AttachedTo("db", "data"), "") << KindName(kind);
  }
  EXPECT_THAT(without(Kind::kAttachments)->AttachedNodes("db", "data"), IsEmpty());
  EXPECT_THAT(without(Kind::kSlices)->ServiceEndpoints("db", "pg"), IsEmpty());
  const auto setless = without(Kind::kStatefulSets);
  EXPECT_THAT(setless->PodsByOwner("db", {"Cluster", "orders"}), IsEmpty());
  EXPECT_EQ(setless->PodsByOwner("db", {"StatefulSet", "pg"}).size(), 1u);
}

// Edge case 32: terms are ORed, requirements ANDed, all operators, and metadata.name.
TEST_F(SnapshotTest, Case32_EvaluatesVolumeAffinity) {
  Add(&SnapshotBuilder::Node, NodeJson("n1", "za"));
  Add(&SnapshotBuilder::Node, NodeJson("n2", "za"));
  Add(&SnapshotBuilder::Node, NodeJson("n3", "zb"));
  const std::string zone = "topology.kubernetes.io/zone";
  const auto expression = [](const std::string& key, const std::string& op, const Json& values) {
    return Json{{"key", key}, {"operator", op}, {"values", values}};
  };
  const auto term = [](const char* kind, const Json& requirements) {
    return Json{{kind, requirements}};
  };
  const auto labels = [&](const Json& requirement) {
    return Json::array({term("matchExpressions", Json::array({requirement}))});
  };
  EXPECT_THAT(NodesOfVolume(labels(expression(zone, "In", {"zb", "zc"}))), ElementsAre("n3"));
  EXPECT_THAT(NodesOfVolume(labels(expression(zone, "NotIn", {"zb"}))), ElementsAre("n1", "n2"));
  EXPECT_THAT(NodesOfVolume(labels(expression("cores", "Exists", Json::array()))),
              ElementsAre("n1", "n2", "n3"));
  EXPECT_THAT(NodesOfVolume(labels(expression("cores", "DoesNotExist", Json::array()))), IsEmpty());
  EXPECT_THAT(NodesOfVolume(labels(expression("cores", "Gt", {"15"}))),
              ElementsAre("n1", "n2", "n3"));
  EXPECT_THAT(NodesOfVolume(labels(expression("cores", "Lt", {"16"}))), IsEmpty());
  EXPECT_THAT(NodesOfVolume(labels(expression("cores", "Gt", {"many"}))), IsEmpty());
  EXPECT_THAT(NodesOfVolume(labels(expression("cores", "Near", {"16"}))), IsEmpty());
  EXPECT_THAT(NodesOfVolume(Json::array(
                  {term("matchFields", Json::array({expression("metadata.name", "In", {"n2"})}))})),
              ElementsAre("n2"));
  EXPECT_THAT(NodesOfVolume(Json::array(
                  {term("matchFields", Json::array({expression("metadata.name", "In", {"n2"})})),
                   term("matchExpressions", Json::array({expression(zone, "In", {"zb"})}))})),
              ElementsAre("n2", "n3"));
  EXPECT_THAT(NodesOfVolume(Json::array({Json::object()})), IsEmpty());
}

TEST_F(SnapshotTest, OldZoneLabelsOfVolumesCount) {
  Add(&SnapshotBuilder::Node, NodeJson("n1", "za"));
  Add(&SnapshotBuilder::Node, NodeJson("n2", "zb"));
  Add(&SnapshotBuilder::Node, NodeJson("n3", "zc"));
  Add(&SnapshotBuilder::Claim, ClaimJson({{"volumeName", "pv-1"}}, "Bound"));
  Add(&SnapshotBuilder::Volume,
      Json{{"metadata",
            {{"name", "pv-1"},
             {"labels", {{"failure-domain.beta.kubernetes.io/zone", "za__zc"}}}}}});
  EXPECT_THAT(Build()->VolumeNodes("db", "data")->nodes, ElementsAre("n1", "n3"));
  EXPECT_EQ(Build()->VolumeNodes("db", "data")->how, "by its zone label");
}

// A zone's name counts inside its region; a volume may be of a whole region.
TEST_F(SnapshotTest, RegionLabelsOfVolumesCount) {
  Add(&SnapshotBuilder::Node, NodeJson("n1", "za"));
  Json other = NodeJson("n2", "za");
  other["metadata"]["labels"]["topology.kubernetes.io/region"] = "us";
  Add(&SnapshotBuilder::Node, other);
  Json half = NodeJson("n3", "za");
  half["metadata"]["labels"].erase("topology.kubernetes.io/region");
  Add(&SnapshotBuilder::Node, half);
  Add(&SnapshotBuilder::Claim, ClaimJson({{"volumeName", "pv-1"}}, "Bound"));
  Json volume{{"metadata", {{"name", "pv-1"}}}};
  const auto where = [&](const Json& labels) {
    volume["metadata"]["labels"] = labels;
    Add(&SnapshotBuilder::Volume, volume);
    return *Build()->VolumeNodes("db", "data");
  };
  EXPECT_THAT(where({{"topology.kubernetes.io/region", "eu"}}).nodes, ElementsAre("n1"));
  EXPECT_EQ(where({{"topology.kubernetes.io/region", "eu"}}).how, "by its region label");
  EXPECT_THAT(where({{"failure-domain.beta.kubernetes.io/region", "us"}}).nodes, ElementsAre("n2"));
  EXPECT_THAT(
      where({{"topology.kubernetes.io/region", "eu"}, {"topology.kubernetes.io/zone", "za"}}).nodes,
      ElementsAre("n1", "n3"));
}

// Before there is a volume, its class says where it can be made.
TEST_F(SnapshotTest, AllowedTopologiesOfTheStorageClassCount) {
  for (const char* zone : {"za", "zb", "zc"}) {
    Add(&SnapshotBuilder::Node, NodeJson(std::string("n-") + zone, zone));
  }
  Add(&SnapshotBuilder::Claim, ClaimJson({{"storageClassName", "fast"}}, "Pending"));
  EXPECT_EQ(Build()->VolumeNodes("db", "data").error().code, Code::kFailedPrecondition);
  const auto in_zones = [](const Json& zones) {
    const Json expression{{"key", "topology.kubernetes.io/zone"}, {"values", zones}};
    return Json{{"metadata", {{"name", "fast"}}},
                {"allowedTopologies",
                 Json::array({{{"matchLabelExpressions", Json::array({expression})}}})}};
  };
  Add(&SnapshotBuilder::StorageClass, in_zones({"za", "zc"}));
  const auto place = Build()->VolumeNodes("db", "data");
  ASSERT_TRUE(place.has_value()) << place.error().ToString();
  EXPECT_THAT(place->nodes, ElementsAre("n-za", "n-zc"));
  EXPECT_EQ(place->how, "allowedTopologies of storage class fast");
  EXPECT_FALSE(place->exists);
  // No node is in the way of a volume that can be made nowhere.
  Add(&SnapshotBuilder::StorageClass, in_zones({"zx"}));
  EXPECT_EQ(Build()->VolumeNodes("db", "data").error().code, Code::kFailedPrecondition);
  const Json gone = in_zones({"zx"});
  builder_.StorageClass(&gone, nullptr);
  EXPECT_THAT(Build()->VolumeNodes("db", "data").error().message, HasSubstr("not bound"));
  Listed listed = kAll;
  listed.kinds.erase(Kind::kClasses);
  listed.denied[Kind::kClasses] = "no";
  EXPECT_THAT(builder_.Build(listed)->VolumeNodes("db", "data").error().message,
              HasSubstr("and storage classes may not be listed: no"));
}

// What an API server of another version, or an attacker with rights to write, might send.
TEST_F(SnapshotTest, MalformedObjectsAreReadAsFarAsPossible) {
  for (const char* text :
       {R"({"metadata":{"name":"n1","labels":7},"status":{"conditions":[3],"allocatable":"x"}})",
        R"({"metadata":{"name":"n1","labels":{"a":1}},"spec":[],"status":null})"}) {
    Add(&SnapshotBuilder::Node, Json::parse(text));
    EXPECT_NE(Build()->Node("n1"), nullptr);
  }
  for (
      const char* text :
      {R"({"metadata":{"namespace":"db","name":"p"},"spec":{"containers":{"a":1},"volumes":3}})",
       R"({"metadata":{"namespace":"db","name":"p"},"spec":{"nodeName":"n1","containers":[7]}})"}) {
    Add(&SnapshotBuilder::Pod, Json::parse(text));
    Build();
  }
  EXPECT_EQ(Build()->Node("n1")->pods, 1);
}

}  // namespace
}  // namespace longshore::placement
