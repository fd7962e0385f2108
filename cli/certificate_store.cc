// SPDX-License-Identifier: Apache-2.0
#include "cli/certificate_store.h"

#include <algorithm>

#include "cli/cluster_access.h"
#include "common/api/meta.h"
#include "common/base/strings.h"
#include "common/kube/informer.h"

namespace longshore::cli {
namespace {

using api::Json;

constexpr char kFieldManager[] = "longshore-certs";

CertificateRequest ServerRequest(const std::string& service, const std::string& ns,
                                 const std::vector<std::string>& extra) {
  CertificateRequest request{.common_name = service, .names = {}, .server = true, .client = false};
  const std::string qualified = service + "." + ns;
  request.names = {service,     qualified,  qualified + ".svc", qualified + ".svc.cluster.local",
                   "localhost", "127.0.0.1"};
  // The streams have a Service of their own and the same certificate.
  if (service == "longshore-controller") {
    const std::string streams = service + "-streams";
    for (const char* suffix : {"", ".svc", ".svc.cluster.local"}) {
      request.names.push_back(streams + "." + ns + suffix);
    }
    request.names.push_back(streams);
  }
  request.names.insert(request.names.end(), extra.begin(), extra.end());
  return request;
}

bool ExpiresWithin(const std::string& pem, WallTime now, std::chrono::hours within) {
  const auto info = InspectCertificate(pem);
  return !info || info->not_after <= now + within;
}

// Names asked for before stay, so that a renewal needs no flags.
void KeepNames(const std::vector<std::string>& present, std::vector<std::string>& wanted) {
  for (const std::string& name : present) {
    if (std::find(wanted.begin(), wanted.end(), name) == wanted.end()) wanted.push_back(name);
  }
}

// Current first, then its successor, then whatever was trusted and has not expired.
std::string TrustedBundle(const CertificateState& state, WallTime now) {
  std::vector<std::string> certificates = SplitBundle(state.authority->certificate);
  const auto add = [&](const std::string& bundle) {
    for (const std::string& pem : SplitBundle(bundle)) {
      const bool known =
          std::find(certificates.begin(), certificates.end(), pem) != certificates.end();
      if (!known && !ExpiresWithin(pem, now, std::chrono::hours(0))) certificates.push_back(pem);
    }
  };
  if (state.successor) add(state.successor->certificate);
  add(state.trusted);
  return Join(certificates, "");
}

class Planner {
 public:
  Planner(const CertificateState& present, const RenewOptions& options, WallTime now)
      : options_(options), now_(now) {
    update_.state = present;
  }

  Result<CertificateUpdate> Run() {
    LS_RETURN_IF_ERROR(PlanAuthority());
    PlanTrusted();
    for (const LeafPlan& leaf : options_.leaves) LS_RETURN_IF_ERROR(PlanLeaf(leaf));
    return std::move(update_);
  }

 private:
  void Note(const std::string& name, const char* action, const std::string& reason) {
    update_.changes.push_back({name, action, reason});
  }

  Result<KeyPair> NewAuthority() {
    return MakeAuthority("longshore-ca " + FormatTimeSeconds(now_), now_,
                         options_.authority_validity);
  }

  Status PlanAuthority() {
    const std::string name = std::string("Secret ") + kCaName;
    auto& authority = update_.state.authority;
    if (!authority) {
      LS_ASSIGN_OR_RETURN(authority, NewAuthority());
      update_.authority_changed = true;
      Note(name, "made", "there was none");
      return {};
    }
    if (!KeyMatches(*authority)) {
      return FailedPrecondition(name +
                                ": ca.crt and ca.key do not belong together. If no daemon "
                                "needs it any more, delete the Secret and run certs init");
    }
    const bool expired = ExpiresWithin(authority->certificate, now_, std::chrono::hours(0));
    if (update_.state.successor) return PromoteWhenSettled(name, expired);
    if (expired) {  // nothing trusts it any more: no overlap is left to keep
      LS_ASSIGN_OR_RETURN(authority, NewAuthority());
      update_.authority_changed = promoted_ = true;
      Note(name, "renewed", "it had expired");
      return {};
    }
    const bool expires = ExpiresWithin(authority->certificate, now_, options_.within);
    if (!expires && !options_.rotate_authority) {
      Note(name, "kept", "valid");
      return {};
    }
    LS_ASSIGN_OR_RETURN(update_.state.successor, NewAuthority());
    update_.authority_changed = true;
    Note(name, "staged",
         std::string(expires ? "it expires soon" : "asked for") +
             ": its successor is trusted from now on and signs after " +
             FormatDuration(options_.settle) + ", when you run certs renew again");
    return {};
  }

