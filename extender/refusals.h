// SPDX-License-Identifier: Apache-2.0
//
// What filter says of the offered nodes: which pass, and why the others don't. Used by decision.cc.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "extender/judgement.h"

namespace longshore::extender {

class Refusals {
 public:
  // Both outlive it. The grounds have a scorer.
  Refusals(const Grounds& grounds, const std::vector<NodeJudgement>& nodes);
  Refusals(const Refusals&) = delete;  // the outcomes point into the texts
  Refusals& operator=(const Refusals&) = delete;

  // Parallel to the nodes; empty: all pass.
  const std::vector<NodeOutcome>& outcomes() const { return outcomes_; }
  size_t failed() const { return failed_; }

 private:
  const std::string& Reason(const placement::Points& points);
  std::string TextOf(const placement::Points& points) const;

  const Grounds& grounds_;
  std::vector<NodeOutcome> outcomes_;
  size_t failed_ = 0;
  // Made when first needed: thousands of nodes are refused for few reasons.
  std::array<std::string, static_cast<size_t>(placement::Tier::kUnknown) + 1> too_far_;
  std::array<std::string, static_cast<size_t>(placement::Obstacle::kNotChosen) + 1> other_;
};

}  // namespace longshore::extender
