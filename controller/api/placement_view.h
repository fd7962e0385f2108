// SPDX-License-Identifier: Apache-2.0
//
// How places and scores look in the API. Used by explain.cc and sources.cc.
#pragma once

#include <string>
#include <vector>

#include "common/placement/location.h"
#include "common/placement/ranking.h"
#include "controller/api/view.h"

namespace longshore::controller {

Json LocationView(const placement::Location& location);

inline constexpr size_t kNodesShown = 20;
// The first kNodesShown.
Json ScoresView(const std::vector<placement::NodeScore>& scores);

// {"location","ranking"}: where the data is, and how the nodes rank for the pod as if it were
// placed again; with a node that is asked about also "node", its score and rank, and
// "counterfactual": what would make that one come first. Without a policy, what it would say does
// not count. Errors: kNotFound for a node that is not there.
Result<Json> PlacementView(const api::BackupSource& source, const api::PodPolicySpec* policy,
                           const Json* pod, const std::string& image, const placement::View& view,
                           const placement::PressureMap& pressure, const std::string& asked);

}  // namespace longshore::controller
