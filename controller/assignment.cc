// SPDX-License-Identifier: Apache-2.0
#include "controller/assignment.h"

#include "common/base/strings.h"
#include "controller/known_copy.h"
#include "controller/pod_names.h"

namespace longshore::controller {
namespace {

// Secrets and ConfigMaps, read past the caches and only by name.
class Reader {
 public:
  Reader(Cluster& cluster, std::string ns) : cluster_(cluster), ns_(std::move(ns)) {}

  // One key of a Secret, decoded. The errors never hold a value.
  Result<std::string> Secret(const std::string& name, const std::string& key) {
    LS_ASSIGN_OR_RETURN(const api::Json object, Fetch(kube::kSecrets, name));
    LS_ASSIGN_OR_RETURN(const std::string encoded, Value(object, "Secret", name, key));
    auto decoded = Base64Decode(encoded);
    if (!decoded)
      return InvalidArgument("Secret " + ns_ + "/" + name + ": key " + key + " is not base64");
    return decoded;
  }

  // Empty when there is no reference: the peer's certificate is then checked by the system's CAs.
  Result<std::string> ConfigMap(const api::KeyRef& ref) {
    if (ref.name.empty()) return std::string();
    LS_ASSIGN_OR_RETURN(const api::Json object, Fetch(kube::kConfigMaps, ref.name));
    return Value(object, "ConfigMap", ref.name, ref.key);
  }

 private:
  Result<api::Json> Fetch(const kube::Resource& resource, const std::string& name) {
    auto object = cluster_.Fetch(resource, ns_, name);
    if (!object && object.error().code == Code::kNotFound) {
      return NotFound("there is no " + std::string(resource.kind) + " " + name + " in namespace " +
                      ns_ + "; create it");
    }
    return object;
  }

  Result<std::string> Value(const api::Json& object, const char* kind, const std::string& name,
                            const std::string& key) {
    const auto data = object.find("data");
    if (data == object.end() || !data->is_object() || !data->contains(key) ||
        !(*data)[key].is_string()) {
      return NotFound(std::string(kind) + " " + ns_ + "/" + name + " has no key " + key);
    }
    return (*data)[key].get<std::string>();
  }

  Cluster& cluster_;
  const std::string ns_;
};

Status FillPostgresql(Reader& reader, const api::BackupSourceSpec& source, const std::string& login,
                      messages::PostgresqlSource& out) {
  out.set_host(source.postgresql->host);
  out.set_port(static_cast<uint32_t>(source.postgresql->port));
  out.set_maintenance_database(source.postgresql->maintenance_database);
  LS_ASSIGN_OR_RETURN(*out.mutable_username(), reader.Secret(login, "username"));
  LS_ASSIGN_OR_RETURN(*out.mutable_password(), reader.Secret(login, "password"));
  LS_ASSIGN_OR_RETURN(*out.mutable_ca_pem(), reader.ConfigMap(source.postgresql->ca_ref));
  return {};
}

Status FillSource(Cluster& cluster, const api::BackupSource& source, const std::string& type,
                  messages::Assign& assign) {
  if (source.spec.filesystem) {
    assign.mutable_filesystem()->set_path(type == api::kRestore ? "/target" : "/source");
    return {};
  }
  if (!source.spec.postgresql) {
    return InvalidArgument("BackupSource " + source.metadata.Key() + ": kind " + source.spec.kind +
                           " has no access that a worker understands");
  }
  const bool restores = type == api::kRestore;
  const std::string& login =
      restores ? source.spec.restore_credentials_ref.name : source.spec.credentials_ref.name;
  if (login.empty()) {
    return InvalidArgument("BackupSource " + source.metadata.Key() + ": " +
                           (restores ? "spec.restoreCredentialsRef" : "spec.credentialsRef") +
                           " is not set; a " + type + " needs it");
  }
  Reader reader(cluster, source.metadata.ns);
  return FillPostgresql(reader, source.spec, login, *assign.mutable_postgresql());
}

// Backup adds copies; everything else only reads them.
Status FillRepository(Cluster& cluster, const api::BackupRepository& repository,
                      const std::string& type, messages::Repository& out) {
  Reader reader(cluster, repository.metadata.ns);
  const api::RepositoryCredentials& roles = repository.spec.credentials;
  const bool reads = type != api::kBackup && !roles.read.name.empty();
  const std::string& login = reads ? roles.read.name : roles.append.name;
  out.set_url(repository.spec.url);
  LS_ASSIGN_OR_RETURN(*out.mutable_username(), reader.Secret(login, "username"));
  LS_ASSIGN_OR_RETURN(*out.mutable_password(), reader.Secret(login, "password"));
  LS_ASSIGN_OR_RETURN(*out.mutable_ca_pem(), reader.ConfigMap(repository.spec.ca_ref));
  const api::KeyRef& key = repository.spec.encryption_key_ref;
  LS_ASSIGN_OR_RETURN(*out.mutable_encryption_key(), reader.Secret(key.name, key.key));
  return {};
}

}  // namespace

Result<messages::Assign> MakeAssign(Cluster& cluster, const api::Operation& operation,
                                    const api::BackupSource& source,
                                    const api::BackupRepository& repository,
                                    const api::OperationLimits& limits, int64_t epoch) {
  const std::string& type = operation.spec.type;
  messages::Assign assign;
  assign.set_epoch(static_cast<uint64_t>(epoch));
  assign.set_operation(operation.metadata.name);
  assign.set_operation_namespace(operation.metadata.ns);
  assign.set_attempt(static_cast<uint32_t>(operation.status.attempt));
  assign.set_type(type);
  assign.set_source_name(source.metadata.name);
  assign.set_part(operation.spec.part);
  // The same for every attempt, so that the first committed copy counts.
  if (type == api::kBackup) assign.set_copy_id(CopyId(operation.metadata.uid));
  if (!operation.spec.copy_id.empty()) assign.set_copy_id(operation.spec.copy_id);
  if (const auto known = KnownCopy(cluster, operation)) {
    *assign.mutable_known_copy() = ToMessage(*known);
  }
  assign.mutable_limits()->set_no_progress_seconds(
      static_cast<uint32_t>(limits.no_progress_seconds));
  assign.mutable_limits()->set_snapshot_seconds(static_cast<uint32_t>(limits.snapshot_seconds));
  assign.set_target_part(operation.spec.target.part);
  LS_RETURN_IF_ERROR(FillSource(cluster, source, type, assign));
  LS_RETURN_IF_ERROR(FillRepository(cluster, repository, type, *assign.mutable_repository()));
  return assign;
}

}  // namespace longshore::controller
