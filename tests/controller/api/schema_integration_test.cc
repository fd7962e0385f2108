// SPDX-License-Identifier: Apache-2.0
//
// What the API server refuses by the schemas' rules, with messages that name the field.
#include <gmock/gmock.h>

#include "common/api/meta.h"
#include "tests/common/kube/real_cluster.h"

namespace longshore::controller {
namespace {

using api::Json;
using testing::HasSubstr;

class SchemaIntegrationTest : public kube::RealClusterTest {
 protected:
  // The refusal's text, or "" when the object is taken.
  std::string Create(const kube::Resource& resource, const Json& spec) {
    const auto made = client_->Create(resource, ns_,
                                      {{"apiVersion", api::kApiVersion},
                                       {"kind", std::string(resource.kind)},
                                       {"metadata", {{"name", "x-" + RandomId(8)}}},
                                       {"spec", spec}});
    made_ = made ? *made : Json();
    return made ? "" : made.error().message;
  }
  std::string CreateSource(const Json& placement, const Json& location = Json::object()) {
    return Create(kube::kBackupSources, {{"kind", "filesystem"},
                                         {"filesystem", {{"persistentVolumeClaim", "data"}}},
                                         {"location", location},
                                         {"placement", placement}});
  }
  // How many objects of the test's namespace the API server selects.
  size_t Selected(const kube::Resource& resource, const std::string& field_selector) {
    const auto listed = client_->List(resource, ns_, {.field_selector = field_selector});
    EXPECT_TRUE(listed.has_value()) << listed.error().ToString();
    return listed ? listed->items.size() : 0;
  }
  Json made_;
};

TEST_F(SchemaIntegrationTest, OnlyARequirementTimesOut) {
  EXPECT_EQ(CreateSource({{"mode", "Require"}, {"requireTimeoutSeconds", 60}}), "");
  EXPECT_EQ(CreateSource({{"mode", "Require"}}), "");
  EXPECT_FALSE(made_["spec"]["placement"].contains("requireTimeoutSeconds"));
  const char* const rule = "spec.placement.requireTimeoutSeconds";
  EXPECT_THAT(CreateSource({{"mode", "Prefer"}, {"requireTimeoutSeconds", 60}}), HasSubstr(rule));
  EXPECT_THAT(CreateSource({{"requireTimeoutSeconds", 60}}),
              HasSubstr("belongs to mode Require only"));
  EXPECT_THAT(CreateSource({{"mode", "Require"}, {"requireTimeoutSeconds", 0}}), HasSubstr(rule));
}

TEST_F(SchemaIntegrationTest, WhoPrefersStandbysSaysWhichPodsTheyAre) {
  EXPECT_EQ(CreateSource(Json::object()), "");
  EXPECT_EQ(made_["spec"]["placement"]["replicas"], "LeaderOnly");
  const Json prefer = {{"replicas", "PreferStandby"}};
  const Json standbys = {{"standbyPodLabels", {{"role", "standby"}}}};
  EXPECT_EQ(CreateSource(prefer, standbys), "");
  EXPECT_EQ(CreateSource(Json::object(), standbys), "");
  const char* const rule = "spec.location.standbyPodLabels";
  EXPECT_THAT(CreateSource(prefer), HasSubstr(rule));
  EXPECT_THAT(CreateSource(prefer, {{"standbyPodLabels", Json::object()}}), HasSubstr(rule));
  EXPECT_THAT(CreateSource({{"replicas", "Any"}}), HasSubstr("spec.placement.replicas"));
}

TEST_F(SchemaIntegrationTest, WhatCannotBeANameIsRefused) {
  for (const char* field : {"nodeName", "namespace", "service", "persistentVolumeClaim", "zone"}) {
    EXPECT_EQ(CreateSource(Json::object(), {{field, "node-1"}}), "");
    EXPECT_EQ(CreateSource(Json::object(), {{field, ""}}), "");
    EXPECT_THAT(CreateSource(Json::object(), {{field, "Node 1"}}),
                HasSubstr(std::string("spec.location.") + field));
  }
  EXPECT_THAT(Create(kube::kPodPolicies, {{"repositoryRef", {{"name", "Not one"}}}}),
              HasSubstr("spec.repositoryRef.name"));
}

TEST_F(SchemaIntegrationTest, ObjectsAreSelectedByWhatTheyReferToAndTheirState) {
  for (const char* request : {"a", "b"}) {
    const Json of = {{"name", request}}, source = {{"name", "s"}, {"namespace", ns_}};
    EXPECT_EQ(
        Create(kube::kComputeRequests, {{"sourceRef", source}, {"policyRef", {{"name", "p"}}}}),
        "");
    EXPECT_EQ(
        Create(kube::kOperations,
               {{"type", "Backup"}, {"part", request}, {"sourceRef", source}, {"requestRef", of}}),
        "");
    EXPECT_EQ(Create(kube::kBackupPods, {{"requestRef", of},
                                         {"sourceRef", source},
                                         {"slot", 0},
                                         {"attempt", 0},
                                         {"image", "i"}}),
              "");
  }
  // A controller that serves the cluster meanwhile moves such a row on at once.
  bool selected = false;
  for (int i = 0; i < 50 && !selected; ++i) {
    auto row = client_->Get(kube::kBackupPods, ns_, made_["metadata"]["name"]);
    ASSERT_TRUE(row.has_value()) << row.error().ToString();
    (*row)["status"] = {{"state", "Available"}};
    selected = client_->Update(kube::kBackupPods, ns_, *row, "status").has_value() &&
               Selected(kube::kBackupPods, "status.state=Available,spec.requestRef.name=b") == 1;
  }
  EXPECT_TRUE(selected);
  EXPECT_EQ(Selected(kube::kComputeRequests, "spec.sourceRef.name=s"), 2u);
  EXPECT_EQ(Selected(kube::kComputeRequests, "spec.sourceRef.name=a"), 0u);
  EXPECT_EQ(Selected(kube::kBackupPods, "status.state=Available,spec.requestRef.name=a"), 0u);
  EXPECT_EQ(Selected(kube::kBackupPods, "spec.sourceRef.name=s"), 2u);
  EXPECT_EQ(Selected(kube::kOperations, "spec.requestRef.name=a,spec.sourceRef.name=s"), 1u);
  EXPECT_EQ(Selected(kube::kOperations, "status.state=Running"), 0u);
}

TEST_F(SchemaIntegrationTest, ACapIsAtLeastOne) {
  for (const char* field : {"maxPodsPerNode", "maxPodsPerNamespace"}) {
    const auto create = [&](const Json& most) {
      return Create(kube::kPodPolicies, {{"repositoryRef", {{"name", "r"}}}, {field, most}});
    };
    EXPECT_EQ(create(1), "");
    EXPECT_THAT(create(0), HasSubstr(std::string("spec.") + field));
    EXPECT_THAT(create("2"), HasSubstr(std::string("spec.") + field));
  }
}

TEST_F(SchemaIntegrationTest, MaxMemoryIsNotLessThanTheLimitThatItIsToRaise) {
  const auto create = [&](const Json& most, const Json& limits) {
    return Create(kube::kPodPolicies, {{"repositoryRef", {{"name", "r"}}},
                                       {"resources", {{"limits", limits}}},
                                       {"maxMemory", most}});
  };
  EXPECT_EQ(create("1Gi", {{"memory", "1024Mi"}}), "");
  EXPECT_EQ(create("1.5G", {{"cpu", "2"}}), "") << "the image may say something";
  EXPECT_EQ(create("", {{"memory", "1Gi"}}), "") << "unset";
  EXPECT_THAT(create("1000Mi", {{"memory", "1Gi"}}),
              HasSubstr("must be at least resources.limits.memory"));
  for (const char* wrong : {"plenty", "-1Gi", "1Gb", "500m"}) {
    EXPECT_THAT(create(wrong, {{"memory", "1Mi"}}), HasSubstr("spec.maxMemory"));
  }
}

TEST_F(SchemaIntegrationTest, HeadroomIsUpToAHalf) {
  const auto create = [&](const Json& percent) {
    return Create(kube::kPodPolicies,
                  {{"repositoryRef", {{"name", "r"}}}, {"nodeHeadroomPercent", percent}});
  };
  EXPECT_EQ(create(0), "");
  EXPECT_EQ(create(50), "");
  for (const int percent : {-1, 51}) {
    EXPECT_THAT(create(percent), HasSubstr("spec.nodeHeadroomPercent"));
  }
  EXPECT_EQ(Create(kube::kPodPolicies, {{"repositoryRef", {{"name", "r"}}}}), "");
  EXPECT_EQ(made_["spec"]["nodeHeadroomPercent"], 5);
}

}  // namespace
}  // namespace longshore::controller
