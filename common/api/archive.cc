// SPDX-License-Identifier: Apache-2.0
#include "common/api/archive.h"

namespace longshore::api {
namespace {

// Deeper than any Kubernetes object; copying and writing recurse, and the stack is finite.
constexpr int kMaxDepth = 512;

bool TooDeep(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '[' || c == '{') {
      if (++depth > kMaxDepth) return true;
    } else if (c == ']' || c == '}') {
      --depth;
    }
  }
  return false;
}

}  // namespace

Result<Json> ParseJson(std::string_view text) {
  if (TooDeep(text)) return InvalidArgument("JSON nested too deeply");
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    // The library's text quotes the input, which may hold a secret: only the place is passed on.
    return InvalidArgument("malformed JSON at byte " + std::to_string(error.byte));
  } catch (const Json::exception&) {
    return InvalidArgument("JSON with a number out of range");  // "1e999" is another exception
  }
}

std::string DumpJson(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace longshore::api
