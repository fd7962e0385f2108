// SPDX-License-Identifier: Apache-2.0
#include "common/placement/owner_kinds.h"

#include "common/base/strings.h"

namespace longshore::placement {
namespace {

constexpr const char* kKinds[] = {
    // Kubernetes
    "DaemonSet", "Deployment", "Job", "ReplicaSet", "ReplicationController", "StatefulSet",
    // operators of databases: CloudNativePG, Crunchy, Percona, StackGres, Zalando, …
    "Cassandra", "CassandraDatacenter", "Cluster", "CrdbCluster", "Elasticsearch", "EtcdCluster",
    "InnoDBCluster", "Kafka", "MariaDB", "MongoDB", "MongoDBCommunity", "MySQL", "PerconaPGCluster",
    "PerconaServerMongoDB", "PerconaServerMySQL", "PerconaXtraDBCluster", "Postgres",
    "PostgresCluster", "Redis", "RedisCluster", "SGCluster", "postgresql"};

}  // namespace

std::string KindInOtherCase(const std::string& kind) {
  const std::string lower = ToLower(kind);
  for (const char* known : kKinds) {
    if (ToLower(known) == lower) return kind == known ? "" : known;
  }
  return "";
}

}  // namespace longshore::placement
