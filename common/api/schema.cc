// SPDX-License-Identifier: Apache-2.0
#include "common/api/schema.h"

#include <algorithm>
#include <regex>

#include "common/base/clock.h"
#include "common/base/strings.h"

namespace longshore::api {
namespace {

const Json& Member(const Json& object, const char* name) {
  static const Json kNone;
  if (!object.is_object()) return kNone;
  const auto found = object.find(name);
  return found == object.end() ? kNone : *found;
}

std::string TypeOf(const Json& schema) {
  const Json& type = Member(schema, "type");
  return type.is_string() ? type.get<std::string>() : "";
}

// nlohmann compares integers of both kinds as signed ones.
bool InRange(const Json& schema, const Json& value) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX}) return false;
  const auto number = value.get<int64_t>();
  const Json &low = Member(schema, "minimum"), &high = Member(schema, "maximum");
  return (low.is_null() || number >= low.get<int64_t>()) &&
         (high.is_null() || number <= high.get<int64_t>());
}

constexpr size_t kMostProblems = 20;  // that are told

class Checker {
 public:
  Checker(const Json& document, SchemaCheck check)
      : document_(document), numbers_only_(check == SchemaCheck::kNumbers) {}

  void Check(const Json& schema, const Json& value, const std::string& path) {
    if (value.is_null()) return;
    if (const Json& reference = Member(schema, "$ref"); reference.is_string()) {
      const auto& pointer = reference.get_ref<const std::string&>();
      return Check(document_.at(Json::json_pointer(pointer.substr(1))), value, path);
    }
    const std::string type = TypeOf(schema);
    if (type == "object") return CheckObject(schema, value, path);
    if (type == "array") return CheckArray(schema, value, path);
    if (type == "integer") return CheckInteger(schema, value, path);
    if (numbers_only_) return;
    if (type == "string") return CheckString(schema, value, path);
    if (type == "boolean" && !value.is_boolean()) Fail(path, "must be true or false");
  }

  std::vector<std::string> Take() { return std::move(problems_); }

 private:
  void Fail(const std::string& path, const std::string& what) {
    if (problems_.size() < kMostProblems) problems_.push_back(path + ": " + what);
  }

  void CheckInteger(const Json& schema, const Json& value, const std::string& path) {
    if (numbers_only_ && !value.is_number()) return;
    if (!InRange(schema, value)) Fail(path, "must be " + IntegersOf(schema));
  }

  void CheckString(const Json& schema, const Json& value, const std::string& path) {
    if (!value.is_string()) return Fail(path, "must be text: put it in quotes");
    const auto& text = value.get_ref<const std::string&>();
    if (const Json& choices = Member(schema, "enum"); choices.is_array()) {
      if (std::ranges::find(choices, value) != choices.end()) return;
      std::vector<std::string> names;
      for (const Json& choice : choices) names.push_back(choice.get<std::string>());
      return Fail(path, "must be one of " + Join(names, ", "));
    }
    if (const Json& least = Member(schema, "minLength");
        least.is_number() && text.size() < least.get<size_t>()) {
      return Fail(path, "must not be empty");
    }
    if (const Json& most = Member(schema, "maxLength");
        most.is_number() && text.size() > most.get<size_t>()) {
      return Fail(path, "must have at most " + most.dump() + " characters");
    }
    if (const Json& pattern = Member(schema, "pattern"); pattern.is_string()) {
      // No longer than maxLength: std::regex recurses with the length of the text.
      const auto form = pattern.get<std::string>();
      const Json& meaning = Member(schema, "description");
      if (!std::regex_search(text, std::regex(form))) {
        Fail(path,
             "must match " + form + (meaning.is_string() ? ": " + meaning.get<std::string>() : ""));
      }
    }
    if (Member(schema, "format") == "date-time" && !ParseTime(text)) {
      Fail(path, "must be a time such as 2026-01-31T06:00:00Z");
    }
  }

  void CheckArray(const Json& schema, const Json& value, const std::string& path) {
    if (!value.is_array()) {
      if (!numbers_only_) Fail(path, "must be a list");
      return;
    }
    const Json& most = Member(schema, "maxItems");
    if (!numbers_only_ && most.is_number() && value.size() > most.get<size_t>()) {
      Fail(path, "must have at most " + most.dump() + " entries");
    }
    for (size_t i = 0; i < value.size(); ++i) {
      Check(Member(schema, "items"), value[i], path + "[" + std::to_string(i) + "]");
    }
  }

  void CheckObject(const Json& schema, const Json& value, const std::string& path) {
    if (!value.is_object()) {
      if (!numbers_only_) Fail(path, "must be an object with fields");
      return;
    }
    const Json& properties = Member(schema, "properties");
    for (const auto& [name, field] : value.items()) {
      const Json& of_field = Member(properties, name.c_str());
      const std::string field_path = path + "." + name;
      if (!of_field.is_null()) {
        Check(of_field, field, field_path);
      } else if (!numbers_only_ && properties.is_object()) {
        Fail(field_path, "no such field");
      }
    }
    if (numbers_only_) return;
    for (const Json& name : Member(schema, "required")) {
      const auto& text = name.get_ref<const std::string&>();
      if (Member(value, text.c_str()).is_null()) Fail(path + "." + text, "is required");
    }
  }

  const Json& document_;
  const bool numbers_only_;
  std::vector<std::string> problems_;
};

}  // namespace

std::string IntegersOf(const Json& schema) {
  const Json &low = Member(schema, "minimum"), &high = Member(schema, "maximum");
  std::string text = "a whole number";
  if (!low.is_null() && !high.is_null()) return text + " from " + low.dump() + " to " + high.dump();
  if (!low.is_null()) return text + " of at least " + low.dump();
  if (!high.is_null()) return text + " of at most " + high.dump();
  return text;
}

std::vector<std::string> SchemaProblems(const Json& document, const Json& schema, const Json& value,
                                        const std::string& path, SchemaCheck check) {
  Checker checker(document, check);
  checker.Check(schema, value, path);
  return checker.Take();
}

void FillDefaults(const Json& schema, Json& value) {
  if (value.is_array()) {
    for (Json& item : value) FillDefaults(Member(schema, "items"), item);
    return;
  }
  if (!value.is_object()) return;
  for (const auto& [name, field] : Member(schema, "properties").items()) {
    const Json& standard = Member(field, "default");
    if (!standard.is_null() && Member(value, name.c_str()).is_null()) value[name] = standard;
    if (const auto found = value.find(name); found != value.end()) FillDefaults(field, *found);
  }
}

}  // namespace longshore::api
