// SPDX-License-Identifier: Apache-2.0
//
// Of a table of devices those that are worth a series each, so that a node of many volumes stays
// within the bound.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "nodeagent/kernel_counters.h"

namespace longshore::nodeagent {

// At most `most` entries, those that `busy` gives the highest values first; equals by number. They
// point into `devices`.
template <typename Value, typename Busy>
std::vector<const std::pair<const DeviceId, Value>*> BusiestDevices(
    const std::map<DeviceId, Value>& devices, size_t most, const Busy& busy) {
  std::vector<const std::pair<const DeviceId, Value>*> busiest;
  for (const auto& device : devices) busiest.push_back(&device);
  std::ranges::stable_sort(busiest, std::greater(),
                           [&](const auto* device) { return busy(device->second); });
  if (busiest.size() > most) busiest.resize(most);
  return busiest;
}

}  // namespace longshore::nodeagent
