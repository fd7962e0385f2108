// SPDX-License-Identifier: Apache-2.0
#include "common/scaling/fair_share.h"

#include <algorithm>
#include <tuple>
#include <vector>

namespace longshore::scaling {

std::map<std::string, int> DivideFairly(const std::map<std::string, Claim>& claims, int places) {
  struct Contender {
    const std::string* name;
    const Claim* claim;
    int* source_has;
    int has;
  };
  std::map<std::string, int> of_source;
  std::vector<Contender> contenders;
  for (const auto& [name, claim] : claims) {
    int& source_has = of_source[claim.source];
    source_has += claim.has;
    if (claim.wants > claim.has) contenders.push_back({&name, &claim, &source_has, claim.has});
  }
  const auto before = [](const Contender& a, const Contender& b) {
    return std::tie(*a.source_has, a.has, a.claim->deadline, a.claim->since) <
           std::tie(*b.source_has, b.has, b.claim->deadline, b.claim->since);
  };
  std::map<std::string, int> given;
  for (; places > 0 && !contenders.empty(); --places) {
    const auto next = std::min_element(contenders.begin(), contenders.end(), before);
    ++given[*next->name];
    ++*next->source_has;
    if (++next->has == next->claim->wants) contenders.erase(next);
  }
  return given;
}

}  // namespace longshore::scaling
