// SPDX-License-Identifier: Apache-2.0
//
// See url.h; also UrlEncode of client.h.
#include "common/http/url.h"

#include <arpa/inet.h>

#include "common/base/strings.h"
#include "common/http/client.h"

namespace longshore::http {
namespace {

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

// Splits "host:port", "[v6]:port" or "host"; false when it is none of them.
bool SplitAuthority(std::string_view authority, BaseUrl& url) {
  std::string_view port;
  if (authority.starts_with('[')) {
    const size_t end = authority.find(']');
    if (end == std::string_view::npos) return false;
    url.host = authority.substr(1, end - 1);
    port = authority.substr(end + 1);
    if (!port.empty() && !port.starts_with(':')) return false;
  } else {
    const size_t colon = authority.find(':');
    url.host = authority.substr(0, colon);
    if (colon != std::string_view::npos) port = authority.substr(colon);
  }
  url.port = url.tls ? 443 : 80;
  if (!port.empty()) {
    auto number = ParseInt(port.substr(1));
    if (!number || *number < 1 || *number > 65535) return false;
    url.port = static_cast<int>(*number);
  }
  return !url.host.empty() && url.host.find_first_of("@ \t\r\n") == std::string::npos;
}

}  // namespace

Result<BaseUrl> ParseBaseUrl(const std::string& text) {
  BaseUrl url;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    url.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return InvalidArgument("URL \"" + text + "\" starts with neither https:// nor http://");
  }
  const size_t slash = rest.find('/');
  const std::string_view authority = rest.substr(0, slash);
  if (slash != std::string_view::npos) url.prefix = rest.substr(slash);
  while (url.prefix.ends_with('/')) url.prefix.pop_back();
  if (!SplitAuthority(authority, url) || url.prefix.find_first_of("?#") != std::string::npos) {
    return InvalidArgument("URL \"" + text + "\" is not https://HOST[:PORT][/PATH]");
  }
  url.host_header = authority;
  return url;
}

bool IsIpAddress(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

std::string UrlEncode(std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (IsUnreserved(c)) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

}  // namespace longshore::http
