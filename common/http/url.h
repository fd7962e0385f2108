// SPDX-License-Identifier: Apache-2.0
//
// The parts of a base URL, for client.cc.
#pragma once

#include <string>
#include <string_view>

#include "common/base/result.h"

namespace longshore::http {

struct BaseUrl {
  bool tls = false;
  std::string host;    // no brackets around an IPv6 address
  int port = 0;        // 443 or 80 unless given
  std::string prefix;  // path in front of every request's, without a slash at its end
  std::string host_header;
};

// Splits "https://HOST[:PORT][/PREFIX]". Errors: kInvalidArgument naming the URL.
Result<BaseUrl> ParseBaseUrl(const std::string& url);

bool IsIpAddress(const std::string& host);

}  // namespace longshore::http
