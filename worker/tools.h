// SPDX-License-Identifier: Apache-2.0
//
// The tools that an image must bring for its kind of source, proved by running them. Called once,
// before the worker says hello.
#pragma once

#include <map>
#include <string>

#include "worker/process.h"

namespace longshore::worker {

// Tool to version, e.g. {"pg_dump": "17.2", "restic": "0.18.0"}. Errors: kInvalidArgument for an
// unknown kind; kFailedPrecondition naming the tool that is missing, fails or is too old.
Result<std::map<std::string, std::string>> ProveTools(Reaper& reaper, const std::string& kind,
                                                      const std::string& scratch);

// The first thing in a --version text that looks like a version, e.g. "15.20"; empty: none.
std::string FindVersion(const std::string& text);

}  // namespace longshore::worker
