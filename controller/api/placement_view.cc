// SPDX-License-Identifier: Apache-2.0
#include "controller/api/placement_view.h"

#include <algorithm>

#include "common/base/strings.h"
#include "common/placement/changed_view.h"
#include "common/placement/counterfactual.h"
#include "common/placement/records.h"
#include "common/placement/score_view.h"
#include "controller/policy_demand.h"

namespace longshore::controller {
namespace {

// What the Pod asks for, zero where that is nothing, and how it is placed.
placement::PodDemand DemandOf(const Json& pod, const placement::PodRecord& read,
                              const placement::View& view) {
  placement::PodDemand demand;
  demand.max_backup_pods = static_cast<int>(
      ParseInt(kube::AnnotationOf(pod, api::kAnnotationMaxPodsPerNode)).value_or(0));
  demand.relaxed = kube::AnnotationOf(pod, api::kAnnotationPlacementMode) == api::kPrefer;
  demand.cpu_milli = read.cpu_milli;
  demand.memory_bytes = read.memory_bytes;
  for (const std::string& claim : read.claims) {
    if (!demand.attached_to.empty()) break;
    demand.attached_to = view.AttachedTo(std::string(kube::NamespaceOf(pod)), claim);
  }
  return demand;
}

// The pod's node without the pod, which is not to be in its own way; none where it is not bound.
placement::NodeInfo NodeWithout(const placement::PodRecord& pod, const std::string& name,
                                const placement::View& view) {
  const auto* found = view.Node(name);
  if (found == nullptr) return {};
  placement::NodeInfo node = *found;
  if (pod.finished) return node;  // not counted there
  node.cpu_requested_milli -= pod.cpu_milli;
  node.memory_requested_bytes -= pod.memory_bytes;
  --node.pods;
  if (pod.backup) --node.backup_pods;
  return node;
}

}  // namespace

Json LocationView(const placement::Location& location) {
  Json links = Json::array();
  for (const placement::Link& link : location.links) {
    links.push_back({{"name", link.name}, {"found", link.found}, {"reason", link.reason}});
  }
  return {{"nodes", location.nodes},
          {"rack", location.rack},
          {"zone", location.zone},
          {"region", location.region},
          {"method", location.method},
          {"reason", location.reason},
          {"links", links}};
}

Json ScoresView(const std::vector<placement::NodeScore>& scores) {
  Json list = Json::array();
  for (const auto& score : scores) {
    if (list.size() == kNodesShown) break;
    list.push_back(placement::ScoreView(score));
  }
  return list;
}

Result<Json> PlacementView(const api::BackupSource& source, const api::PodPolicySpec* policy,
                           const Json* pod, const std::string& image, const placement::View& view,
                           const placement::PressureMap& pressure, const std::string& asked) {
  const auto read = pod != nullptr ? placement::ReadPod(*pod) : placement::PodRecord{};
  const std::string ns(pod != nullptr ? kube::NamespaceOf(*pod) : "");
  const std::string bound = view.NodeOfPod(ns, read.name, read.uid);
  const placement::ChangedView nodes(view, NodeWithout(read, bound, view),
                                     {ns, read.name, bound, read.claims});
  auto demand = pod != nullptr ? DemandOf(*pod, read, nodes) : placement::PodDemand{};
  demand.image = image;
  if (policy != nullptr) AddPolicy(*policy, demand);
  const auto location = placement::Locate(source, nodes);
  if (!asked.empty() && nodes.Node(asked) == nullptr) {
    return NotFound("node " + asked + " is not in the cluster");
  }
  // The node that is asked about may be the last of them.
  const auto ranking = placement::RankNodes(source, location, nodes, demand, pressure, {},
                                            asked.empty() ? kNodesShown : SIZE_MAX);
  Json result = {{"location", LocationView(location)}, {"ranking", ScoresView(ranking)}};
  if (asked.empty()) return result;
  const auto place = std::find_if(ranking.begin(), ranking.end(),
                                  [&](const auto& score) { return score.node == asked; });
  result["node"] = placement::ScoreView(*place);
  result["node"]["rank"] = 1 + (place - ranking.begin());
  result["node"]["rankOf"] = ranking.size();
  result["counterfactual"] = placement::CounterfactualView(
      asked, placement::WhatWouldChange(source, location, nodes, demand, pressure, {},
                                        *nodes.Node(asked)));
  return result;
}

}  // namespace longshore::controller
