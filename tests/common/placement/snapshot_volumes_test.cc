// SPDX-License-Identifier: Apache-2.0
//
// Where a snapshot knows claims and their volumes to be.
#include "tests/common/placement/made_snapshots.h"

namespace longshore::placement {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

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
  Listed listed = Listed::Everything();
  listed.kinds.erase(Kind::kClasses);
  listed.denied[Kind::kClasses] = "no";
  EXPECT_THAT(builder_.Build(listed)->VolumeNodes("db", "data").error().message,
              HasSubstr("and storage classes may not be listed: no"));
}

}  // namespace
}  // namespace longshore::placement
