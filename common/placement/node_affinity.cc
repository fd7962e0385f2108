// SPDX-License-Identifier: Apache-2.0
#include "common/placement/node_affinity.h"

#include <algorithm>

#include "common/base/strings.h"

namespace longshore::placement {
namespace {

using api::Json;

std::string TextOf(const Json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

std::vector<NodeRequirement> ReadRequirements(const Json& term, const char* key) {
  std::vector<NodeRequirement> requirements;
  const auto list = term.find(key);
  if (list == term.end() || !list->is_array()) return requirements;
  for (const Json& item : *list) {
    if (!item.is_object()) continue;
    NodeRequirement requirement{TextOf(item, "key"), TextOf(item, "operator"), {}};
    if (const auto values = item.find("values"); values != item.end() && values->is_array()) {
      for (const Json& value : *values) {
        if (value.is_string()) requirement.values.push_back(value.get<std::string>());
      }
    }
    requirements.push_back(std::move(requirement));
  }
  return requirements;
}

bool Compares(const NodeRequirement& requirement, const std::string& value, bool greater) {
  if (requirement.values.size() != 1) return false;
  const auto bound = ParseInt(requirement.values[0]);
  const auto actual = ParseInt(value);
  if (!bound.has_value() || !actual.has_value()) return false;
  return greater ? *actual > *bound : *actual < *bound;
}

bool Holds(const NodeRequirement& requirement, const std::string* value) {
  const auto& values = requirement.values;
  const bool listed =
      value != nullptr && std::find(values.begin(), values.end(), *value) != values.end();
  if (requirement.op == "In") return listed;
  if (requirement.op == "NotIn") return !listed;  // an absent label passes, as in Kubernetes
  if (requirement.op == "Exists") return value != nullptr;
  if (requirement.op == "DoesNotExist") return value == nullptr;
  if (requirement.op == "Gt") return value != nullptr && Compares(requirement, *value, true);
  if (requirement.op == "Lt") return value != nullptr && Compares(requirement, *value, false);
  return false;
}

bool Matches(const NodeSelectorTerm& term, const NodeInfo& node) {
  if (term.labels.empty() && term.fields.empty()) return false;
  for (const NodeRequirement& requirement : term.labels) {
    const auto label = node.labels.find(requirement.key);
    if (!Holds(requirement, label == node.labels.end() ? nullptr : &label->second)) return false;
  }
  for (const NodeRequirement& requirement : term.fields) {
    if (requirement.key != "metadata.name" || !Holds(requirement, &node.name)) return false;
  }
  return true;
}

}  // namespace

NodeAffinity ReadNodeAffinity(const Json& required) {
  NodeAffinity affinity;
  if (!required.is_object()) return affinity;
  const auto terms = required.find("nodeSelectorTerms");
  if (terms == required.end() || !terms->is_array()) return affinity;
  for (const Json& term : *terms) {
    if (!term.is_object()) continue;
    affinity.terms.push_back(
        {ReadRequirements(term, "matchExpressions"), ReadRequirements(term, "matchFields")});
  }
  return affinity;
}

NodeAffinity ReadTopologyTerms(const Json& terms) {
  NodeAffinity affinity;
  if (!terms.is_array()) return affinity;
  for (const Json& term : terms) {
    if (!term.is_object()) continue;
    NodeSelectorTerm& read = affinity.terms.emplace_back();
    read.labels = ReadRequirements(term, "matchLabelExpressions");
    for (NodeRequirement& requirement : read.labels) requirement.op = "In";
  }
  return affinity;
}

bool Matches(const NodeAffinity& affinity, const NodeInfo& node) {
  return std::any_of(affinity.terms.begin(), affinity.terms.end(),
                     [&](const NodeSelectorTerm& term) { return Matches(term, node); });
}

}  // namespace longshore::placement