  Status PromoteWhenSettled(const std::string& name, bool at_once) {
    LS_ASSIGN_OR_RETURN(const auto info, InspectCertificate(update_.state.successor->certificate));
    const WallTime ready = info.not_before + kBackdate + options_.settle;
    if (now_ < ready && !at_once) {
      Note(name, "kept", "its successor signs from " + FormatTimeSeconds(ready));
      return {};
    }
    update_.state.authority = *std::exchange(update_.state.successor, std::nullopt);
    update_.authority_changed = promoted_ = true;
    Note(name, "promoted", "the successor signs now; the old one stays trusted until it expires");
    return {};
  }

  void PlanTrusted() {
    const std::string bundle = TrustedBundle(update_.state, now_);
    update_.trusted_changed = bundle != update_.state.trusted;
    Note(std::string("ConfigMap ") + kCaName,
         !update_.trusted_changed        ? "kept"
         : update_.state.trusted.empty() ? "made"
                                         : "renewed",
         std::to_string(SplitBundle(bundle).size()) + " trusted");
    update_.state.trusted = bundle;
  }

  // Why this leaf must be made anew; empty: it is good.
  std::string ReasonFor(const KeyPair& pair, const CertificateRequest& wanted) const {
    const auto info = InspectCertificate(pair.certificate);
    if (!info) return "tls.crt is no certificate";
    if (!KeyMatches(pair)) return "tls.key does not belong to tls.crt";
    if (promoted_) return "the authority changed";
    if (const Status valid = VerifyCertificate(update_.state.trusted, pair.certificate, now_);
        !valid) {
      return valid.error().message;
    }
    for (const std::string& name : wanted.names) {
      if (std::find(info->names.begin(), info->names.end(), name) == info->names.end()) {
        return "lacks the name " + name;
      }
    }
    if (options_.force) return "asked for";
    return ExpiresWithin(pair.certificate, now_, options_.within) ? "expires soon" : "";
  }

  Status PlanLeaf(const LeafPlan& leaf) {
    const std::string name = "Secret " + leaf.secret;
    const auto present = update_.state.leaves.find(leaf.secret);
    std::string reason = "there was none";
    const bool there = present != update_.state.leaves.end();
    CertificateRequest wanted = leaf.request;
    if (there) {
      reason = ReasonFor(present->second, wanted);
      if (reason.empty()) {
        Note(name, "kept", "valid");
        return {};
      }
      const auto info = InspectCertificate(present->second.certificate);
      if (info) KeepNames(info->names, wanted.names);
    }
    LS_ASSIGN_OR_RETURN(
        update_.state.leaves[leaf.secret],
        SignCertificate(*update_.state.authority, wanted, now_, options_.leaf_validity));
    update_.changed_leaves.push_back(leaf.secret);
    Note(name, there ? "renewed" : "made", reason);
    return {};
  }

