// SPDX-License-Identifier: Apache-2.0
//
// What the command line says to `top`. Apart from top.h, since the daemon's options hold it too.
#pragma once

#include <optional>
#include <string>

namespace longshore::nodeagent::top {

struct TopOptions {
  std::string sort = "cpu";  // a column's name
  bool reverse = false;
  bool containers = false;
  bool once = false;
  bool json = false;
  std::optional<std::string> pod;            // shown in full; see FindPod
  std::string pod_folder = "/var/log/pods";  // where names come from
};

}  // namespace longshore::nodeagent::top
