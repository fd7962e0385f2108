// SPDX-License-Identifier: Apache-2.0
//
// What is backed up, with what and to where: BackupSource, SourceImage, PodPolicy and
// BackupRepository. The schemas in manifests/crds say the same with validation; a test compares.
#pragma once

#include <algorithm>

#include "common/api/meta.h"

namespace longshore::api {

inline constexpr char kKindPostgresql[] = "postgresql";
inline constexpr char kKindFilesystem[] = "filesystem";

// How to reach a PostgreSQL server. Logins come from secrets with keys `username` and `password`.
struct PostgresqlAccess {
  std::string host;  // DNS name; must match the server's certificate
  int port = 5432;
  std::string maintenance_database = "postgres";
  KeyRef ca_ref;  // ConfigMap with the CA certificate (PEM); the connection is always verify-full
};
template <class A>
void Describe(A& a, PostgresqlAccess& v) {
  a("host", v.host);
  a("port", v.port);
  a("maintenanceDatabase", v.maintenance_database);
  a("caRef", v.ca_ref);
}

struct FilesystemAccess {
  std::string persistent_volume_claim;  // mounted read-only at /source for backup
};
template <class A>
void Describe(A& a, FilesystemAccess& v) {
  a("persistentVolumeClaim", v.persistent_volume_claim);
}

// What owns the pods of a source, directly or through the objects that it makes for them.
struct LocationOwner {
  std::string kind, name;  // "StatefulSet", "Deployment", or a kind of a database's operator
};
template <class A>
void Describe(A& a, LocationOwner& v) {
  a("kind", v.kind);
  a("name", v.name);
}

// Where the data is; the resolver tries what is set in this order, first hit wins.
struct SourceLocation {
  std::string ns;                                 // of pod, service and claim; empty: the source's
  std::string node_name;                          // explicit
  std::map<std::string, std::string> pod_labels;  // live pod (e.g. the leader's role label)
  LocationOwner owner;                            // its pods; the leader's, where labels tell
  std::string service;                            // Service -> EndpointSlice -> node
  std::string persistent_volume_claim;            // PVC -> PV -> node affinity
  std::string rack, zone, region;                 // explicit; those that are set belong together
  // Of ready pods that hold the same data without leading; asked before pod_labels, if
  // placement.replicas says so.
  std::map<std::string, std::string> standby_pod_labels;
  bool external = false;  // outside of the cluster, and near none of its zones
};
template <class A>
void Describe(A& a, SourceLocation& v) {
  a("namespace", v.ns);
  a("nodeName", v.node_name);
  a("podLabels", v.pod_labels);
  a("standbyPodLabels", v.standby_pod_labels);
  a("owner", v.owner);
  a("service", v.service);
  a("persistentVolumeClaim", v.persistent_volume_claim);
  a("rack", v.rack);
  a("zone", v.zone);
  a("region", v.region);
  a("external", v.external);
}

// How hard nearness is wanted. mode: "Prefer" (default) or "Require"; tier: "Node", "Rack", "Zone".
struct SourcePlacement {
  std::string mode = "Prefer";
  std::string tier = "Node";
  // A pod that finds no node for so long is placed as if mode were Prefer; empty: never.
  std::optional<int64_t> require_timeout_seconds;
  // Beside which replicas: "LeaderOnly" (default) or "PreferStandby", the leader while there is
  // none.
  std::string replicas = "LeaderOnly";
  // A node that holds the data and is busier is no better than another in its zone; 0: it never is;
  // empty: it always is.
  std::optional<int> avoid_node_above_percent;
};
template <class A>
void Describe(A& a, SourcePlacement& v) {
  a("mode", v.mode);
  a("tier", v.tier);
  a("requireTimeoutSeconds", v.require_timeout_seconds);
  a("replicas", v.replicas);
  a("avoidNodeAbovePercent", v.avoid_node_above_percent);
}

struct BackupSourceSpec {
  std::string kind;     // matches SourceImage.spec.kind
  std::string version;  // server version, "17" or "17.2"; empty: learnt by the check
  std::optional<PostgresqlAccess> postgresql;
  std::optional<FilesystemAccess> filesystem;
  std::vector<std::string> parts;   // databases, or directories below the volume's root
  NameRef credentials_ref;          // for backup; Secret in the source's namespace
  NameRef restore_credentials_ref;  // for restore; another account
  SourceLocation location;
  SourcePlacement placement;
  int max_concurrent = 4;                       // parts copied at once
  std::vector<std::string> allowed_namespaces;  // besides its own
};
template <class A>
void Describe(A& a, BackupSourceSpec& v) {
  a("kind", v.kind);
  a("version", v.version);
  a("postgresql", v.postgresql);
  a("filesystem", v.filesystem);
  a("parts", v.parts);
  a("credentialsRef", v.credentials_ref);
  a("restoreCredentialsRef", v.restore_credentials_ref);
  a("location", v.location);
  a("placement", v.placement);
  a("maxConcurrent", v.max_concurrent);
  a("allowedNamespaces", v.allowed_namespaces);
}

// OutOfMemory of all requests for a source that have the purpose.
struct OutOfMemoryByPurpose {
  std::string purpose;  // ComputeRequestSpec.purpose
  OutOfMemory kill;

