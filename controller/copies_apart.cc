// SPDX-License-Identifier: Apache-2.0
#include "controller/copies_apart.h"

#include <algorithm>
#include <string>

#include "common/base/strings.h"
#include "common/http/url.h"

namespace longshore::controller {
namespace {

using placement::Tier;

constexpr std::string_view kRest = "rest:";

api::Condition Say(const char* status, const std::string& reason, const std::string& message) {
  return {kCopiesApart, status, reason, message, "", 0};
}

// The repository as a source is looked for: what spec.location says, else the Service that the
// URL's host names.
placement::Location Locate(const api::BackupRepository& repository, const placement::View& view) {
  api::BackupSource stand_in;
  stand_in.metadata.ns = repository.metadata.ns;
  const api::RepositoryLocation& given = repository.spec.location;
  stand_in.spec.location = {.ns = given.ns,
                            .node_name = given.node_name,
                            .pod_labels = given.pod_labels,
                            .service = given.service,
                            .persistent_volume_claim = given.persistent_volume_claim,
                            .rack = given.rack,
                            .zone = given.zone,
                            .region = given.region};
  const std::string& url = repository.spec.url;
  const auto parts = http::ParseBaseUrl(url.starts_with(kRest) ? url.substr(kRest.size()) : url);
  if (parts && !http::IsIpAddress(parts->host)) {
    stand_in.spec.postgresql.emplace().host = parts->host;
  }
  return placement::Locate(stand_in, view);
}

// The nearest pair: one node is enough to lose both.
Tier NearestTier(const placement::Location& data, const placement::Location& copies) {
  Tier nearest = Tier::kUnknown;
  for (const placement::Place& place : copies.places) {
    placement::NodeInfo node;
    node.name = place.node;
    node.rack = place.rack;
    node.zone = place.zone;
    node.region = place.region;
    nearest = std::min(nearest, placement::Nearness(data, node));
  }
  return nearest;
}

// spec.apartFrom: which shares of a fate are not accepted.
bool TooNear(Tier nearest, const std::string& apart_from) {
  if (apart_from == "Zone") return nearest <= Tier::kZone;
  if (apart_from == "Rack") return nearest <= Tier::kRack;
  return nearest == Tier::kNode;
}

}  // namespace

api::Condition CopiesApart(const placement::Location& data, const api::BackupRepository& repository,
                           const placement::View& view) {
  const placement::Location copies = Locate(repository, view);
  if (copies.links.empty()) {
    return Say("True", "OutsideCluster",
               "BackupRepository " + repository.metadata.name +
                   " has no spec.location and its URL names no Service: taken to be outside");
  }
  if (data.external) {
    return Say("True", "OutsideCluster", data.reason + "; copies: " + copies.reason);
  }
  if (!copies.known() || !data.known()) {
    return Say("Unknown", "NotLocated",
               copies.known() ? "where the data is: " + data.reason
                              : "where the copies are: " + copies.reason +
                                    "; correct the BackupRepository's spec.location");
  }
  const Tier nearest = NearestTier(data, copies);
  const std::string both = "data: " + data.reason + "; copies: " + copies.reason;
  if (nearest == Tier::kUnknown) return Say("Unknown", "NotLocated", both);
  if (!TooNear(nearest, repository.spec.apart_from)) return Say("True", "Apart", both);
  const std::string tier = placement::TierName(nearest);
  return Say("False", "Same" + tier,
             "what takes the " + ToLower(tier) + " takes data and copies (" + both +
                 "); move one of them, or lower the BackupRepository's spec.apartFrom");
}

}  // namespace longshore::controller
