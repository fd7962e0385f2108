// SPDX-License-Identifier: Apache-2.0
//
// What a call that failed says of the next one. Used by api_client.cc.
#pragma once

#include <string>

#include "common/base/result.h"

namespace longshore::cli {

enum class Failure {
  kFinal,        // the next one would fail as well
  kNotReceived,  // there was nobody to take it
  kUnanswered,   // it may have been received, and done
};

// Of an error of http::Client::Send.
Failure FailureOf(const Error& error);

// Whether the name of a host can be resolved, as addresses always can.
bool HasAddress(const std::string& host);

}  // namespace longshore::cli
