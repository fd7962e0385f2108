// SPDX-License-Identifier: Apache-2.0
//
// What happens to the cluster of conformance_test.cc while the extender is asked: requests to the
// API server, and what is right from then on. tests/conformance/change_cases.go runs them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/api/archive.h"

namespace longshore::extender {

class ConformanceChanges {
 public:
  using Json = api::Json;
  using Steps = std::vector<Json>;  // not Json: {step} would be the step, and no list
  using Groups = std::vector<std::vector<std::string>>;

  // Nodes are called NAMESPACE-NAME; `nodes` are those of the world, by NAME, as they were created.
  ConformanceChanges(std::string ns, std::map<std::string, Json> nodes)
      : ns_(std::move(ns)), nodes_(std::move(nodes)) {}

  // `required` and `by_claim`: pods of the sources of these names.
  Json All(const Json& required, const Json& by_claim) const {
    const Groups usual{{"data"}, {"rack"}, {"zone-1", "zone-2"}, {"region"}, {"far"}};
    Json moved = nodes_.at("zone-2");
    moved["metadata"]["labels"]["topology.longshore.dev/rack"] = "r1";
    const Json leave = Delete(NodePath("zone-2")), come = Make(nodes_.at("zone-2"));
    Json all = {
        Change("19-node-deleted-between-filter-and-prioritize", {leave}, {come},
               {{"data"}, {"rack"}, {"zone-1"}, {"region"}, {"far"}}),
        Transient(Change("19-node-made-again-under-its-name", {leave, Make(moved)}, {leave, come},
                         {{"data"}, {"rack", "zone-2"}, {"zone-1"}, {"region"}, {"far"}})),
        Change("23-one-snapshot-per-request", Toggled(), {NamedNode(nullptr)},
               {{"far"}, {"data", "rack", "zone-1", "zone-2", "region"}}),
        Transient(Change("24-leader-goes-and-comes-back", ThereAndBack(), {}, usual)),
        Transient(OfPod(by_claim, Change("32-volume-affinity-names-the-node", MakeVolume("zone-2"),
                                         DeleteVolume(),
                                         {{"zone-2"}, {"data", "rack", "zone-1"}, {"region"}}))),
        Change("34-cordoned-node-is-the-schedulers-matter", {Cordon(true)}, {Cordon(nullptr)},
               usual),
        Change("34-leaders-node-is-gone", {Delete(NodePath("data"))}, {Make(nodes_.at("data"))},
               {{"data"}, {"rack", "zone-1", "zone-2", "region", "far"}}),
        Transient(
            OfPod(required, Change("35-failover-between-filter-and-prioritize",
                                   {Role("db-0", "replica"), Role("db-1", "leader")},
                                   {Role("db-1", "replica"), Role("db-0", "leader")},
                                   {{"far"}, {"data", "rack", "zone-1", "zone-2", "region"}}))),
    };
    all.back()["passes"] = {NodeName("far")};
    return all;
  }

 private:
  static Json Step(const char* method, const std::string& path, const Json& body) {
    const bool patch = std::string_view(method) == "PATCH";
    return {{"method", method},
            {"path", path},
            {"contentType", patch ? "application/merge-patch+json" : "application/json"},
            {"body", body}};
  }
  static Json Patch(const std::string& path, const Json& body) { return Step("PATCH", path, body); }
  // At once: nobody is there to confirm that a pod has ended.
  static Json Delete(const std::string& path) {
    return Step("DELETE", path, {{"gracePeriodSeconds", 0}});
  }
  Json Change(const char* name, const Steps& steps, const Steps& undo,
              const Groups& ranking) const {
    Json groups = Json::array();
    for (const auto& group : ranking) {
      groups.push_back(Json::array());
      for (const std::string& node : group) groups.back().push_back(NodeName(node));
    }
    return {{"name", name}, {"steps", steps}, {"undo", undo}, {"ranking", groups}};
  }
  static Json Transient(Json change) {
    change["transient"] = true;
    return change;
  }
  static Json OfPod(const Json& pod, Json change) {
    change["pod"] = pod;
    return change;
  }

