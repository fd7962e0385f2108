// SPDX-License-Identifier: Apache-2.0
//
// What is taken out of the objects in memory is missed by nobody who reads them.
#include "common/placement/prune.h"

#include <gtest/gtest.h>

#include "common/placement/records.h"

namespace longshore::placement {
namespace {

using api::Json;

// As the API server gives a Deployment's pod, shortened.
Json SomebodysPod() {
  return Json::parse(R"({
    "metadata": {"name": "web-1", "namespace": "shop", "uid": "u1", "resourceVersion": "7", "generateName": "web-",
      "labels": {"app": "web", "role": "leader"}, "creationTimestamp": "2026-11-23T00:00:00Z",
      "annotations": {"kubernetes.io/config.hash": "h1", "prometheus.io/scrape": "true"},
      "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "u0"}]},
    "spec": {"nodeName": "n1", "schedulerName": "default-scheduler", "overhead": {"cpu": "10m", "memory": "1Mi"},
      "tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300}],
      "initContainers": [
        {"name": "mesh", "restartPolicy": "Always", "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}}},
        {"name": "migrate", "resources": {"requests": {"cpu": "2"}}}],
      "containers": [
        {"name": "web", "image": "registry.test/web:1", "env": [{"name": "A", "value": "B"}],
         "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}},
        {"name": "log", "resources": {"requests": {"cpu": 1}}}],
      "volumes": [{"name": "config", "configMap": {"name": "web"}},
                  {"name": "data", "persistentVolumeClaim": {"claimName": "data-web-1"}}]},
    "status": {"phase": "Running", "podIP": "10.1.2.3", "qosClass": "Burstable", "message": "m", "reason": "r",
      "conditions": [{"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-11-23T00:00:00Z"},
                     {"type": "Ready", "status": "True", "reason": "fine", "message": "yes"}],
      "containerStatuses": [{"name": "web", "restartCount": 2, "imageID": "sha256:1",
                             "state": {"running": {"startedAt": "2026-11-23T00:00:01Z"}},
                             "lastState": {"terminated": {"reason": "OOMKilled", "exitCode": 137, "containerID": "c",
                               "message": "the end of a log", "finishedAt": "2026-11-23T00:00:00Z"}}}]}})");
}

Json Pruned(Json pod) {
  PrunePod(pod);
  return pod;
}

void ExpectReadsTheSame(const Json& pod) {
  const PodRecord before = ReadPod(pod), after = ReadPod(Pruned(pod));
  EXPECT_EQ(after.name, before.name);
  EXPECT_EQ(after.uid, before.uid);
  EXPECT_EQ(after.node, before.node);
  EXPECT_EQ(after.agent_uid, before.agent_uid);
  EXPECT_EQ(after.labels, before.labels);
  EXPECT_EQ(after.claims, before.claims);
  EXPECT_EQ(after.cpu_milli, before.cpu_milli);
  EXPECT_EQ(after.memory_bytes, before.memory_bytes);
  EXPECT_EQ(after.finished, before.finished);
  EXPECT_EQ(after.running, before.running);
  EXPECT_EQ(after.ready, before.ready);
  EXPECT_EQ(after.backup, before.backup);
  EXPECT_EQ(after.witness, before.witness);
  EXPECT_EQ(after.leads, before.leads);
  ASSERT_EQ(after.owners.size(), before.owners.size());
  for (size_t i = 0; i < after.owners.size(); ++i) {
    EXPECT_EQ(after.owners[i].name, before.owners[i].name);
  }
}

TEST(PruneTest, SomebodysPodReadsTheSameInALittleSpace) {
  Json pod = SomebodysPod();
  ASSERT_EQ(ReadPod(pod).cpu_milli, 2110);
  ExpectReadsTheSame(pod);
  EXPECT_LT(Pruned(pod).dump().size() * 3, pod.dump().size());
  pod["status"]["conditions"][1]["status"] = "False";
  ExpectReadsTheSame(pod);
  pod["metadata"]["deletionTimestamp"] = "2026-11-23T00:00:00Z";
  ExpectReadsTheSame(pod);
  pod["status"] = {{"phase", "Pending"}};
  ExpectReadsTheSame(pod);
  pod["spec"]["resources"]["requests"]["cpu"] = "3";
  ExpectReadsTheSame(pod);
  pod["metadata"]["ownerReferences"] =
      Json::array({{{"kind", "StatefulSet"}, {"name", "pg"}, {"controller", true}}});
  ASSERT_EQ(ReadPod(pod).owners.size(), 1u);
  ExpectReadsTheSame(pod);
}

TEST(PruneTest, OfOwnersOnlyKindAndNameOfTheControllerAreKept) {
  Json object = SomebodysPod();
  object["metadata"]["ownerReferences"].push_back({{"apiVersion", "apps/v1"},
                                                   {"kind", "StatefulSet"},
                                                   {"name", "pg"},
                                                   {"uid", "u2"},
                                                   {"controller", true},
                                                   {"blockOwnerDeletion", true}});
  Json set = object;
  PruneStatefulSet(set);
  for (const Json& pruned : {Pruned(object), set}) {
    EXPECT_EQ(pruned["metadata"]["ownerReferences"],
              Json::array({{{"kind", "StatefulSet"}, {"name", "pg"}, {"controller", true}}}));
  }
  EXPECT_FALSE(Pruned(SomebodysPod())["metadata"].contains("ownerReferences")) << "no controller";
}

TEST(PruneTest, OfStatefulSetsOnlyTheOwnerIsKept) {
  Json set = {{"metadata",
               {{"name", "pg"},
                {"namespace", "db"},
                {"labels", {{"a", "b"}}},
                {"ownerReferences",
                 Json::array({{{"kind", "Cluster"}, {"name", "orders"}, {"controller", true}}})}}},
              {"spec", {{"replicas", 3}}},
              {"status", {{"replicas", 3}}}};
  PruneStatefulSet(set);
  EXPECT_EQ(set.size(), 1u);
  EXPECT_FALSE(set["metadata"].contains("labels"));
  EXPECT_EQ(ReadStatefulSet(set).owner.name, "orders");
}

TEST(PruneTest, OfOurPodsStaysWhatTheControllerGoesBy) {
  Json pod = SomebodysPod();
  pod["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "longshore";
  pod["metadata"]["labels"]["longshore.dev/source"] = "orders";
  for (const char* type : {"DisruptionTarget", "PodScheduled", "longshore.dev/Available"}) {
    pod["status"]["conditions"].push_back({{"type", type},
                                           {"status", "False"},
                                           {"reason", "r"},
                                           {"message", "m"},
                                           {"lastTransitionTime", "2026-11-23T00:00:00Z"}});
  }
  ExpectReadsTheSame(pod);
  const Json kept = Pruned(pod);
  EXPECT_EQ(kept["spec"]["resources"]["limits"]["memory"], "2Gi");
  EXPECT_EQ(kept["metadata"]["ownerReferences"], Json::array({{{"uid", "u0"}}}));
  for (const char* path :
       {"/metadata/annotations", "/status/reason", "/status/message", "/status/podIP",
        "/status/conditions/1/status", "/status/conditions/2/message",
        "/status/conditions/3/message", "/status/conditions/3/lastTransitionTime",
        "/status/conditions/4/status", "/status/containerStatuses/0/state",
        "/status/containerStatuses/0/restartCount",
        "/status/containerStatuses/0/lastState/terminated/reason",
        "/status/containerStatuses/0/lastState/terminated/exitCode",
        "/status/containerStatuses/0/lastState/terminated/finishedAt"}) {
    const Json::json_pointer pointer(path);
    ASSERT_TRUE(kept.contains(pointer)) << path;
    EXPECT_EQ(kept.at(pointer), pod.at(pointer)) << path;
  }
  EXPECT_TRUE(kept["status"]["conditions"][0].is_null()) << "keeps its place only";
  EXPECT_EQ(kept["status"]["containerStatuses"][0]["lastState"]["terminated"].size(), 3u);
  EXPECT_FALSE(kept["spec"].contains("containers"));
  EXPECT_LT(kept.dump().size() * 3, pod.dump().size() * 2);
}

TEST(PruneTest, NodesKeepTheirLabelsTaintsRoomAndConditions) {
  Json node = Json::parse(R"({
    "metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "a"}, "annotations": {"x": "y"}},
    "spec": {"podCIDR": "10.1.0.0/24", "unschedulable": true,
      "taints": [{"key": "gpu", "value": "a", "effect": "NoExecute", "timeAdded": "2026-11-23T00:00:00Z"}]},
    "status": {"allocatable": {"cpu": "4", "memory": "8Gi", "pods": "110"}, "capacity": {"cpu": "4"},
      "images": [{"names": ["registry.test/a:1"], "sizeBytes": 1}],
      "conditions": [{"type": "Ready", "status": "True", "message": "kubelet is posting ready status"}]}})");
  const NodeInfo before = ReadNode(node);
  PruneNode(node);
  const NodeInfo after = ReadNode(node);
  EXPECT_EQ(after.zone, "a");
  EXPECT_EQ(after.labels, before.labels);
  EXPECT_TRUE(after.ready);
  EXPECT_FALSE(after.schedulable);
  ASSERT_EQ(after.taints.size(), 1u);
  EXPECT_EQ(after.taints[0].key, "gpu");
  EXPECT_EQ(after.taints[0].value, "a");
  EXPECT_EQ(after.taints[0].effect, "NoExecute");
  EXPECT_EQ(after.cpu_allocatable_milli, 4000);
  EXPECT_EQ(after.max_pods, 110);
  EXPECT_TRUE(after.images.Has("registry.test/a:1"));
  EXPECT_EQ(node["status"]["images"].size(), 1u);
}

TEST(PruneTest, WhatHasAnotherShapeIsLetBe) {
  for (
      const char* text :
      {"null", "[]", "{}", R"({"metadata":1,"spec":2,"status":3})",
       R"({"metadata":{"labels":[]},"spec":{"containers":{},"volumes":7,"taints":[1,{}]},"status":{"conditions":"x"}})",
       R"({"metadata":{"labels":{"app.kubernetes.io/managed-by":"longshore"},"annotations":3},
            "spec":{"containers":[1,[]],"volumes":[1]},"status":{"conditions":[2],"containerStatuses":[null,{"lastState":[]},{"lastState":{"terminated":1}}]}})"}) {
    Json pod = Json::parse(text), node = pod;
    PrunePod(pod);
    PruneNode(node);
  }
}

}  // namespace
}  // namespace longshore::placement