  bool operator==(const OutOfMemoryByPurpose&) const = default;
};
template <class A>
void Describe(A& a, OutOfMemoryByPurpose& v) {
  a("purpose", v.purpose);
  Describe(a, v.kill);
}

struct BackupSourceStatus {
  int64_t observed_generation = 0;
  std::string server_version;  // as the last check saw it
  std::vector<OutOfMemoryByPurpose> out_of_memory;
  std::vector<Condition> conditions;  // SourceReady

  bool operator==(const BackupSourceStatus&) const = default;
};
template <class A>
void Describe(A& a, BackupSourceStatus& v) {
  a("observedGeneration", v.observed_generation);
  a("serverVersion", v.server_version);
  a("outOfMemory", v.out_of_memory);
  a("conditions", v.conditions);
}
using BackupSource = Object<BackupSourceSpec, BackupSourceStatus>;

// Whether requests of the namespace may use the source.
inline bool Admits(const BackupSource& source, const std::string& ns) {
  const auto& allowed = source.spec.allowed_namespaces;
  return source.metadata.ns == ns || std::find(allowed.begin(), allowed.end(), ns) != allowed.end();
}

struct ResourceRequirements {
  std::map<std::string, std::string> requests, limits;  // quantities
};
template <class A>
void Describe(A& a, ResourceRequirements& v) {
  a("requests", v.requests);
  a("limits", v.limits);
}

// Inclusive range of server versions by leading numbers: {"14", "17"} holds 17.2. Empty: no bound.
struct VersionRange {
  std::string min, max;
};
template <class A>
void Describe(A& a, VersionRange& v) {
  a("min", v.min);
  a("max", v.max);
}

struct SourceImageSpec {
  std::string kind;
  VersionRange versions;
  std::vector<std::string> operations;  // "Backup", "Restore", "Verify", "Check"
  std::string image;                    // by digest
  std::string protocol = "Worker";      // brings our worker; others later
  ResourceRequirements resources;
};
template <class A>
void Describe(A& a, SourceImageSpec& v) {
  a("kind", v.kind);
  a("versions", v.versions);
  a("operations", v.operations);
  a("image", v.image);
  a("protocol", v.protocol);
  a("resources", v.resources);
}
struct EmptyStatus {};
template <class A>
void Describe(A&, EmptyStatus&) {}
using SourceImage = Object<SourceImageSpec, EmptyStatus>;

struct Toleration {
  std::string key, op, value, effect;
};
template <class A>
void Describe(A& a, Toleration& v) {
  a("key", v.key);
  a("operator", v.op);
  a("value", v.value);
  a("effect", v.effect);
}

// After which an operation is ended, whatever it waits for. 0: never.
struct OperationLimits {
  int no_progress_seconds = 3600;  // neither phase, bytes nor items have changed
  int snapshot_seconds = 0;        // it holds a snapshot of the database
};
template <class A>
void Describe(A& a, OperationLimits& v) {
  a("noProgressSeconds", v.no_progress_seconds);
  a("snapshotSeconds", v.snapshot_seconds);
}

struct PodPolicySpec {
  std::string pathway = "Relay";  // the pod dials the controller, which relays operations
  NameRef repository_ref;
  std::string service_account_name;  // of the backup pods; has no rights in the cluster
  std::string priority_class_name = kPriorityClass;
  ResourceRequirements resources;  // overrides the image's, field by field
  std::vector<Toleration> tolerations;
  int64_t run_as_user = 65532;
  int64_t run_as_group = 65532;
  std::string scratch_size_limit = "1Gi";  // emptyDir for caches and temporary files
  int64_t termination_grace_period_seconds = 300;
  OperationLimits operation_limits;
  std::optional<int> max_pods_per_node;  // backup pods of whatever request; empty: as many as fit
  // Of a node's allocatable CPU and memory: what steering leaves free where it can. 0 to 50.
  int node_headroom_percent = 5;
  std::string max_memory;  // quantity: up to which a limit that was too little is doubled
  // Backup pods of all requests of the namespace; the least of its policies holds. Empty: any
  // number.
  std::optional<int> max_pods_per_namespace;
};
template <class A>
void Describe(A& a, PodPolicySpec& v) {
  a("pathway", v.pathway);
  a("repositoryRef", v.repository_ref);
  a("serviceAccountName", v.service_account_name);
  a("priorityClassName", v.priority_class_name);
  a("resources", v.resources);
  a("tolerations", v.tolerations);
  a("runAsUser", v.run_as_user);
  a("runAsGroup", v.run_as_group);
  a("scratchSizeLimit", v.scratch_size_limit);
  a("terminationGracePeriodSeconds", v.termination_grace_period_seconds);
  a("operationLimits", v.operation_limits);
  a("maxPodsPerNode", v.max_pods_per_node);
  a("nodeHeadroomPercent", v.node_headroom_percent);
  a("maxMemory", v.max_memory);
  a("maxPodsPerNamespace", v.max_pods_per_namespace);
}
using PodPolicy = Object<PodPolicySpec, EmptyStatus>;

// Secrets with keys `username` and `password` for rest-server, one per role.
struct RepositoryCredentials {
  NameRef append, read, maintain;
};
template <class A>
void Describe(A& a, RepositoryCredentials& v) {
  a("append", v.append);
  a("read", v.read);
  a("maintain", v.maintain);
}

// Where a repository keeps the copies; as SourceLocation.
struct RepositoryLocation {
  std::string ns, node_name;
  std::map<std::string, std::string> pod_labels;
  std::string service, persistent_volume_claim, rack, zone, region;
};
template <class A>
void Describe(A& a, RepositoryLocation& v) {
  a("namespace", v.ns);
  a("nodeName", v.node_name);
  a("podLabels", v.pod_labels);
  a("service", v.service);
  a("persistentVolumeClaim", v.persistent_volume_claim);
  a("rack", v.rack);
  a("zone", v.zone);
  a("region", v.region);
}

struct BackupRepositorySpec {
  std::string url;  // "rest:https://HOST:PORT/PATH/", no login in it
  KeyRef ca_ref;    // ConfigMap with the CA certificate (PEM)
  RepositoryCredentials credentials;
  KeyRef encryption_key_ref;  // Secret: the restic password
  std::string key_id;         // name of the key where it is escrowed
  bool key_escrowed = false;
  int max_writers = 8;
  // When that is in the cluster.
  RepositoryLocation location;
  // The nearest that it may be to a source's data is beyond this: "Node", "Rack", "Zone".
  std::string apart_from = "Node";
};
template <class A>
void Describe(A& a, BackupRepositorySpec& v) {
  a("url", v.url);
  a("caRef", v.ca_ref);
  a("credentials", v.credentials);
  a("encryptionKeyRef", v.encryption_key_ref);
  a("keyID", v.key_id);
  a("keyEscrowed", v.key_escrowed);
  a("maxWriters", v.max_writers);
  a("location", v.location);
  a("apartFrom", v.apart_from);
}
struct BackupRepositoryStatus {
  int64_t observed_generation = 0;
  std::vector<Condition> conditions;  // RepositoryReady

  bool operator==(const BackupRepositoryStatus&) const = default;
};
template <class A>
void Describe(A& a, BackupRepositoryStatus& v) {
  a("observedGeneration", v.observed_generation);
  a("conditions", v.conditions);
}
using BackupRepository = Object<BackupRepositorySpec, BackupRepositoryStatus>;

}  // namespace longshore::api
