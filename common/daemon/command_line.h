// SPDX-License-Identifier: Apache-2.0
//
// The options that all daemons have, and how each of them reads its command line: --help and
// --version print and end, anything unusable is one line on stderr. Called by each options.cc.
#pragma once

#include <functional>
#include <string>

#include "common/base/result.h"
#include "common/streams/client.h"

namespace CLI {
class App;
}

namespace longshore::daemon {

enum class Parsed { kRun, kExitSuccess, kExitUsage };

std::string Version();

// A TCP port, of which 0 is any free one.
void AddPort(CLI::App& app, const std::string& option, int& port, const std::string& help);
void AddHealthPort(CLI::App& app, int& port);
// --log-level: sets the level as it is read.
void AddLogLevel(CLI::App& app);
// --controller HOST:PORT, --ca-file and --token-file: what a stream to the leader needs. What
// `stream` holds before are the defaults; without a host there is none.
void AddController(CLI::App& app, streams::ClientOptions& stream);

// `check` looks at what the single options could not say.
Parsed Parse(CLI::App& app, int argc, char** argv, const std::function<Status()>& check = {});

}  // namespace longshore::daemon
