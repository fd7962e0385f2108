// SPDX-License-Identifier: Apache-2.0
//
// One picture of `longshore watch`, from what the API said to lines of text. Pure.
#pragma once

#include <string>
#include <vector>

#include "cli/fields.h"

namespace longshore::cli {

// What was read last. `requests`, `pods` and `operations` are items as listed; `scaling` the
// replies of /v1/requests/NS/NAME/scaling; `events` the newest last.
struct Scene {
  std::string time;     // RFC 3339
  std::string trouble;  // why it is not of now; empty: it is
  Json requests = Json::array(), pods = Json::array(), operations = Json::array();
  Json scaling = Json::array(), events = Json::array();
};

// Columns and rows of a terminal; 0: as wide and as long as it takes.
struct FrameSize {
  size_t columns = 0, rows = 0;
};

// Requests with what limits them, their pods with load beside thresholds and what they work on,
// then the newest events, as many as fit.
std::vector<std::string> RenderFrame(const Scene& scene, FrameSize size);

// An announcement as `longshore events` prints it, in one line.
std::string EventLine(const Json& event);

}  // namespace longshore::cli
