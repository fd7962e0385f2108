// SPDX-License-Identifier: Apache-2.0
//
// Who gets the next place under a cap that several requests share? Max-min fairness in whole
// places (Bertsekas and Gallager, Data Networks, §6.5.2, with equal weights): sources first, and
// within a source its requests. Nothing is taken from anybody. Pure; the controller divides pods of
// a namespace and writers of a repository by it.
#pragma once

#include <map>
#include <string>

#include "common/base/clock.h"

namespace longshore::scaling {

struct Claim {
  std::string source;                   // whose requests count as one, first
  int has = 0;                          // places
  int wants = 0;                        // places, those that it has included
  WallTime deadline = WallTime::max();  // none
  WallTime since = {};                  // when it was given one last, or began to wait
};

// Gives out so many free places one at a time, each to the claim that wants more and whose source
// has fewest; among those to the one that has fewest itself, then to the earliest deadline, then to
// who has waited longest. Whoever gets none is not in the answer. Takes places x claims steps.
std::map<std::string, int> DivideFairly(const std::map<std::string, Claim>& claims, int places);

}  // namespace longshore::scaling
