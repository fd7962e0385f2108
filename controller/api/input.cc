// SPDX-License-Identifier: Apache-2.0
#include "controller/api/input.h"

#include <algorithm>

#include "common/api/schema.h"
#include "common/base/strings.h"
#include "controller/api/openapi.h"

namespace longshore::controller {
namespace {

bool LowerAlnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool IsLabel(std::string_view text) {
  return !text.empty() && LowerAlnum(text.front()) && LowerAlnum(text.back()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return LowerAlnum(c) || c == '-'; });
}

// Texts of callers are quoted back only when they are short and printable.
std::string Quoted(std::string_view text) {
  const bool plain = text.size() <= 80 && std::all_of(text.begin(), text.end(), [](char c) {
                       return c >= 0x20 && c < 0x7f && c != '"';
                     });
  return plain ? "\"" + std::string(text) + "\" " : "";
}

}  // namespace

Result<Json> ParseBody(const http::Request& request, std::initializer_list<const char*> fields) {
  const std::string type = ToLower(request.Header("content-type"));
  if (!type.empty() && !type.starts_with("application/json") &&
      !type.starts_with("application/merge-patch+json")) {
    return InvalidArgument("content-type: send application/json");
  }
  if (Trim(request.body).empty()) {
    if (fields.size() == 0) return Json::object();
    return InvalidArgument("the body is empty: send a JSON object with " +
                           Join({fields.begin(), fields.end()}, ", "));
  }
  LS_ASSIGN_OR_RETURN(Json body, api::ParseJson(request.body));
  if (!body.is_object()) return InvalidArgument("the body: expected a JSON object");
  for (const auto& [key, value] : body.items()) {
    if (std::none_of(fields.begin(), fields.end(), [&](const char* f) { return key == f; })) {
      return InvalidArgument(key.substr(0, 80) + ": no such field");
    }
  }
  return body;
}

Status CheckQuery(const http::Request& request, std::initializer_list<const char*> parameters) {
  for (const auto& [name, value] : request.query) {
    if (std::none_of(parameters.begin(), parameters.end(),
                     [&](const char* p) { return name == p; })) {
      return InvalidArgument("query parameter " + Quoted(name) + "is not known here; known: " +
                             Join({parameters.begin(), parameters.end()}, ", "));
    }
    // Which of them would count, nobody could tell.
    if (request.query.count(name) > 1) {
      return InvalidArgument("query parameter " + name + ": is given more than once; give it once");
    }
  }
  return {};
}

Status CheckNumbers(const Json& spec, const char* schema) {
  static const Json kDocument = *api::ParseJson(kOpenApiDocument);
  const Json& schemas = kDocument.at("components").at("schemas");
  const auto problems =
      api::SchemaProblems(kDocument, schemas.at(schema), spec, "spec", api::SchemaCheck::kNumbers);
  if (!problems.empty()) return InvalidArgument(Join(problems, ", "));
  return {};
}

Result<std::string> RequiredString(const Json& body, const char* field) {
  const auto found = body.find(field);
  if (found == body.end() || found->is_null()) {
    return InvalidArgument(std::string(field) + ": is required");
  }
  if (!found->is_string()) return InvalidArgument(std::string(field) + ": expected a string");
  return found->get<std::string>();
}

Status CheckNamespace(const std::string& field, const std::string& value) {
  if (value.empty()) return InvalidArgument(field + ": is required");
  if (value.size() > 63) return InvalidArgument(field + ": longer than 63 characters");
  if (!IsLabel(value)) {
    return InvalidArgument(field + ": " + Quoted(value) +
                           "is not a namespace: use a-z, 0-9 and '-', beginning and ending with a "
                           "letter or digit");
  }
  return {};
}

Status CheckName(const std::string& field, const std::string& value) {
  if (value.empty()) return InvalidArgument(field + ": is required");
  if (value.size() > 253) return InvalidArgument(field + ": longer than 253 characters");
  const std::vector<std::string> labels = Split(value, '.');
  if (!std::all_of(labels.begin(), labels.end(), IsLabel)) {
    return InvalidArgument(field + ": " + Quoted(value) +
                           "is not a name: use a-z, 0-9, '-' and '.', beginning and ending with a "
                           "letter or digit");
  }
  return {};
}

Result<ObjectName> PathName(const http::Request& request, const char* name_parameter) {
  const auto value = [&](const char* parameter) {
    const auto found = request.path_params.find(parameter);
    return found == request.path_params.end() ? std::string() : found->second;
  };
  ObjectName object{value("namespace"), value(name_parameter)};
  LS_RETURN_IF_ERROR(CheckNamespace("namespace in the path", object.ns));
  LS_RETURN_IF_ERROR(CheckName(std::string(name_parameter) + " in the path", object.name));
  return object;
}

Result<int64_t> CheckRange(const std::string& field, int64_t value, int64_t low, int64_t high) {
  if (value < low || value > high) {
    return InvalidArgument(field + ": must be from " + std::to_string(low) + " to " +
                           std::to_string(high));
  }
  return value;
}

Result<int64_t> QueryInt(const http::Request& request, const std::string& name, int64_t otherwise,
                         int64_t low, int64_t high) {
  const std::string text = request.Query(name);
  if (text.empty()) return otherwise;
  const Result<int64_t> value = ParseInt(text);
  if (!value) return InvalidArgument("query parameter " + name + ": expected a whole number");
  return CheckRange("query parameter " + name, *value, low, high);
}

}  // namespace longshore::controller
