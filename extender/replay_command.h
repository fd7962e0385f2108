// SPDX-License-Identifier: Apache-2.0
//
// longshore-extender replay FILE: answers a recorded call again, with no cluster, and says whether
// the reply is the same. Run by main.cc.
#pragma once

#include <iosfwd>
#include <string>

namespace longshore::extender {

struct ReplayOptions {
  std::string file;
  std::string node;  // empty: nothing is asked about any
  bool json = false;
};

// The exit status. 0: the same reply; 1: another one; 2: it cannot be replayed, or there is nothing
// to say of the node.
int RunReplay(const ReplayOptions& options, std::ostream& out, std::ostream& err);

}  // namespace longshore::extender
