// SPDX-License-Identifier: Apache-2.0
#include "controller/api/openapi.h"

#include <gmock/gmock.h>
#include <yaml-cpp/yaml.h>

#include <iterator>
#include <set>
#include <vector>

#include "common/base/strings.h"
#include "controller/api/context.h"

namespace longshore::controller {
namespace {

Json Document() { return *api::ParseJson(kOpenApiDocument); }

// Neither an undocumented route nor a documented one that doesn't exist.
TEST(OpenApiTest, HasExactlyTheRoutesOfTheServer) {
  std::set<std::string> documented, served = {"GET /openapi.json"};
  const Json document = Document();
  for (const auto& [path, methods] : document.at("paths").items()) {
    for (const auto& [method, operation] : methods.items()) {
      std::string upper = method;
      std::transform(upper.begin(), upper.end(), upper.begin(), ::toupper);
      documented.insert(upper + " " + path);
    }
  }
  for (const Route& route : Routes())
    served.insert(std::string(route.method) + " " + route.pattern);
  EXPECT_EQ(documented, served);
}

void CollectReferences(const Json& json, std::set<std::string>& references) {
  if (json.is_object() && json.contains("$ref")) {
    references.insert(json.at("$ref").get<std::string>());
  }
  if (json.is_structured()) {
    for (const auto& item : json.items()) CollectReferences(item.value(), references);
  }
}

TEST(OpenApiTest, EveryReferenceLeadsSomewhere) {
  const Json document = Document();
  std::set<std::string> references;
  CollectReferences(document, references);
  EXPECT_GT(references.size(), 20u);
  for (const std::string& reference : references) {
    ASSERT_EQ(reference.front(), '#');
    EXPECT_TRUE(document.contains(Json::json_pointer(reference.substr(1)))) << reference;
  }
}

TEST(OpenApiTest, EveryPathParameterIsDeclared) {
  const Json document = Document();
  for (const auto& [path, methods] : document.at("paths").items()) {
    for (const auto& [method, operation] : methods.items()) {
      std::set<std::string> declared;
      for (const Json& parameter : operation.value("parameters", Json::array())) {
        const std::string reference = parameter.value("$ref", "");
        const Json& resolved =
            reference.empty() ? parameter : document.at(Json::json_pointer(reference.substr(1)));
        if (resolved.at("in") == "path") declared.insert(resolved.at("name"));
      }
      for (const std::string& name : declared) {
        EXPECT_NE(path.find("{" + name + "}"), std::string::npos) << method << " " << path;
      }
      EXPECT_EQ(declared.size(), static_cast<size_t>(std::count(path.begin(), path.end(), '{')))
          << method << " " << path;
    }
  }
}

// The schemas of specs hold exactly the fields that are read: one changed without the other fails.
struct FieldNames {
  [[maybe_unused]] static constexpr bool kReading = true;
  std::set<std::string> names;
  template <class V>
  void operator()(const char* name, V&) {
    names.insert(name);
  }
};
template <class T>
void ExpectSameFields(const char* schema) {
  FieldNames read;
  T value{};
  Describe(read, value);
  std::set<std::string> documented;
  const Json properties = Document().at("components").at("schemas").at(schema).at("properties");
  for (const auto& item : properties.items()) documented.insert(item.key());
  EXPECT_EQ(documented, read.names) << schema;
}

TEST(OpenApiTest, SchemasHaveTheFieldsThatAreRead) {
  ExpectSameFields<api::ComputeRequestSpec>("ComputeRequestSpec");
  ExpectSameFields<api::ComputeRequestStatus>("ComputeRequestStatus");
  ExpectSameFields<api::PodCounts>("PodCounts");
  ExpectSameFields<api::Scaling>("Scaling");
  ExpectSameFields<api::ScalingSignal>("ScalingSignal");
  ExpectSameFields<api::Threshold>("Threshold");
  ExpectSameFields<api::OperationSpec>("OperationSpec");
  ExpectSameFields<api::OperationStatus>("OperationStatus");
  ExpectSameFields<api::OperationProgress>("Progress");
  ExpectSameFields<api::RestoreTarget>("RestoreTarget");
  ExpectSameFields<api::CopySummary>("CopySummary");
  ExpectSameFields<api::ScalingDecision>("ScalingDecision");
  ExpectSameFields<api::ScalingCandidate>("ScalingCandidate");
  ExpectSameFields<api::ScalingLimit>("ScalingLimit");
  ExpectSameFields<scaling::Explanation>("ScalingEvaluation");
}

// What is not quoted in YAML, and reads as a number or a boolean, is one.
bool SameScalar(const YAML::Node& yaml, const Json& json) {
  const Json plain = Json::parse(yaml.Scalar(), nullptr, /*allow_exceptions=*/false);
  const bool quoted = yaml.Tag() == "!";
  return !quoted && plain.is_primitive() && !plain.is_string() && !plain.is_discarded()
             ? plain == json
             : json.is_string() && json.get<std::string>() == yaml.Scalar();
}

bool Same(const YAML::Node& yaml, const Json& json) {
  if (!yaml.IsDefined()) return json.is_null();
  if (yaml.IsScalar()) return SameScalar(yaml, json);
  if (json.size() != yaml.size()) return false;
  if (yaml.IsSequence()) {
    for (size_t i = 0; i < yaml.size(); ++i) {
      if (!json.is_array() || !Same(yaml[i], json[i])) return false;
    }
    return true;
  }
  for (const auto& entry : yaml) {
    const auto found = json.find(entry.first.Scalar());
    if (found == json.end() || !Same(entry.second, *found)) return false;
  }
  return json.is_object();
}

constexpr const char* kLimits[] = {
    "format",           "pattern",          "enum",          "minimum",      "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "minLength",     "maxLength",    "minItems",
    "maxItems",         "uniqueItems",      "minProperties", "maxProperties"};

// A program that was generated from the one document sends nothing that the other refuses. What
// stands beside a $ref, such as a default, is said of that place.
void ExpectSameLimits(const std::string& path, const YAML::Node& crd, Json api,
                      const Json& document) {
  if (const auto reference = api.find("$ref"); reference != api.end()) {
    Json whole = document.at(Json::json_pointer(reference->get<std::string>().substr(1)));
    api.erase("$ref");
    whole.update(api);
    api = std::move(whole);
  }
  std::vector<const char*> keywords{"type", "nullable", "default", "required"};
  keywords.insert(keywords.end(), std::begin(kLimits), std::end(kLimits));
  for (const char* keyword : keywords) {
    EXPECT_TRUE(Same(crd[keyword], api.value(keyword, Json())))
        << path << ": " << keyword << " is " << api.value(keyword, Json()).dump()
        << " in openapi.json, and in the CRD\n"
        << crd[keyword];
  }
  for (const auto& property : crd["properties"]) {
    const std::string name = property.first.Scalar();
    ASSERT_TRUE(api.at("properties").contains(name)) << path << "." << name;
    ExpectSameLimits(path + "." + name, property.second, api["properties"][name], document);
  }
  if (crd["items"]) ExpectSameLimits(path + "[]", crd["items"], api.at("items"), document);
}

TEST(OpenApiTest, SpecsHaveTheLimitsOfTheirResources) {
  const Json document = Document();
  for (const auto& [plural, schema] : {std::pair("computerequests", "ComputeRequestSpec"),
                                       std::pair("operations", "OperationSpec")}) {
    const YAML::Node crd =
        YAML::LoadFile(LONGSHORE_SOURCE_DIR "/manifests/crds/" + std::string(plural) + ".yaml");
    ExpectSameLimits(schema,
                     crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"],
                     document.at("components").at("schemas").at(schema), document);
  }
}

// A patch may change some fields, and takes them away by null.
TEST(OpenApiTest, PatchHasTheLimitsOfTheSpec) {
  const Json schemas = Document().at("components").at("schemas");
  const Json& spec = schemas.at("ComputeRequestSpec").at("properties");
  const Json& patch = schemas.at("ComputeRequestPatch").at("properties").at("spec");
  for (const auto& [name, field] : patch.at("properties").items()) {
    for (const char* keyword : kLimits) {
      EXPECT_EQ(field.value(keyword, Json()), spec.at(name).value(keyword, Json()))
          << name << ": " << keyword;
    }
    EXPECT_EQ(field.value("$ref", ""), spec.at(name).value("$ref", "")) << name;
  }
}

}  // namespace
}  // namespace longshore::controller
