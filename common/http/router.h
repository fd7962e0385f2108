// SPDX-License-Identifier: Apache-2.0
//
// Finds the handler for a method and path. Used by server.cc; plain segments, no expressions.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "common/http/server.h"

namespace longshore::http {

// Undoes percent-encoding. Errors: kInvalidArgument for a broken escape or a NUL.
Result<std::string> UrlDecode(std::string_view text, bool plus_is_space = false);

// Fills path and query from a request target ("/a%20b?x=1", or absolute "http://host/a").
// Errors: kInvalidArgument.
Status ParseTarget(std::string_view target, Request& request);

class Router {
 public:
  // A pattern is literal segments and segments with one {name} that may have text around it
  // ("/v1/pods/{namespace}/{name}:release"). A malformed or repeated one is a programmer's error.
  void Add(const std::string& method, const std::string& pattern, Handler handler);

  struct Match {
    const Handler* handler = nullptr;           // null: see known_path
    bool known_path = false;                    // the path exists with other methods
    std::string allow;                          // those, for the Allow header
    std::map<std::string, std::string> params;  // decoded
  };
  // `target` is the request's as it came, since an encoded slash belongs to its segment. Of several
  // patterns the most specific wins, segment by segment: literal, then the most text around a name.
  Match Find(const std::string& method, std::string_view target) const;

 private:
  struct Segment {
    std::string before, name, after;  // name empty: `before` is the literal
  };
  struct Route {
    std::vector<Segment> segments;
    std::map<std::string, Handler> handlers;  // by method
    std::string pattern;
  };
  static std::vector<Segment> ParsePattern(const std::string& pattern);
  static bool Fits(const Route& route, const std::vector<std::string>& path);
  static bool MoreSpecific(const Route& a, const Route& b);

  std::vector<Route> routes_;
};

}  // namespace longshore::http
