// SPDX-License-Identifier: Apache-2.0
//
// See router.h.
#include "common/http/router.h"

#include "common/base/strings.h"

namespace longshore::http {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// The path of a target: without an absolute form's scheme and host, and without the query.
std::string_view PathOf(std::string_view target) {
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!target.starts_with(scheme)) continue;
    const size_t slash = target.find('/', scheme.size());
    target = slash == std::string_view::npos ? "/" : target.substr(slash);
  }
  return target.substr(0, target.find('?'));
}

}  // namespace

Result<std::string> UrlDecode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '+' && plus_is_space) c = ' ';
    if (c == '%') {
      const int high = i + 2 < text.size() ? HexDigit(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
      if (high < 0 || low < 0) return InvalidArgument("broken percent-encoding");
      c = static_cast<char>(high * 16 + low);
      i += 2;
    }
    if (c == '\0') return InvalidArgument("NUL in a path or query");
    out += c;
  }
  return out;
}

Status ParseTarget(std::string_view target, Request& request) {
  const std::string_view path = PathOf(target);
  if (!path.starts_with('/')) return InvalidArgument("the request target is not a path");
  LS_ASSIGN_OR_RETURN(request.path, UrlDecode(path));
  const size_t question = target.find('?');
  if (question == std::string_view::npos) return {};
  for (const std::string& pair : Split(target.substr(question + 1), '&')) {
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    LS_ASSIGN_OR_RETURN(std::string name, UrlDecode(pair.substr(0, equals), true));
    std::string value;
    if (equals != std::string::npos) {
      LS_ASSIGN_OR_RETURN(value, UrlDecode(pair.substr(equals + 1), true));
    }
    request.query.emplace(std::move(name), std::move(value));
  }
  return {};
}

std::vector<Router::Segment> Router::ParsePattern(const std::string& pattern) {
  LS_CHECK(pattern.starts_with('/'));
  std::vector<Segment> segments;
  for (const std::string& text : Split(pattern.substr(1), '/')) {
    const size_t open = text.find('{');
    if (open == std::string::npos) {
      segments.push_back({text, "", ""});
      continue;
    }
    const size_t close = text.find('}', open);
    LS_CHECK(close != std::string::npos && close > open + 1);
    segments.push_back(
        {text.substr(0, open), text.substr(open + 1, close - open - 1), text.substr(close + 1)});
    LS_CHECK(segments.back().after.find('{') == std::string::npos);
  }
  return segments;
}

void Router::Add(const std::string& method, const std::string& pattern, Handler handler) {
  for (Route& route : routes_) {
    if (route.pattern != pattern) continue;
    LS_CHECK(route.handlers.emplace(method, std::move(handler)).second);
    return;
  }
  Route route{ParsePattern(pattern), {}, pattern};
  route.handlers.emplace(method, std::move(handler));
  routes_.push_back(std::move(route));
}

bool Router::Fits(const Route& route, const std::vector<std::string>& path) {
  if (route.segments.size() != path.size()) return false;
  for (size_t i = 0; i < path.size(); ++i) {
    const Segment& segment = route.segments[i];
    const std::string& text = path[i];
    if (segment.name.empty()) {
      if (text != segment.before) return false;
    } else if (text.size() <= segment.before.size() + segment.after.size() ||
               !text.starts_with(segment.before) || !text.ends_with(segment.after)) {
      return false;
    }
  }
  return true;
}

bool Router::MoreSpecific(const Route& a, const Route& b) {
  for (size_t i = 0; i < a.segments.size(); ++i) {
    const Segment &left = a.segments[i], &right = b.segments[i];
    if (left.name.empty() != right.name.empty()) return left.name.empty();
    const size_t left_text = left.before.size() + left.after.size();
    const size_t right_text = right.before.size() + right.after.size();
    if (left_text != right_text) return left_text > right_text;
  }
  return false;
}

Router::Match Router::Find(const std::string& method, std::string_view target) const {
  Match match;
  const std::string_view raw = PathOf(target);
  if (!raw.starts_with('/')) return match;
  std::vector<std::string> path;
  for (const std::string& segment : Split(raw.substr(1), '/')) {
    auto decoded = UrlDecode(segment);
    if (!decoded) return match;
    path.push_back(*std::move(decoded));
  }
  const Route* best = nullptr;
  for (const Route& route : routes_) {
    if (Fits(route, path) && (best == nullptr || MoreSpecific(route, *best))) best = &route;
  }
  if (best == nullptr) return match;
  match.known_path = true;
  for (const auto& [name, handler] : best->handlers) {
    match.allow += (match.allow.empty() ? "" : ", ") + name;
  }
  auto found = best->handlers.find(method);
  if (found == best->handlers.end() && method == "HEAD") found = best->handlers.find("GET");
  if (found == best->handlers.end()) return match;
  match.handler = &found->second;
  for (size_t i = 0; i < path.size(); ++i) {
    const Segment& segment = best->segments[i];
    if (segment.name.empty()) continue;
    match.params[segment.name] = path[i].substr(
        segment.before.size(), path[i].size() - segment.before.size() - segment.after.size());
  }
  return match;
}

}  // namespace longshore::http