  std::string NodeName(const std::string& name) const { return ns_ + "-" + name; }
  std::string NodePath(const std::string& name) const { return "/api/v1/nodes/" + NodeName(name); }
  std::string InNamespace(const std::string& rest) const {
    return "/api/v1/namespaces/" + ns_ + "/" + rest;
  }
  static Json Make(Json node) {
    for (const char* given : {"uid", "resourceVersion", "creationTimestamp", "managedFields"}) {
      node["metadata"].erase(given);
    }
    return Step("POST", "/api/v1/nodes", node);
  }
  Json Cordon(const Json& unschedulable) const {
    return Patch(NodePath("data"), {{"spec", {{"unschedulable", unschedulable}}}});
  }
  Json Role(const std::string& pod, const std::string& role) const {
    return Patch(InNamespace("pods/" + pod), {{"metadata", {{"labels", {{"role", role}}}}}});
  }
  Steps ThereAndBack() const {
    Steps steps;
    for (int i = 0; i < 3; ++i) {
      for (const auto& [from, to] : {std::pair("db-0", "db-1"), std::pair("db-1", "db-0")}) {
        steps.push_back(Role(from, "replica"));
        steps.push_back(Role(to, "leader"));
      }
    }
    return steps;
  }
  // One object decides about all nodes: an answer from two snapshots would be a mixture.
  Json NamedNode(const Json& node) const {
    return Patch("/apis/longshore.dev/v1alpha1/namespaces/" + ns_ + "/backupsources/preferring",
                 {{"spec", {{"location", {{"nodeName", node}}}}}});
  }
  Steps Toggled() const {
    Steps steps;
    for (int i = 0; i < 20; ++i) {
      steps.push_back(NamedNode(NodeName("far")));
      steps.push_back(NamedNode(nullptr));
    }
    steps.push_back(NamedNode(NodeName("far")));
    return steps;
  }
  Steps MakeVolume(const std::string& node) const {
    const Json requirement = {{"key", "kubernetes.io/hostname"},
                              {"operator", "In"},
                              {"values", Json::array({NodeName(node)})}};
    const Json terms = Json::array({{{"matchExpressions", Json::array({requirement})}}});
    return {Step("POST", "/api/v1/persistentvolumes",
                 {{"apiVersion", "v1"},
                  {"kind", "PersistentVolume"},
                  {"metadata", {{"name", ns_}}},
                  {"spec",
                   {{"capacity", {{"storage", "1Gi"}}},
                    {"accessModes", {"ReadWriteOnce"}},
                    {"local", {{"path", "/nowhere"}}},
                    {"claimRef", {{"namespace", ns_}, {"name", "volume"}}},
                    {"nodeAffinity", {{"required", {{"nodeSelectorTerms", terms}}}}}}}}),
            Step("POST", InNamespace("persistentvolumeclaims"),
                 {{"apiVersion", "v1"},
                  {"kind", "PersistentVolumeClaim"},
                  {"metadata", {{"name", "volume"}}},
                  {"spec",
                   {{"accessModes", {"ReadWriteOnce"}},
                    {"storageClassName", ""},
                    {"volumeName", ns_},
                    {"resources", {{"requests", {{"storage", "1Gi"}}}}}}}}),
            // As the controller that binds them would, where there is one.
            Patch(InNamespace("persistentvolumeclaims/volume/status"),
                  {{"status", {{"phase", "Bound"}}}})};
  }
  // Without the finalizers that a controller would take away.
  Steps DeleteVolume() const {
    const Json free = {{"metadata", {{"finalizers", nullptr}}}};
    const std::string claim = InNamespace("persistentvolumeclaims/volume");
    const std::string volume = "/api/v1/persistentvolumes/" + ns_;
    return {Patch(claim, free), Delete(claim), Patch(volume, free), Delete(volume)};
  }

  const std::string ns_;
  const std::map<std::string, Json> nodes_;
};

}  // namespace longshore::extender
