// SPDX-License-Identifier: Apache-2.0
#include "controller/acceptance.h"

#include <algorithm>

#include "controller/image_choice.h"
#include "controller/pod_template.h"

namespace longshore::controller {
namespace {

constexpr size_t kLongestLabel = 63;  // names become labels, and labels are no longer

Acceptance Refuse(Acceptance made, const std::string& reason, const std::string& message) {
  made.condition = {"Accepted", "False", reason, message, "", 0};
  return made;
}

std::string NoSuch(const char* field, const char* kind, const std::string& name,
                   const std::string& ns) {
  return std::string(field) + ": there is no " + kind + " " + name +
         (ns.empty() ? "" : " in namespace " + ns) + "; create it or correct the name";
}

// What is wrong with the source for this request: {reason, message}; empty when nothing is.
std::pair<std::string, std::string> SourceProblem(const api::BackupSource& source,
                                                  const api::ComputeRequest& request) {
  const std::string& own = request.metadata.ns;
  if (!Admits(source, own)) {
    return {"NotAllowed", "spec.sourceRef: the BackupSource doesn't admit namespace " + own +
                              "; add it to the source's spec.allowedNamespaces"};
  }
  if (source.metadata.name.size() > kLongestLabel || request.metadata.name.size() > kLongestLabel) {
    return {"NotAllowed", "the names of source and request must not exceed 63 characters"};
  }
  if (source.spec.filesystem && source.metadata.ns != own && request.spec.purpose != "Verify") {
    return {"NotAllowed",
            "spec.sourceRef: a filesystem source is mounted into its pods, so the "
            "request must be in the source's namespace " +
                source.metadata.ns};
  }
  return {};
}

Status CheckSecret(Cluster& cluster, const std::string& field, const std::string& ns,
                   const std::string& name, const std::vector<std::string>& keys) {
  if (name.empty()) return {};
  const auto secret = cluster.Fetch(kube::kSecrets, ns, name);
  if (!secret) {
    if (secret.error().code == Code::kNotFound) {
      return NotFound(field + ": there is no Secret " + name + " in namespace " + ns +
                      "; create it");
    }
    return Annotate(secret.error(), field);
  }
  for (const std::string& key : keys) {
    if (!secret->contains("data") || !(*secret)["data"].contains(key)) {
      return NotFound(field + ": Secret " + name + " in namespace " + ns + " has no key " + key);
    }
  }
  return {};
}

}  // namespace

std::string SourceKey(const api::Operation& operation) {
  return api::SourceKey(operation.spec.source_ref, operation.metadata.ns);
}

std::string OtherSource(const api::Operation& operation, const api::ComputeRequest& request) {
  return api::OtherSource(SourceKey(operation), request.metadata.Key(),
                          api::SourceKey(request.spec.source_ref, request.metadata.ns));
}

Acceptance Accept(const Cluster& cluster, const api::ComputeRequest& request) {
  const std::string& ns = request.metadata.ns;
  const std::string source_ns = api::NamespaceOfSource(request.spec.source_ref, ns);
  const std::string& source_name = request.spec.source_ref.name;
  Acceptance made;
  auto source = Find<api::BackupSource>(cluster, source_ns, source_name);
  if (!source) {
    return Refuse(made, "UnknownSource",
                  NoSuch("spec.sourceRef", "BackupSource", source_name, source_ns));
  }
  if (auto [reason, message] = SourceProblem(*source, request); !reason.empty()) {
    return Refuse(made, reason, message);
  }
  const std::string& version =
      source->spec.version.empty() ? source->status.server_version : source->spec.version;
  const auto images = ReadAll<api::SourceImage>(cluster.List(kube::kSourceImages));
  made.choice = ChooseImage(source->spec.kind, version, request.spec.purpose, images);
  if (made.choice.name.empty()) return Refuse(made, "NoMatchingImage", made.choice.reason);
  auto policy = Find<api::PodPolicy>(cluster, ns, request.spec.policy_ref.name);
  if (!policy) {
    return Refuse(made, "PolicyNotFound",
                  NoSuch("spec.policyRef", "PodPolicy", request.spec.policy_ref.name, ns));
  }
  const std::string& repository_name = policy->spec.repository_ref.name;
  auto repository = Find<api::BackupRepository>(cluster, ns, repository_name);
  if (!repository) {
    return Refuse(
        made, "RepositoryNotFound",
        NoSuch("the policy's spec.repositoryRef", "BackupRepository", repository_name, ns));
  }
  const auto image = std::find_if(images.begin(), images.end(), [&](const api::SourceImage& i) {
    return i.metadata.name == made.choice.name;
  });
  const MemoryAllowance memory =
      RaiseMemory(policy->spec, image->spec, request.status.out_of_memory);
  const auto resources = EffectiveResources(image->spec, policy->spec);
  auto scaling = scaling::ResolvePolicy(request.spec.scaling, resources);
  if (!scaling) return Refuse(made, "InvalidThreshold", scaling.error().message);
  if (const Status checked = CheckRequests(resources); !checked) {
    return Refuse(made, "InvalidResources", checked.error().message);
  }
  made.condition = {"Accepted", "True", "Valid", "every reference was found", "", 0};
  made.references = References{*std::move(source),
                               *std::move(policy),
                               *std::move(repository),
                               *image,
                               made.choice,
                               *std::move(scaling),
                               memory};
  return made;
}

Status CheckSecrets(Cluster& cluster, const References& refs, const std::string& purpose) {
  const std::string& source_ns = refs.source.metadata.ns;
  const std::vector<std::string> login = {"username", "password"};
  if (purpose == "Restore") {
    LS_RETURN_IF_ERROR(CheckSecret(cluster, "the source's spec.restoreCredentialsRef", source_ns,
                                   refs.source.spec.restore_credentials_ref.name, login));
  } else {
    LS_RETURN_IF_ERROR(CheckSecret(cluster, "the source's spec.credentialsRef", source_ns,
                                   refs.source.spec.credentials_ref.name, login));
  }
  const api::BackupRepositorySpec& repository = refs.repository.spec;
  const std::string& repository_ns = refs.repository.metadata.ns;
  LS_RETURN_IF_ERROR(CheckSecret(cluster, "the repository's spec.credentials.append", repository_ns,
                                 repository.credentials.append.name, login));
  LS_RETURN_IF_ERROR(CheckSecret(cluster, "the repository's spec.credentials.read", repository_ns,
                                 repository.credentials.read.name, login));
  return CheckSecret(cluster, "the repository's spec.encryptionKeyRef", repository_ns,
                     repository.encryption_key_ref.name, {repository.encryption_key_ref.key});
}

}  // namespace longshore::controller
