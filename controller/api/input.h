// SPDX-License-Identifier: Apache-2.0
//
// Reading what callers send, strictly: unknown fields and query parameters, wrong types, and names
// that Kubernetes would not take are refused with a message that names the field. Names end up in
// API paths, so every one is checked here before it is used.
#pragma once

#include <initializer_list>
#include <set>
#include <string>

#include "common/api/archive.h"
#include "common/http/server.h"

namespace longshore::controller {

using api::Json;

// Walks a struct's Describe beside the JSON and finds the first field that the struct doesn't have.
class UnknownFieldFinder {
 public:
  static constexpr bool kReading = true;
  UnknownFieldFinder(const Json& json, std::string path) : json_(json), path_(std::move(path)) {}

  template <class T>
  void operator()(const char* name, T& value) {
    known_.insert(name);
    if (!json_.is_object()) return;
    const auto found = json_.find(name);
    if (found != json_.end()) Visit(*found, path_.empty() ? name : path_ + "." + name, value);
  }

  // The path of the unknown field, or empty.
  std::string Find() const {
    if (!nested_.empty() || !json_.is_object()) return nested_;
    for (const auto& [key, value] : json_.items()) {
      if (!known_.contains(key)) return path_.empty() ? key : path_ + "." + key;
    }
    return "";
  }

 private:
  void Visit(const Json&, const std::string&, std::string&) {}
  void Visit(const Json&, const std::string&, Json&) {}
  template <class T>
    requires std::is_arithmetic_v<T>
  void Visit(const Json&, const std::string&, T&) {}
  template <class T>
  void Visit(const Json& json, const std::string& path, std::optional<T>&) {
    T item{};
    Visit(json, path, item);
  }
  template <class T>
  void Visit(const Json& json, const std::string& path, std::vector<T>&) {
    for (size_t i = 0; json.is_array() && i < json.size(); ++i) {
      T item{};
      Visit(json[i], path + "[" + std::to_string(i) + "]", item);
    }
  }
  template <class T>
  void Visit(const Json& json, const std::string& path, std::map<std::string, T>&) {
    if (!json.is_object()) return;
    for (const auto& [key, value] : json.items()) {
      T item{};
      Visit(value, path + "." + key, item);
    }
  }
  template <class T>
    requires std::is_class_v<T>
  void Visit(const Json& json, const std::string& path, T& value) {
    UnknownFieldFinder finder(json, path);
    Describe(finder, value);
    if (nested_.empty()) nested_ = finder.Find();
  }

  const Json& json_;
  const std::string path_;
  std::set<std::string> known_;
  std::string nested_;  // the first one found further down
};

// ReadJson that also refuses fields the struct doesn't have.
template <class T>
Result<T> ReadStrict(const Json& json, const std::string& path) {
  LS_ASSIGN_OR_RETURN(T value, api::ReadJson<T>(json, path));
  T scratch{};
  UnknownFieldFinder finder(json, path);
  Describe(finder, scratch);
  if (const std::string unknown = finder.Find(); !unknown.empty()) {
    return InvalidArgument(unknown + ": no such field");
  }
  return value;
}

// The body as a JSON object with no other fields than these. Errors: kInvalidArgument.
Result<Json> ParseBody(const http::Request& request, std::initializer_list<const char*> fields);

// Refuses query parameters that the route doesn't have, and those that are there twice.
Status CheckQuery(const http::Request& request, std::initializer_list<const char*> parameters);

// Refuses numbers that are out of the range of their field, all at once, by a schema of the API's
// description ("ComputeRequestSpec"). Before ReadStrict, which knows only what fits into 64 bits.
Status CheckNumbers(const Json& spec, const char* schema);

// A field that must be there and be a string.
Result<std::string> RequiredString(const Json& body, const char* field);

// RFC 1123 label (namespaces, at most 63) and subdomain (names, at most 253).
Status CheckNamespace(const std::string& field, const std::string& value);
Status CheckName(const std::string& field, const std::string& value);

// {namespace} and {name} of the path, checked.
struct ObjectName {
  std::string ns, name;
};
Result<ObjectName> PathName(const http::Request& request, const char* name_parameter = "name");

// An integer query parameter or body field in a range.
Result<int64_t> CheckRange(const std::string& field, int64_t value, int64_t low, int64_t high);
Result<int64_t> QueryInt(const http::Request& request, const std::string& name, int64_t otherwise,
                         int64_t low, int64_t high);

}  // namespace longshore::controller
