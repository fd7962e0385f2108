// SPDX-License-Identifier: Apache-2.0
//
// The chain of location.h. Each link either finds places or says in one clause why it didn't; the
// clauses of the links before the hit are kept, so that "why there?" has an answer.
#include "common/placement/location.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>

#include "common/base/strings.h"
#include "common/placement/owner_kinds.h"

namespace longshore::placement {
namespace {

constexpr char kPreferStandby[] = "PreferStandby";

using Places = std::vector<View::PodPlace>;

struct Attempt {
  std::optional<Location> found;
  std::string why_not;
  bool unbound = false;
};

Attempt Miss(std::string why_not) { return {std::nullopt, std::move(why_not), false}; }

// Adds the node with the labels that the view has of it.
void AddPlace(Location& location, const std::string& node, const View& view) {
  Place place{.node = node};
  if (const NodeInfo* info = view.Node(node)) {
    place.rack = info->rack;
    place.zone = info->zone;
    place.region = info->region;
  }
  if (location.places.empty()) {
    location.rack = place.rack;
    location.zone = place.zone;
    location.region = place.region;
  }
  location.nodes.push_back(node);
  location.places.push_back(std::move(place));
}

void AddZone(Location& location, const std::string& zone) {
  for (const Place& place : location.places) {
    if (place.node.empty() && place.zone == zone) return;
  }
  if (location.places.empty()) location.zone = zone;
  location.places.push_back({.zone = zone});
}

std::string LabelText(const std::map<std::string, std::string>& labels) {
  std::vector<std::string> parts;
  for (const auto& [key, value] : labels) parts.push_back(key + "=" + value);
  return Join(parts, ",");
}

// "pod db/pg-0 on node-1, pod db/pg-1 on node-2", at most three of them.
std::string PlacesText(const std::string& ns, const Places& places) {
  std::vector<std::string> parts;
  for (const auto& place : places) {
    if (parts.size() == 3) {
      parts.push_back("and " + std::to_string(places.size() - 3) + " more");
      break;
    }
    const std::string where = place.node.empty() ? "zone " + place.zone : place.node;
    const std::string what = place.pod.empty() ? "endpoint" : "pod " + ns + "/" + place.pod;
    parts.push_back(what + " on " + where);
  }
  return Join(parts, ", ");
}

// Ready ones if there are any: a leader that is starting elsewhere is not yet the leader.
Places PreferReady(Places places) {
  const auto ready = [](const View::PodPlace& place) { return place.ready; };
  if (std::any_of(places.begin(), places.end(), ready)) {
    std::erase_if(places, [&](const View::PodPlace& place) { return !ready(place); });
  }
  return places;
}

// A member that only votes has no data, whatever labels it shares with the others. Takes such out;
// returns how that is said behind what was found instead, or "".
std::string TakeOutWitnesses(const std::string& ns, Places& places) {
  std::vector<std::string> names;
  for (const View::PodPlace& place : places) {
    if (!place.witness.empty()) names.push_back(ns + "/" + place.pod + " (" + place.witness + ")");
  }
  std::erase_if(places, [](const View::PodPlace& place) { return !place.witness.empty(); });
  return names.empty() ? "" : ", without data: pod " + Join(names, ", ");
}

void AddLivePod(Location& location, const View::PodPlace& pod) {
  if (!pod.agent_uid.empty()) location.pods.push_back({pod.node, pod.agent_uid});
}

Attempt Hit(const char* method, std::string reason, const Places& places, const View& view) {
  Location location;
  location.method = method;
  location.reason = std::move(reason);
  std::set<std::string_view> added;  // a volume may be on any node of a region
  for (const auto& place : places) {
    if (!place.node.empty()) {
      if (added.insert(place.node).second) AddPlace(location, place.node, view);
      AddLivePod(location, place);
    } else if (!place.zone.empty()) {
      AddZone(location, place.zone);
    }
  }
  return {std::move(location), "", false};
}

Attempt ByNodeName(const std::string& node, const View& view) {
  if (view.Node(node) == nullptr) return Miss("node " + node + " is not in the cluster");
  return Hit("NodeName", "the source names node " + node, {{"", node, true, ""}}, view);
}

Attempt ByPodLabels(const std::string& ns, const std::map<std::string, std::string>& labels,
                    const View& view) {
  Places places = view.PodsByLabels(ns, labels);
  const std::string text = LabelText(labels) + TakeOutWitnesses(ns, places);
  places = PreferReady(std::move(places));
  if (places.empty()) return Miss("no running pod in " + ns + " has labels " + text);
  return Hit("Pod", PlacesText(ns, places) + " (labels " + text + ")", places, view);
}

// Ready is what a standby's own probe, or its operator, calls ready: it streams. A standby that has
// just become the leader has lost the label, or has got the leader's.
Attempt ByStandbyLabels(const std::string& ns, const api::SourceLocation& where, const View& view) {
  Places leaders;
  if (!where.pod_labels.empty()) leaders = PreferReady(view.PodsByLabels(ns, where.pod_labels));
  Places places = view.PodsByLabels(ns, where.standby_pod_labels);
  std::erase_if(places, [&](const View::PodPlace& place) {
    const auto same = [&](const View::PodPlace& leader) { return leader.pod == place.pod; };
    return !place.ready || std::any_of(leaders.begin(), leaders.end(), same);
  });
  const std::string text = LabelText(where.standby_pod_labels) + TakeOutWitnesses(ns, places);
  if (places.empty()) return Miss("no ready standby in " + ns + " has labels " + text);
  Attempt attempt =
      Hit("Pod", PlacesText(ns, places) + " (standby, labels " + text + ")", places, view);
  for (const auto& leader : leaders) AddLivePod(*attempt.found, leader);
  return attempt;
}

// Of several pods the leader's, where one says that it leads.
Attempt ByOwner(const std::string& ns, const api::LocationOwner& owner, const View& view) {
  Places places = view.PodsByOwner(ns, owner);
  std::string name = owner.kind + " " + ns + "/" + owner.name + TakeOutWitnesses(ns, places);
  const auto leads = [](const View::PodPlace& place) { return place.leads; };
  if (std::any_of(places.begin(), places.end(), leads)) {
    std::erase_if(places, [&](const View::PodPlace& place) { return !leads(place); });
    name = "leader of " + name;
  }
  places = PreferReady(std::move(places));
  if (!places.empty()) return Hit("Pod", PlacesText(ns, places) + " (" + name + ")", places, view);
  if (const std::string other = KindInOtherCase(owner.kind); !other.empty()) {
    name += " (did you mean " + other + "? A kind is spelled as in its manifest)";
  }
  const auto unlisted = view.Unlisted(Kind::kStatefulSets);
  return Miss("no running pod belongs to " + name + (unlisted ? ": " + unlisted->ToString() : ""));
}

Attempt ByService(const std::string& ns, const std::string& service, const View& view) {
  Places places = view.ServiceEndpoints(ns, service);
  const std::string name = "service " + ns + "/" + service + TakeOutWitnesses(ns, places);
  places = PreferReady(std::move(places));
  std::erase_if(places, [](const auto& p) { return p.node.empty() && p.zone.empty(); });
  const auto unlisted = view.Unlisted(Kind::kSlices);
  if (places.empty() && unlisted) return Miss(name + ": " + unlisted->ToString());
  if (places.empty()) return Miss(name + " has no ready endpoint with a node or zone");
  return Hit("Service", PlacesText(ns, places) + " (" + name + ")", places, view);
}

Places PlacesOn(const std::vector<std::string>& nodes) {
  Places places;
  for (const std::string& node : nodes) places.push_back({"", node, true, ""});
  return places;
}

// A pod that uses the volume now, or where it is attached, says more than what the volume would
// allow: volumes of hostPath have no affinity, and those of a zone name many nodes.
Attempt ByClaim(const std::string& ns, const std::string& claim, const View& view) {
  const std::string name = "claim " + ns + "/" + claim;
  const Places users = PreferReady(view.PodsByClaim(ns, claim));
  if (!users.empty()) {
    return Hit("PersistentVolume", PlacesText(ns, users) + " (has " + name + " mounted)", users,
               view);
  }
  if (const auto attached = view.AttachedNodes(ns, claim); !attached.empty()) {
    return Hit("PersistentVolume", name + ": its volume is attached to " + Join(attached, ", "),
               PlacesOn(attached), view);
  }
  const auto place = view.VolumeNodes(ns, claim);
  if (!place.has_value()) {
    Attempt attempt = Miss(name + ": " + place.error().ToString());
    attempt.unbound = place.error().code == Code::kFailedPrecondition;
    return attempt;
  }
  const std::vector<std::string>& nodes = place->nodes;
  if (nodes.empty()) return Miss(name + ": no node fits its volume's affinity");
  std::string reason =
      name + ": its volume " + (place->exists ? "is" : "will be") + " on " +
      (nodes.size() == 1 ? nodes.front() : "any of " + std::to_string(nodes.size()) + " nodes");
  if (!place->how.empty()) reason += ", " + place->how;
  if (const auto unlisted = view.Unlisted(Kind::kAttachments)) {
    reason += " (where it is attached is not known: " + unlisted->message + ")";
  }
  return Hit("PersistentVolume", std::move(reason), PlacesOn(nodes), view);
}

// Of rack, zone and region those that the source names. What it leaves open is taken from the nodes
// there, if all agree on it.
Attempt ByTopology(const char* method, const api::SourceLocation& where, const View& view) {
  Place place{"", where.rack, where.zone, where.region};
  std::vector<std::string> names;
  std::set<std::string> zones, regions;
  bool any = false;
  const auto fits = [](const std::string& wanted, const std::string& has) {
    return wanted.empty() || wanted == has;
  };
  for (const NodeInfo* node : view.Nodes()) {
    if (fits(place.rack, node->rack) && fits(place.zone, node->zone) &&
        fits(place.region, node->region)) {
      any = true;
      zones.insert(node->zone);
      regions.insert(node->region);
    }
  }
  for (const auto& [what, name] : {std::pair("rack ", place.rack), std::pair("zone ", place.zone),
                                   std::pair("region ", place.region)}) {
    if (!name.empty()) names.push_back(what + name);
  }
  const bool in_zone = !place.rack.empty() || !place.zone.empty();
  if (!place.rack.empty() && place.zone.empty() && zones.size() == 1) place.zone = *zones.begin();
  if (in_zone && place.region.empty() && regions.size() == 1) place.region = *regions.begin();
  // It may get one yet: an autoscaler adds nodes where they are asked for.
  const std::string empty = any ? "" : ", where no node is (labels of topology.kubernetes.io)";
  Attempt attempt = Hit(method, "the source names " + Join(names, ", ") + empty, {}, view);
  attempt.found->rack = place.rack;
  attempt.found->zone = place.zone;
  attempt.found->region = place.region;
  attempt.found->places = {std::move(place)};
  return attempt;
}

Attempt Outside(const View& view) {
  Attempt attempt =
      Hit("External", "the source says that its data is outside of the cluster", {}, view);
  attempt.found->external = true;
  return attempt;
}

// Sets the Service (and its namespace) that a cluster-internal host name stands for: "NAME",
// "NAME.NAMESPACE.svc", "NAME.NAMESPACE.svc.cluster.local". Other names are left alone: "a.b" may
// be a host on the internet.
void TakeServiceOfHost(const std::string& host, api::SourceLocation& where) {
  const auto parts = Split(host, '.');
  if (parts.empty() || (parts.size() > 1 && (parts.size() < 3 || parts[2] != "svc"))) return;
  where.service = parts[0];
  if (parts.size() > 1) where.ns = parts[1];
}

// With the namespace filled in, and a source that says nothing looked for by its own access.
api::SourceLocation EffectiveLocation(const api::BackupSource& source) {
  api::SourceLocation where = source.spec.location;
  if (where.ns.empty()) where.ns = source.metadata.ns;
  const bool given = !where.node_name.empty() || !where.pod_labels.empty() ||
                     !where.owner.name.empty() || !where.service.empty() ||
                     !where.persistent_volume_claim.empty() || !where.rack.empty() ||
                     !where.zone.empty() || !where.region.empty() || where.external;
  if (given) return where;
  if (source.spec.filesystem) {
    where.persistent_volume_claim = source.spec.filesystem->persistent_volume_claim;
    where.ns = source.metadata.ns;
  } else if (source.spec.postgresql) {
    TakeServiceOfHost(source.spec.postgresql->host, where);
  }
  return where;
}

// The hit, and then why the links before it missed.
std::string ReasonOf(const std::vector<Link>& links) {
  if (links.empty()) return "the source says nothing about where its data is";
  std::vector<std::string> reasons;
  for (const Link& link : links) {
    reasons.insert(link.found ? reasons.begin() : reasons.end(), link.reason);
  }
  return Join(reasons, "; ");
}

Tier NearnessToPlace(const Place& place, const NodeInfo& node) {
  if (!place.node.empty() && place.node == node.name) return Tier::kNode;
  const auto both = [](const std::string& a, const std::string& b) {
    return !a.empty() && !b.empty();
  };
  const bool regions_differ = both(place.region, node.region) && place.region != node.region;
  const bool zones_differ = both(place.zone, node.zone) && place.zone != node.zone;
  if (!regions_differ && !zones_differ) {
    if (both(place.rack, node.rack) && place.rack == node.rack) return Tier::kRack;
    if (both(place.zone, node.zone)) return Tier::kZone;
  }
  if (both(place.region, node.region) && !regions_differ) return Tier::kRegion;
  const bool comparable =
      both(place.region, node.region) || both(place.zone, node.zone) || both(place.rack, node.rack);
  return comparable ? Tier::kNone : Tier::kUnknown;
}

}  // namespace

const char* TierName(Tier tier) {
  switch (tier) {
    case Tier::kNode:
      return "Node";
    case Tier::kRack:
      return "Rack";
    case Tier::kZone:
      return "Zone";
    case Tier::kRegion:
      return "Region";
    case Tier::kNone:
      return "None";
    case Tier::kUnknown:
      break;
  }
  return "Unknown";
}

Location Locate(const api::BackupSource& source, const View& view) {
  const api::SourceLocation where = EffectiveLocation(source);
  const std::string& ns = where.ns;
  std::vector<std::pair<const char*, std::function<Attempt()>>> chain;
  const auto add = [&](const char* name, bool set, std::function<Attempt()> attempt) {
    if (set) chain.emplace_back(name, std::move(attempt));
  };
  add("nodeName", !where.node_name.empty(), [&] { return ByNodeName(where.node_name, view); });
  add("standbyPodLabels",
      source.spec.placement.replicas == kPreferStandby && !where.standby_pod_labels.empty(),
      [&] { return ByStandbyLabels(ns, where, view); });
  add("podLabels", !where.pod_labels.empty(),
      [&] { return ByPodLabels(ns, where.pod_labels, view); });
  add("owner", !where.owner.name.empty(), [&] { return ByOwner(ns, where.owner, view); });
  add("service", !where.service.empty(), [&] { return ByService(ns, where.service, view); });
  add("persistentVolumeClaim", !where.persistent_volume_claim.empty(),
      [&] { return ByClaim(ns, where.persistent_volume_claim, view); });
  // By the narrowest that is named; the others go with it.
  const bool rack = !where.rack.empty(), zone = !where.zone.empty();
  add("rack", rack, [&] { return ByTopology("Rack", where, view); });
  add("zone", zone && !rack, [&] { return ByTopology("Zone", where, view); });
  add("region", !where.region.empty() && !zone && !rack,
      [&] { return ByTopology("Region", where, view); });
  add("external", where.external, [&] { return Outside(view); });

  Location location;
  location.method = "Unknown";
  std::vector<Link> links;
  for (const auto& [name, link] : chain) {
    Attempt attempt = link();
    const bool found = attempt.found.has_value();
    links.push_back({name, found, found ? attempt.found->reason : attempt.why_not});
    location.unbound |= attempt.unbound;
    if (found) {
      location = *std::move(attempt.found);
      break;
    }
  }
  location.reason = ReasonOf(links);
  location.links = std::move(links);
  return location;
}

Tier Nearness(const Location& location, const NodeInfo& node) {
  Tier best = Tier::kUnknown;
  for (const Place& place : location.places) {
    best = std::min(best, NearnessToPlace(place, node));
  }
  return best;
}

Tier NearnessBeside(const Location& location, const NodeInfo& node) {
  NodeInfo nameless;
  nameless.rack = node.rack;
  nameless.zone = node.zone;
  nameless.region = node.region;
  return Nearness(location, nameless);
}

}  // namespace longshore::placement
