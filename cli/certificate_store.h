// SPDX-License-Identifier: Apache-2.0
//
// The certificates of an installation as they lie in the cluster, and what `longshore certs` does
// about them. Secret longshore-ca holds the authority (ca.crt, ca.key) and, while it is being
// replaced, its successor (next.crt, next.key); ConfigMap longshore-ca holds all that is trusted.
//
// An authority is replaced in two runs: the first adds the successor to what is trusted, a later
// one (when every daemon has had time to read that) signs with it. Nobody ever meets a certificate
// whose authority is unknown to them.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/certificates.h"
#include "common/kube/client.h"

namespace longshore::cli {

inline constexpr char kCaName[] = "longshore-ca";

// One Secret with tls.crt and tls.key.
struct LeafPlan {
  std::string secret;
  CertificateRequest request;
};
// The three certificates of an installation in namespace `ns`.
std::vector<LeafPlan> InstallationLeaves(const std::string& ns,
                                         const std::vector<std::string>& extra_names);

struct CertificateState {
  std::optional<KeyPair> authority;
  std::optional<KeyPair> successor;
  std::string trusted;                    // the bundle of the ConfigMap
  std::map<std::string, KeyPair> leaves;  // by Secret
  std::string ca_resource_version;
};

struct RenewOptions {
  std::vector<LeafPlan> leaves;
  std::chrono::hours leaf_validity{24 * 365};
  std::chrono::hours authority_validity{24 * 3650};
  std::chrono::hours within{0};     // renew what expires within this time
  bool force = false;               // renew every leaf
  bool rotate_authority = false;    // begin to replace the authority now
  std::chrono::minutes settle{10};  // how long a successor is only trusted before it signs
};

struct CertificateChange {
  std::string name;    // "Secret longshore-controller-tls", …
  std::string action;  // "kept", "made", "renewed", "staged", "promoted", "restarted", "absent"
  std::string reason;
};
struct CertificateUpdate {
  CertificateState state;  // as it should be
  std::vector<CertificateChange> changes;
  bool authority_changed = false, trusted_changed = false;
  std::vector<std::string> changed_leaves;
};

// What to change; pure. Errors: kFailedPrecondition when the authority is there but damaged.
Result<CertificateUpdate> PlanCertificates(const CertificateState& present,
                                           const RenewOptions& options, WallTime now);

Result<CertificateState> ReadCertificates(kube::Client& kube, const std::string& ns,
                                          const std::vector<LeafPlan>& leaves);
// Writes what changed: first the authority, then what is trusted, then what it signed.
Status WriteCertificates(kube::Client& kube, const std::string& ns, const CertificateState& present,
                         const CertificateUpdate& update);

// kube-scheduler reads what it trusts only when it starts, and would then place pods without our
// extender. Makes its Deployment start anew with this bundle; where there is none, says so. Errors
// name the command that does it by hand.
Result<CertificateChange> RestartScheduler(kube::Client& kube, const std::string& ns,
                                           const std::string& trusted);

}  // namespace longshore::cli
