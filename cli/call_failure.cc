// SPDX-License-Identifier: Apache-2.0
//
// The client tells its failures apart in words only (common/http/client.cc); cli_test.cc has one of
// each.
#include "cli/call_failure.h"

#include <netdb.h>

#include <string_view>

namespace longshore::cli {
namespace {

struct Known {
  std::string_view words;
  Failure failure;
};
constexpr Known kKnown[] = {
    {": TLS verification of ", Failure::kFinal},
    {": connection refused", Failure::kNotReceived},
    {": no connection within", Failure::kNotReceived},
    {": no TLS handshake within", Failure::kNotReceived},
    {": TLS handshake failed", Failure::kNotReceived},
    {": connection broke", Failure::kUnanswered},
};

}  // namespace

Failure FailureOf(const Error& error) {
  for (const auto& [words, failure] : kKnown) {
    if (error.message.find(words) != std::string::npos) return failure;
  }
  return Failure::kFinal;
}

bool HasAddress(const std::string& host) {
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, nullptr, &found) != 0) return false;
  freeaddrinfo(found);
  return true;
}

}  // namespace longshore::cli
