// SPDX-License-Identifier: Apache-2.0
#include "common/api/archive.h"

namespace longshore::api {

Result<Json> ParseJson(std::string_view text) {
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& error) {
    // The library's text quotes the input, which may hold a secret: only the place is passed on.
    return InvalidArgument("malformed JSON at byte " + std::to_string(error.byte));
  }
}

std::string DumpJson(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace longshore::api
