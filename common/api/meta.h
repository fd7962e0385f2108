// SPDX-License-Identifier: Apache-2.0
//
// What all our API objects share: metadata, conditions, references, and the label and annotation
// keys. Wire names stand here and in types.h only.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/api/archive.h"

namespace longshore::api {

inline constexpr char kGroup[] = "longshore.dev";
inline constexpr char kVersion[] = "v1alpha1";
inline constexpr char kApiVersion[] = "longshore.dev/v1alpha1";

// Labels on Pods and BackupPods; values are names or UIDs of ours, never user data.
inline constexpr char kLabelManagedBy[] = "app.kubernetes.io/managed-by";  // = "longshore"
inline constexpr char kLabelRequest[] = "longshore.dev/request";           // ComputeRequest's name
inline constexpr char kLabelRequestUid[] = "longshore.dev/request-uid";
inline constexpr char kLabelSource[] = "longshore.dev/source";  // BackupSource's name
inline constexpr char kLabelSlot[] = "longshore.dev/slot";
inline constexpr char kLabelAttempt[] = "longshore.dev/attempt";
inline constexpr char kLabelPurpose[] = "longshore.dev/purpose";
// Transitions of the Lease under which the leader led that made the object, or labelled the Pod
// last. The API server refuses smaller ones (manifests/base/controller/term.yaml).
inline constexpr char kLabelTerm[] = "longshore.dev/term";
// Annotation on what the storage manager API creates: the user it was created for. Nobody else may
// set it (manifests/base/operations-policy.yaml).
inline constexpr char kAnnotationCreatedBy[] = "longshore.dev/created-by";
// Annotation on Pods for the extender: namespace of the BackupSource (its name is the label above).
inline constexpr char kAnnotationSourceNamespace[] = "longshore.dev/source-namespace";
// Node label for the rack; zone and region are the well-known topology.kubernetes.io ones.
// "Prefer": the pod's source requires nearness, but for this pod it is preferred only.
inline constexpr char kAnnotationPlacementMode[] = "longshore.dev/placement-mode";
inline constexpr char kPrefer[] = "Prefer";
// PodPolicy's spec.maxPodsPerNode, for the extender.
inline constexpr char kAnnotationMaxPodsPerNode[] = "longshore.dev/max-pods-per-node";

inline constexpr char kLabelRack[] = "topology.longshore.dev/rack";
inline constexpr char kLabelZone[] = "topology.kubernetes.io/zone";
inline constexpr char kLabelRegion[] = "topology.kubernetes.io/region";
// The extended resource that marks a pod as ours for kube-scheduler (ignoredByScheduler).
inline constexpr char kMarkerResource[] = "longshore.dev/backup-pod";
inline constexpr char kFinalizer[] = "longshore.dev/release-pods";
inline constexpr char kSchedulerName[] = "longshore-scheduler";
inline constexpr char kPriorityClass[] = "longshore-backup";
inline constexpr char kSystemNamespace[] = "longshore-system";

struct OwnerReference {
  std::string api_version, kind, name, uid;
  bool controller = false;
  bool block_owner_deletion = false;
};
template <class A>
void Describe(A& a, OwnerReference& v) {
  a("apiVersion", v.api_version);
  a("kind", v.kind);
  a("name", v.name);
  a("uid", v.uid);
  a("controller", v.controller);
  a("blockOwnerDeletion", v.block_owner_deletion);
}

struct ObjectMeta {
  std::string name, ns, uid, resource_version;
  std::string creation_timestamp;  // RFC 3339
  std::string deletion_timestamp;  // empty unless being deleted
  int64_t generation = 0;
  std::map<std::string, std::string> labels, annotations;
  std::vector<std::string> finalizers;
  std::vector<OwnerReference> owner_references;

  std::string Key() const { return ns.empty() ? name : ns + "/" + name; }
  bool deleting() const { return !deletion_timestamp.empty(); }
};
template <class A>
void Describe(A& a, ObjectMeta& v) {
  a("name", v.name);
  a("namespace", v.ns);
  a("uid", v.uid);
  a("resourceVersion", v.resource_version);
  a("creationTimestamp", v.creation_timestamp);
  a("deletionTimestamp", v.deletion_timestamp);
  if (A::kReading || v.generation != 0) a("generation", v.generation);
  a("labels", v.labels);
  a("annotations", v.annotations);
  a("finalizers", v.finalizers);
  a("ownerReferences", v.owner_references);
}

struct Condition {
  std::string type;
  std::string status;  // "True", "False", "Unknown"
  std::string reason;  // CamelCase, never empty
  std::string message;
  std::string last_transition_time;
  int64_t observed_generation = 0;

  bool operator==(const Condition&) const = default;
};
template <class A>
void Describe(A& a, Condition& v) {
  a("type", v.type);
  a("status", v.status);
  a("reason", v.reason);
  a("message", v.message);
  a("lastTransitionTime", v.last_transition_time);
  a("observedGeneration", v.observed_generation);
}

// Sets or adds the condition of that type; lastTransitionTime moves only when status flips.
// Returns whether anything but observedGeneration changed.
bool SetCondition(std::vector<Condition>& conditions, const Condition& wanted,
                  const std::string& now);
const Condition* FindCondition(const std::vector<Condition>& conditions, const std::string& type);

struct NameRef {
  std::string name;
};
template <class A>
void Describe(A& a, NameRef& v) {
  a("name", v.name);
}

struct NamespacedRef {
  std::string name;
  std::string ns;  // empty: the namespace of the object that refers
};
template <class A>
void Describe(A& a, NamespacedRef& v) {
  a("name", v.name);
  a("namespace", v.ns);
}

// A key in a ConfigMap or Secret.
struct KeyRef {
  std::string name;
  std::string key;
};
template <class A>
void Describe(A& a, KeyRef& v) {
  a("name", v.name);
  a("key", v.key);
}

// A whole object of ours: metadata, spec, status.
template <class Spec, class ObjStatus>
struct Object {
  std::string kind;
  ObjectMeta metadata;
  Spec spec;
  ObjStatus status;
};
template <class A, class Spec, class ObjStatus>
void Describe(A& a, Object<Spec, ObjStatus>& v) {
  if constexpr (!A::kReading) {
    std::string version = kApiVersion;
    a("apiVersion", version);
  }
  a("kind", v.kind);
  a("metadata", v.metadata);
  a("spec", v.spec);
  a("status", v.status);
}

// The kernel killed a backup pod for memory: the one of the largest limit that was too little.
struct OutOfMemory {
  std::string pod;
  std::string memory_limit;  // that it had, a quantity
  std::string time;          // RFC 3339: when we saw it

  bool operator==(const OutOfMemory&) const = default;
};
template <class A>
void Describe(A& a, OutOfMemory& v) {
  a("pod", v.pod);
  a("memoryLimit", v.memory_limit);
  a("time", v.time);
}

}  // namespace longshore::api
