// SPDX-License-Identifier: Apache-2.0
//
// Whether a source's data and its copies share a fate.
#include "controller/copies_apart.h"

#include <gtest/gtest.h>

#include "tests/common/placement/fake_view.h"

namespace longshore::controller {
namespace {

class CopiesApartTest : public testing::Test {
 protected:
  CopiesApartTest() {
    view_.AddNode("n1", "rack-1", "zone-a");
    view_.AddNode("n2", "rack-1", "zone-a");
    view_.AddNode("n3", "rack-2", "zone-a");
    view_.AddNode("n4", "rack-3", "zone-b");
    source_ = placement::MakeSource({.node_name = "n1"});
    repository_.metadata.name = "outside";
    repository_.metadata.ns = "backup";
    repository_.spec.url = "rest:https://backup.example.com:8000/orders/";
  }
  api::Condition Compare() {
    return CopiesApart(placement::Locate(source_, view_), repository_, view_);
  }
  std::string Reason(const char* node, const char* apart_from = "Node") {
    repository_.spec.location.node_name = node;
    repository_.spec.apart_from = apart_from;
    return Compare().reason;
  }

  placement::FakeView view_;
  api::BackupSource source_;
  api::BackupRepository repository_;
};

TEST_F(CopiesApartTest, ARepositoryThatNothingPlacesInTheClusterIsOutside) {
  EXPECT_EQ(Compare().status, "True");
  EXPECT_EQ(Compare().reason, "OutsideCluster");
  repository_.spec.url = "rest:https://192.0.2.1:8000/";
  EXPECT_EQ(Compare().reason, "OutsideCluster");
}

TEST_F(CopiesApartTest, DataOutsideIsApartFromCopiesInTheCluster) {
  source_.spec.location = {.external = true};
  EXPECT_EQ(Reason("n1", "Zone"), "OutsideCluster");
  EXPECT_EQ(Compare().status, "True");
  EXPECT_NE(Compare().message.find("node n1"), std::string::npos);
  EXPECT_EQ(Reason("n9"), "OutsideCluster");  // wherever they are
}

TEST_F(CopiesApartTest, WhatIsNotAcceptedSaysHowNearTheyAre) {
  EXPECT_EQ(Reason("n1"), "SameNode");
  EXPECT_EQ(Reason("n2"), "Apart");
  EXPECT_EQ(Reason("n2", "Rack"), "SameRack");
  EXPECT_EQ(Reason("n1", "Rack"), "SameNode");
  EXPECT_EQ(Reason("n3", "Rack"), "Apart");
  EXPECT_EQ(Reason("n3", "Zone"), "SameZone");
  EXPECT_EQ(Reason("n4", "Zone"), "Apart");
  EXPECT_EQ(Compare().status, "True");
  Reason("n1");
  EXPECT_EQ(Compare().status, "False");
  EXPECT_NE(Compare().message.find("n1"), std::string::npos);
  EXPECT_NE(Compare().message.find("apartFrom"), std::string::npos);
}

TEST_F(CopiesApartTest, AnExplicitZoneIsComparedByZoneOnly) {
  repository_.spec.location.zone = "zone-a";
  EXPECT_EQ(Compare().reason, "Apart");
  repository_.spec.apart_from = "Zone";
  EXPECT_EQ(Compare().reason, "SameZone");
}

// A rest-server in the cluster is found without being told, by the URL alone.
TEST_F(CopiesApartTest, TheServiceOfTheUrlIsLookedFor) {
  repository_.spec.url = "rest:https://rest-server.storage.svc:8000/orders/";
  EXPECT_EQ(Compare().status, "Unknown");
  EXPECT_EQ(Compare().reason, "NotLocated");
  view_.by_service[{"storage", "rest-server"}] = {{"rest-server-0", "n1", true, ""}};
  EXPECT_EQ(Compare().reason, "SameNode");
}

TEST_F(CopiesApartTest, WhatCannotBeFoundIsUnknown) {
  EXPECT_EQ(Reason("n9"), "NotLocated");
  EXPECT_EQ(Compare().status, "Unknown");
  Reason("n2");
  source_.spec.location.node_name = "n9";
  EXPECT_EQ(Compare().reason, "NotLocated");
}

}  // namespace
}  // namespace longshore::controller
