// SPDX-License-Identifier: Apache-2.0
//
// Reading fields of replies by JSON pointer, with an empty value where there is none: a newer or
// older server must not make the tool fail.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "common/api/archive.h"

namespace longshore::cli {

using api::Json;

inline const Json& At(const Json& object, const char* pointer) {
  static const Json kNone;
  const Json::json_pointer place(pointer);
  return object.is_structured() && object.contains(place) ? object.at(place) : kNone;
}
inline std::string Text(const Json& object, const char* pointer) {
  const Json& value = At(object, pointer);
  if (value.is_string()) return value.get<std::string>();
  return value.is_number() || value.is_boolean() ? value.dump() : "";
}
inline int64_t Number(const Json& object, const char* pointer, int64_t otherwise = 0) {
  const Json& value = At(object, pointer);
  return value.is_number() ? value.get<int64_t>() : otherwise;
}
// The items of a list reply, or of any list in it.
inline const Json& Items(const Json& object, const char* pointer = "/items") {
  static const Json kNone = Json::array();
  const Json& value = At(object, pointer);
  return value.is_array() ? value : kNone;
}
// The strings of a list; what is none is passed over.
inline std::vector<std::string> Strings(const Json& object, const char* pointer) {
  std::vector<std::string> strings;
  for (const Json& item : Items(object, pointer)) {
    if (item.is_string()) strings.push_back(item.get<std::string>());
  }
  return strings;
}
// The condition of that type; null: it has none.
inline const Json& Condition(const Json& object, std::string_view type) {
  static const Json kNone;
  for (const Json& condition : Items(object, "/status/conditions")) {
    if (Text(condition, "/type") == type) return condition;
  }
  return kNone;
}

}  // namespace longshore::cli
