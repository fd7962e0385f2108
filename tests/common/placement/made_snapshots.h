// SPDX-License-Identifier: Apache-2.0
//
// Made-up objects of one small cluster, and snapshots of them, for the tests of what a snapshot
// says.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "common/placement/snapshot.h"

namespace longshore::placement {

using api::Json;

inline Json NodeJson(const std::string& name, const std::string& zone = "za") {
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

inline Json PodJson(const std::string& name, const std::string& node,
                    const std::string& uid = "u1") {
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

// With a controller and another owner of that name.
inline Json OwnedBy(Json object, const std::string& kind, const std::string& name) {
  object["metadata"]["ownerReferences"] =
      Json::array({{{"kind", "Other"}, {"name", name}},
                   {{"kind", kind}, {"name", name}, {"controller", true}}});
  return object;
}

// Of the Service "pg".
inline Json SliceJson(const Json& endpoints) {
  return Json{
      {"metadata",
       {{"namespace", "db"}, {"name", "pg-x"}, {"labels", {{"kubernetes.io/service-name", "pg"}}}}},
      {"endpoints", endpoints}};
}

inline Json ClaimJson(const Json& spec, const std::string& phase) {
  return Json{{"metadata", {{"namespace", "db"}, {"name", "data"}}},
              {"spec", spec},
              {"status", {{"phase", phase}}}};
}

inline Json VolumeJson(const Json& terms) {
  return Json{{"metadata", {{"name", "pv-1"}}},
              {"spec", {{"nodeAffinity", {{"required", {{"nodeSelectorTerms", terms}}}}}}}};
}

inline Json AttachmentJson(const std::string& name, const std::string& node, bool attached = true) {
  return Json{{"metadata", {{"name", name}}},
              {"spec",
               {{"attacher", "csi.example"},
                {"nodeName", node},
                {"source", {{"persistentVolumeName", "pv-1"}}}}},
              {"status", {{"attached", attached}}}};
}

class SnapshotTest : public testing::Test {
 protected:
  void Add(void (SnapshotBuilder::*apply)(const Json*, const Json*), const Json& object) {
    (builder_.*apply)(nullptr, &object);
  }
  std::shared_ptr<const ClusterSnapshot> Build() { return builder_.Build(Listed::Everything()); }
  // The nodes that a bound claim's volume with these terms may be used on.
  std::vector<std::string> NodesOfVolume(const Json& terms) {
    Add(&SnapshotBuilder::Claim, ClaimJson({{"volumeName", "pv-1"}}, "Bound"));
    Add(&SnapshotBuilder::Volume, VolumeJson(terms));
    return Build()->VolumeNodes("db", "data").value_or(VolumePlace{{"error"}, {}}).nodes;
  }
  SnapshotBuilder builder_;
};

}  // namespace longshore::placement