  const RenewOptions& options_;
  const WallTime now_;
  CertificateUpdate update_;
  bool promoted_ = false;
};

// The decoded value of a Secret's key, or empty.
std::string SecretValue(const Json& secret, const std::string& key) {
  const Json data = secret.value("data", Json::object());
  const auto found = data.find(key);
  if (found == data.end() || !found->is_string()) return "";
  return Base64Decode(found->get<std::string>()).value_or("");
}

std::optional<KeyPair> PairOf(const Json& secret, const std::string& certificate,
                              const std::string& key) {
  KeyPair pair{SecretValue(secret, certificate), SecretValue(secret, key)};
  if (pair.certificate.empty() && pair.key.empty()) return std::nullopt;
  return pair;
}

// The object, or null when there is none.
Result<Json> GetIfThere(kube::Client& kube, const kube::Resource& resource, const std::string& ns,
                        const std::string& name) {
  Result<Json> object = kube.Get(resource, ns, name);
  if (!object && object.error().code == Code::kNotFound) return Json();
  return object;
}

Json Manifest(const char* kind, const std::string& ns, const std::string& name) {
  return {{"apiVersion", "v1"},
          {"kind", kind},
          {"metadata",
           {{"name", name},
            {"namespace", ns},
            {"labels",
             {{"app.kubernetes.io/managed-by", "longshore-certs"},
              {"app.kubernetes.io/part-of", "longshore"}}}}}};
}

// Certificates may be made before anything else of the installation is applied.
Status EnsureNamespace(kube::Client& kube, const std::string& ns) {
  LS_ASSIGN_OR_RETURN(const Json present, GetIfThere(kube, kube::kNamespaces, "", ns));
  if (!present.is_null()) return {};
  const Result<Json> made =
      kube.Create(kube::kNamespaces, "",
                  {{"apiVersion", "v1"}, {"kind", "Namespace"}, {"metadata", {{"name", ns}}}});
  if (!made && made.error().code != Code::kAlreadyExists) return made.error();
  return {};
}

Status WriteAuthority(kube::Client& kube, const std::string& ns, const CertificateState& present,
                      const CertificateState& wanted) {
  Json secret = Manifest("Secret", ns, kCaName);
  secret["type"] = "Opaque";
  secret["data"] = {{"ca.crt", Base64Encode(wanted.authority->certificate)},
                    {"ca.key", Base64Encode(wanted.authority->key)}};
  if (wanted.successor) {
    secret["data"]["next.crt"] = Base64Encode(wanted.successor->certificate);
    secret["data"]["next.key"] = Base64Encode(wanted.successor->key);
  }
  // Create and the resourceVersion keep two runs at once from making two authorities.
  Result<Json> written = Json();
  if (present.ca_resource_version.empty()) {
    written = kube.Create(kube::kSecrets, ns, secret);
  } else {
    secret["metadata"]["resourceVersion"] = present.ca_resource_version;
    written = kube.Update(kube::kSecrets, ns, secret);
  }
  if (written) return {};
  const Code code = written.error().code;
  if (code == Code::kConflict || code == Code::kAlreadyExists) {
    return Conflict("Secret " + ns + "/" + kCaName + " was changed by another run: run it again");
  }
  return written.error();
}

}  // namespace

std::vector<LeafPlan> InstallationLeaves(const std::string& ns,
                                         const std::vector<std::string>& extra_names) {
  return {{"longshore-controller-tls", ServerRequest("longshore-controller", ns, extra_names)},
          {"longshore-extender-tls", ServerRequest("longshore-extender", ns, {})},
          {"longshore-scheduler-tls",
           {.common_name = "longshore-scheduler", .names = {}, .server = false, .client = true}}};
}

Result<CertificateUpdate> PlanCertificates(const CertificateState& present,
                                           const RenewOptions& options, WallTime now) {
  return Planner(present, options, now).Run();
}

Result<CertificateState> ReadCertificates(kube::Client& kube, const std::string& ns,
                                          const std::vector<LeafPlan>& leaves) {
  CertificateState state;
  LS_ASSIGN_OR_RETURN(const Json ca, GetIfThere(kube, kube::kSecrets, ns, kCaName));
  if (!ca.is_null()) {
    state.authority = PairOf(ca, "ca.crt", "ca.key").value_or(KeyPair{});
    state.successor = PairOf(ca, "next.crt", "next.key");
    state.ca_resource_version = kube::StringAt(ca, "/metadata/resourceVersion");
  }
  LS_ASSIGN_OR_RETURN(const Json trusted, GetIfThere(kube, kube::kConfigMaps, ns, kCaName));
  if (!trusted.is_null()) {
    state.trusted = trusted.value("data", Json::object()).value("ca.crt", std::string());
  }
  for (const LeafPlan& leaf : leaves) {
    LS_ASSIGN_OR_RETURN(const Json secret, GetIfThere(kube, kube::kSecrets, ns, leaf.secret));
    if (secret.is_null()) continue;
    state.leaves[leaf.secret] = PairOf(secret, "tls.crt", "tls.key").value_or(KeyPair{});
  }
  return state;
}

Status WriteCertificates(kube::Client& kube, const std::string& ns, const CertificateState& present,
                         const CertificateUpdate& update) {
  LS_RETURN_IF_ERROR(EnsureNamespace(kube, ns));
  if (update.authority_changed) {
    LS_RETURN_IF_ERROR(WriteAuthority(kube, ns, present, update.state));
  }
  if (update.trusted_changed) {
    Json map = Manifest("ConfigMap", ns, kCaName);
    map["data"] = {{"ca.crt", update.state.trusted}};
    LS_RETURN_IF_ERROR(kube.Apply(kube::kConfigMaps, ns, map, kFieldManager, /*force=*/true));
  }
  for (const std::string& name : update.changed_leaves) {
    const KeyPair& pair = update.state.leaves.at(name);
    Json secret = Manifest("Secret", ns, name);
    secret["type"] = "kubernetes.io/tls";
    secret["data"] = {{"tls.crt", Base64Encode(pair.certificate)},
                      {"tls.key", Base64Encode(pair.key)}};
    LS_RETURN_IF_ERROR(kube.Apply(kube::kSecrets, ns, secret, kFieldManager, /*force=*/true));
  }
  return {};
}

Result<CertificateChange> RestartScheduler(kube::Client& kube, const std::string& ns,
                                           const std::string& trusted) {
  const std::string object = std::string("Deployment ") + kScheduler;
  const Json annotations = {{"longshore.dev/trusted", Sha256Hex(trusted)}};
  const Json patch = {{"spec", {{"template", {{"metadata", {{"annotations", annotations}}}}}}}};
  const auto patched =
      kube.Patch(kube::kDeployments, ns, kScheduler, kube::PatchType::kMerge, patch);
  if (patched) return CertificateChange{object, "restarted", "it reads ca.crt only when it starts"};
  if (patched.error().code == Code::kNotFound) {
    return CertificateChange{object, "absent",
                             "restart your kube-scheduler: it reads ca.crt only when it starts"};
  }
  return Annotate(patched.error(), object +
                                       " was not restarted, and reads ca.crt only when it starts; "
                                       "kubectl -n " +
                                       ns + " rollout restart deployment/" + kScheduler);
}

}  // namespace longshore::cli
