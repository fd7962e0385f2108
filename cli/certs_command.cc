// SPDX-License-Identifier: Apache-2.0
//
// longshore certs init|renew|show: the certificates of an installation, kept in the cluster. Works
// with a kubeconfig, not through the storage manager API (which needs these certificates to start).
#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/certificate_store.h"
#include "cli/cluster_access.h"
#include "cli/session.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

constexpr char kUserAgent[] = "longshore-certs";

struct CertsFlags {
  ClusterFlags cluster;
  std::vector<std::string> extra_names;
  int days = 365;
  int within_days = 30;
  bool force = false, rotate_authority = false;
};

void PrintChanges(Session& session, const std::vector<CertificateChange>& changes) {
  Json items = Json::array();
  Table table{{"OBJECT", "ACTION", "WHY"}, {}};
  for (const CertificateChange& change : changes) {
    items.push_back({{"name", change.name}, {"action", change.action}, {"reason", change.reason}});
    table.rows.push_back({change.name, change.action, change.reason});
  }
  session.Print({{"items", items}}, "certificate", table);
}

Status Renew(Session& session, const CertsFlags& flags, const RenewOptions& options) {
  const std::string ns = SystemNamespace(session);
  LS_ASSIGN_OR_RETURN(const auto kube, Connect(flags.cluster, kUserAgent));
  LS_ASSIGN_OR_RETURN(const CertificateState present, ReadCertificates(*kube, ns, options.leaves));
  LS_ASSIGN_OR_RETURN(CertificateUpdate update,
                      PlanCertificates(present, options, session.io.clock.Now()));
  LS_RETURN_IF_ERROR(WriteCertificates(*kube, ns, present, update));
  Status done;
  if (update.trusted_changed && !present.trusted.empty()) {
    auto restarted = RestartScheduler(*kube, ns, update.state.trusted);
    if (restarted) {
      update.changes.push_back(*std::move(restarted));
    } else {
      done = std::move(restarted).error();
    }
  }
  PrintChanges(session, update.changes);
  return done;
}

RenewOptions OptionsOf(const Session& session, const CertsFlags& flags) {
  RenewOptions options;
  options.leaves = InstallationLeaves(SystemNamespace(session), flags.extra_names);
  options.leaf_validity = std::chrono::hours(24) * flags.days;
  return options;
}

void AddRow(Table& table, Json& items, const std::string& object, const std::string& pem,
            const std::string& bundle, WallTime now) {
  const auto info = InspectCertificate(pem);
  if (!info) {
    table.rows.push_back({object, "damaged", "", "", ""});
    items.push_back({{"name", object}, {"state", "damaged"}});
    return;
  }
  const Status valid = VerifyCertificate(bundle, pem, now);
  const std::string state = valid ? "valid" : valid.error().message;
  const auto left = std::chrono::duration_cast<std::chrono::seconds>(info->not_after - now).count();
  table.rows.push_back({object, state, info->subject,
                        FormatTimeSeconds(info->not_after) + " (" +
                            (left > 0 ? FormatSeconds(left) : "expired") + ")",
                        Join(info->names, " ")});
  items.push_back({{"name", object},
                   {"state", state},
                   {"subject", info->subject},
                   {"issuer", info->issuer},
                   {"serial", info->serial},
                   {"notBefore", FormatTimeSeconds(info->not_before)},
                   {"notAfter", FormatTimeSeconds(info->not_after)},
                   {"names", info->names},
                   {"authority", info->authority}});
}

Status Show(Session& session, const CertsFlags& flags) {
  const std::string ns = SystemNamespace(session);
  const auto leaves = InstallationLeaves(ns, {});
  LS_ASSIGN_OR_RETURN(const auto kube, Connect(flags.cluster, kUserAgent));
  LS_ASSIGN_OR_RETURN(const CertificateState state, ReadCertificates(*kube, ns, leaves));
  if (!state.authority && state.leaves.empty() && state.trusted.empty()) {
    return NotFound("namespace " + ns +
                    " has no certificates of Longshore: run longshore certs init");
  }
  const WallTime now = session.io.clock.Now();
  Table table{{"OBJECT", "STATE", "SUBJECT", "EXPIRES", "NAMES"}, {}};
  Json items = Json::array();
  const auto add = [&](const std::string& object, const std::string& pem) {
    AddRow(table, items, object, pem, state.trusted, now);
  };
  if (state.authority) add("Secret longshore-ca ca.crt", state.authority->certificate);
  if (state.successor) add("Secret longshore-ca next.crt", state.successor->certificate);
  for (const std::string& pem : SplitBundle(state.trusted)) add("ConfigMap longshore-ca", pem);
  for (const auto& [name, pair] : state.leaves) add("Secret " + name, pair.certificate);
  session.Print({{"items", items}}, "certificate", table);
  return {};
}

}  // namespace

void AddCertificateCommands(CLI::App& app, Session& session) {
  auto* certs = app.add_subcommand(
      "certs", "Make, renew and show the certificates of an installation (needs a kubeconfig)");
  certs->require_subcommand(1);
  const auto flags = std::make_shared<CertsFlags>();
  AddClusterFlags(*certs, flags->cluster);
  const auto add_issue_flags = [&](CLI::App* command) {
    command->add_option("--extra-san", flags->extra_names,
                        "Another DNS name or IP address of the controller; repeatable");
    command->add_option("--days", flags->days, "Validity of what is made")
        ->check(CLI::Range(1, 3650))
        ->capture_default_str();
  };

  auto* init = certs->add_subcommand("init", "Make what is missing; keeps what is valid");
  add_issue_flags(init);
  init->callback([&session, flags] {
    session.action = [&session, flags] {
      return Renew(session, *flags, OptionsOf(session, *flags));
    };
  });

  auto* renew = certs->add_subcommand("renew", "Renew what expires soon");
  add_issue_flags(renew);
  renew->add_option("--within", flags->within_days, "Renew what expires within so many days")
      ->check(CLI::Range(0, 3650))
      ->capture_default_str();
  renew->add_flag("--force", flags->force, "Renew every certificate now");
  renew->add_flag("--rotate-ca", flags->rotate_authority,
                  "Begin to replace the authority; run renew again ten minutes later");
  renew->callback([&session, flags] {
    session.action = [&session, flags] {
      RenewOptions options = OptionsOf(session, *flags);
      options.within = std::chrono::hours(24) * flags->within_days;
      options.force = flags->force;
      options.rotate_authority = flags->rotate_authority;
      return Renew(session, *flags, options);
    };
  });

  auto* show = certs->add_subcommand("show", "List subjects, names and expiry; never a key");
  show->callback(
      [&session, flags] { session.action = [&session, flags] { return Show(session, *flags); }; });
}

}  // namespace longshore::cli
