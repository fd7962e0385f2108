// SPDX-License-Identifier: Apache-2.0
//
// One description per struct serves reading and writing: each API struct has a function template
//
//   template <class A> void Describe(A& a, ObjectRef& v) { a("name", v.name); a("namespace", v.ns);
//   }
//
// and ReadJson / WriteJson run it. The reader names the field in its errors ("spec.pods.min:
// expected an integer"); unknown fields are ignored (newer peers); the writer leaves out empty
// text, lists, maps and absent optionals, and always writes numbers and booleans.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "common/base/result.h"

namespace longshore::api {

using Json = nlohmann::json;

// Collects the first error; every later field is still visited but no longer read.
class JsonReader {
 public:
  static constexpr bool kReading = true;
  JsonReader(const Json& json, std::string path) : json_(&json), path_(std::move(path)) {}

  template <class T>
  void operator()(const char* name, T& value) {
    if (error_ || !json_->is_object()) return;
    const auto found = json_->find(name);
    if (found == json_->end() || found->is_null()) return;
    Read(*found, path_.empty() ? name : path_ + "." + name, value);
  }

  const std::optional<Error>& error() const { return error_; }

 private:
  void Fail(const std::string& path, const char* expected) {
    if (!error_) error_ = InvalidArgument(path + ": expected " + expected);
  }
  void Read(const Json& json, const std::string& path, std::string& value) {
    if (!json.is_string()) return Fail(path, "a string");
    value = json.get_ref<const std::string&>();
  }
  void Read(const Json& json, const std::string& path, bool& value) {
    if (!json.is_boolean()) return Fail(path, "true or false");
    value = json.get<bool>();
  }
  void Read(const Json& json, const std::string& path, int64_t& value) {
    if (!json.is_number_integer()) return Fail(path, "an integer");
    if (json.is_number_unsigned() && json.get<uint64_t>() > uint64_t{INT64_MAX}) {
      return Fail(path, "a 64-bit integer");
    }
    value = json.get<int64_t>();
  }
  void Read(const Json& json, const std::string& path, int& value) {
    int64_t wide = 0;
    Read(json, path, wide);
    if (wide < INT32_MIN || wide > INT32_MAX) return Fail(path, "a 32-bit integer");
    value = static_cast<int>(wide);
  }
  void Read(const Json& json, const std::string& path, double& value) {
    if (!json.is_number()) return Fail(path, "a number");
    value = json.get<double>();
  }
  void Read(const Json& json, const std::string&, Json& value) { value = json; }
  template <class T>
  void Read(const Json& json, const std::string& path, std::optional<T>& value) {
    value.emplace();
    Read(json, path, *value);
  }
  template <class T>
  void Read(const Json& json, const std::string& path, std::vector<T>& value) {
    if (!json.is_array()) return Fail(path, "a list");
    value.clear();
    for (size_t i = 0; i < json.size(); ++i) {
      Read(json[i], path + "[" + std::to_string(i) + "]", value.emplace_back());
    }
  }
  template <class T>
  void Read(const Json& json, const std::string& path, std::map<std::string, T>& value) {
    if (!json.is_object()) return Fail(path, "an object");
    value.clear();
    for (const auto& [key, item] : json.items()) Read(item, path + "." + key, value[key]);
  }
  template <class T>
    requires std::is_class_v<T>
  void Read(const Json& json, const std::string& path, T& value) {
    if (!json.is_object()) return Fail(path, "an object");
    JsonReader nested(json, path);
    Describe(nested, value);
    if (nested.error_ && !error_) error_ = nested.error_;
  }

  const Json* json_;
  std::string path_;
  std::optional<Error> error_;
};

class JsonWriter {
 public:
  static constexpr bool kReading = false;

  template <class T>
  void operator()(const char* name, T& value) {
    if (!Empty(value)) json_[name] = Write(value);
  }
  Json Take() { return std::move(json_); }

  template <class T>
  static Json Write(const T& value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_same_v<T, std::string> ||
                  std::is_same_v<T, Json>) {
      return Json(value);
    } else {
      return WriteCompound(value);
    }
  }

 private:
  template <class T>
  static Json WriteCompound(const std::optional<T>& value) {
    return Write(*value);
  }
  template <class T>
  static Json WriteCompound(const std::vector<T>& value) {
    Json list = Json::array();
    for (const T& item : value) list.push_back(Write(item));
    return list;
  }
  template <class T>
  static Json WriteCompound(const std::map<std::string, T>& value) {
    Json object = Json::object();
    for (const auto& [key, item] : value) object[key] = Write(item);
    return object;
  }
  template <class T>
  static Json WriteCompound(const T& value) {
    JsonWriter nested;
    Describe(nested, const_cast<T&>(value));  // the writer only reads; one Describe serves both
    return nested.Take();
  }

  static bool Empty(const std::string& value) { return value.empty(); }
  static bool Empty(const Json& value) { return value.is_null(); }
  template <class T>
  static bool Empty(const std::optional<T>& value) {
    return !value.has_value();
  }
  template <class T>
  static bool Empty(const std::vector<T>& value) {
    return value.empty();
  }
  template <class T>
  static bool Empty(const std::map<std::string, T>& value) {
    return value.empty();
  }
  template <class T>
  static bool Empty(const T& value) {
    if constexpr (std::is_arithmetic_v<T>) {
      return false;
    } else {
      return WriteCompound(value).empty();
    }
  }

  Json json_ = Json::object();
};

// Reads a struct from a JSON object. `path` is put before field names in errors, e.g. "spec".
// Errors: kInvalidArgument, naming the field.
template <class T>
Result<T> ReadJson(const Json& json, std::string path = "") {
  if (!json.is_object()) {
    return InvalidArgument((path.empty() ? "the document" : path) + ": expected an object");
  }
  JsonReader reader(json, std::move(path));
  T value{};
  Describe(reader, value);
  if (reader.error()) return *reader.error();
  return value;
}

template <class T>
Json WriteJson(const T& value) {
  return JsonWriter::Write(value);
}

// Parses text without throwing. Errors: kInvalidArgument with the byte where it went wrong, or for
// more than 512 levels.
Result<Json> ParseJson(std::string_view text);

// Compact text. Never throws: bytes that are not UTF-8 (a tool's output in a message) become
// U+FFFD.
std::string DumpJson(const Json& json);

}  // namespace longshore::api
