// SPDX-License-Identifier: Apache-2.0
#include "cli/request_file.h"

#include <yaml-cpp/yaml.h>

#include <set>
#include <vector>

#include "cli/fields.h"
#include "cli/request_crd.h"
#include "common/api/schema.h"
#include "common/base/files.h"
#include "common/base/strings.h"
#include "common/scaling/samples.h"

namespace longshore::cli {
namespace {

using scaling::Signal;

// Quoted scalars are strings; others numbers or booleans where they read as such.
Json FromYaml(const YAML::Node& node) {
  if (node.IsMap()) {
    Json object = Json::object();
    for (const auto& entry : node) object[entry.first.as<std::string>()] = FromYaml(entry.second);
    return object;
  }
  if (node.IsSequence()) {
    Json list = Json::array();
    for (const YAML::Node& item : node) list.push_back(FromYaml(item));
    return list;
  }
  if (!node.IsScalar()) return nullptr;
  const std::string& text = node.Scalar();
  if (node.Tag() == "!") return text;
  if (const auto number = ParseInt(text)) return *number;
  if (text == "true" || text == "false") return text == "true";
  return text;
}

// What the schema says in CEL, of fields together: the same in C++, with the same messages
// (SimulateTest.KnowsEachRuleOfTheSchema holds them to it).
class Rules {
 public:
  explicit Rules(const Json& spec) {
    CheckPods(spec);
    Require(At(spec, "/deadline").is_null() || At(spec, "/dailyDeadline").is_null(),
            "spec.dailyDeadline: is instead of deadline: give one of them");
    const Json& signals = Items(spec, "/scaling/signals");
    std::set<std::string> names;
    for (size_t i = 0; i < signals.size(); ++i) {
      const std::string path = "spec.scaling.signals[" + std::to_string(i) + "]";
      Require(names.insert(Text(signals[i], "/name")).second,
              path + ".name: is there already: one entry a signal");
      CheckSignal(signals[i], path);
    }
  }
  const std::vector<std::string>& broken() const { return broken_; }

 private:
  void Require(bool holds, const std::string& otherwise) {
    if (!holds) broken_.push_back(otherwise);
  }

  void CheckPods(const Json& spec) {
    const int64_t min = Number(spec, "/pods/min"), max = Number(spec, "/pods/max");
    const int64_t initial = Number(spec, "/pods/initial");
    Require(min <= max, "spec.pods.max: must be at least min");
    Require(initial <= max, "spec.pods.initial: must be at most max");
    Require(initial >= min, "spec.pods.initial: must be at least min");
    Require(Number(spec, "/scaling/warmPods") <= max,
            "spec.scaling.warmPods: must be at most pods.max");
  }

  void CheckSignal(const Json& signal, const std::string& path) {
    bool whole = true;
    for (const std::string side : {"/up", "/down"}) {
      const bool percent = !At(signal, (side + "/utilizationPercent").c_str()).is_null();
      const bool value = !At(signal, (side + "/value").c_str()).is_null();
      whole = whole && percent != value;
      Require(percent != value, path + "." + side.substr(1) +
                                    ": exactly one of utilizationPercent and value must be set");
    }
    if (!whole) return;
    const bool percent = !At(signal, "/up/utilizationPercent").is_null();
    CheckForm(*scaling::SignalByName(Text(signal, "/name")), percent, path);
    if (percent != !At(signal, "/down/utilizationPercent").is_null()) {
      return Require(false,
                     path + ".down: must be of the same form (utilizationPercent or value) as up");
    }
    if (percent) {
      return Require(
          Number(signal, "/down/utilizationPercent") < Number(signal, "/up/utilizationPercent"),
          path + ".down.utilizationPercent: must be less than up.utilizationPercent");
    }
    const auto up = ParseQuantityMilli(Text(signal, "/up/value"));
    const auto down = ParseQuantityMilli(Text(signal, "/down/value"));
    Require(!up || !down || *down < *up, path + ".down.value: must be less than up.value");
  }

  void CheckForm(Signal signal, bool percent, const std::string& path) {
    const bool share = scaling::IsTimeShare(signal);
    Require(!percent || share || signal == Signal::kCpu || signal == Signal::kMemory,
            path +
                ".up: needs a value: a utilizationPercent exists for cpu, memory, throttling "
                "and pressure only");
    Require(percent || !share, path + ".up: needs a utilizationPercent: it is a share of the time");
  }

  std::vector<std::string> broken_;
};

// Rules are asked only where all types are right.
Status CheckSpec(const Json& spec) {
  Json schema = RequestSpecSchema();
  schema.erase("required");
  std::vector<std::string> problems = api::SchemaProblems(schema, schema, spec, "spec");
  if (problems.empty()) problems = Rules(spec).broken();
  if (!problems.empty()) return InvalidArgument(Join(problems, "; "));
  return {};
}

Result<Json> ParseDocument(const std::string& text) {
  try {
    return FromYaml(YAML::Load(text));
  } catch (const YAML::Exception& error) {
    return InvalidArgument("line " + std::to_string(error.mark.line + 1) +
                           ": not the YAML of a ComputeRequest");
  }
}

Result<api::ComputeRequestSpec> ReadSpec(const std::string& text) {
  LS_ASSIGN_OR_RETURN(Json document, ParseDocument(text));
  if (const std::string kind = Text(document, "/kind"); !kind.empty() && kind != "ComputeRequest") {
    return InvalidArgument("kind: must be ComputeRequest");
  }
  if (!At(document, "/spec").is_object()) return InvalidArgument("spec: is required");
  Json& spec = document["spec"];
  api::FillDefaults(RequestSpecSchema(), spec);
  LS_RETURN_IF_ERROR(CheckSpec(spec));
  return api::ReadJson<api::ComputeRequestSpec>(spec, "spec");
}

}  // namespace

const Json& RequestSpecSchema() {
  static const Json kSchema =
      FromYaml(YAML::Load(std::string(kRequestCrd)))
          .at("/spec/versions/0/schema/openAPIV3Schema/properties/spec"_json_pointer);
  return kSchema;
}

Result<api::ComputeRequestSpec> ReadRequestFile(const std::string& path) {
  LS_ASSIGN_OR_RETURN(const std::string text, ReadFile(path));
  auto read = ReadSpec(text);
  if (!read) return Annotate(read.error(), path);
  return read;
}

}  // namespace longshore::cli
