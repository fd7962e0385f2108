// SPDX-License-Identifier: Apache-2.0
#include "common/api/meta.h"

#include <algorithm>

namespace longshore::api {

const Condition* FindCondition(const std::vector<Condition>& conditions, const std::string& type) {
  const auto found = std::find_if(conditions.begin(), conditions.end(),
                                  [&](const Condition& c) { return c.type == type; });
  return found == conditions.end() ? nullptr : &*found;
}

bool SetCondition(std::vector<Condition>& conditions, const Condition& wanted,
                  const std::string& now) {
  const auto found = std::find_if(conditions.begin(), conditions.end(),
                                  [&](const Condition& c) { return c.type == wanted.type; });
  if (found == conditions.end()) {
    conditions.push_back(wanted);
    conditions.back().last_transition_time = now;
    return true;
  }
  const bool flipped = found->status != wanted.status;
  const bool changed =
      flipped || found->reason != wanted.reason || found->message != wanted.message;
  const std::string since = flipped ? now : found->last_transition_time;
  *found = wanted;
  found->last_transition_time = since;
  return changed;
}

}  // namespace longshore::api
