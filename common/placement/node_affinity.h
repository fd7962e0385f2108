// SPDX-License-Identifier: Apache-2.0
//
// The node affinity of a PersistentVolume: which nodes may use it; and of a StorageClass, where
// volumes may be made. Terms are ORed, the requirements inside a term are ANDed (Kubernetes API,
// NodeSelector). Used by the snapshot.
#pragma once

#include <string>
#include <vector>

#include "common/api/archive.h"
#include "common/placement/location.h"

namespace longshore::placement {

struct NodeRequirement {
  std::string key;
  std::string op;  // In, NotIn, Exists, DoesNotExist, Gt, Lt
  std::vector<std::string> values;
};

struct NodeSelectorTerm {
  std::vector<NodeRequirement> labels;  // matchExpressions
  std::vector<NodeRequirement> fields;  // matchFields: metadata.name is the only one there is
};

struct NodeAffinity {
  std::vector<NodeSelectorTerm> terms;
  bool empty() const { return terms.empty(); }
};

// From spec.nodeAffinity.required of a volume; what is missing or malformed is left out.
NodeAffinity ReadNodeAffinity(const api::Json& required);
// From allowedTopologies of a StorageClass, whose terms know In only and call it nothing.
NodeAffinity ReadTopologyTerms(const api::Json& terms);
// A term without requirements matches nothing, as in Kubernetes; so does an unknown operator.
bool Matches(const NodeAffinity& affinity, const NodeInfo& node);

}  // namespace longshore::placement
