// SPDX-License-Identifier: Apache-2.0
//
// longshore doctor: looks for what keeps an installation from working, or from working well, and
// says what to change. Works with a kubeconfig, or on one file alone; changes nothing.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <ostream>

#include "cli/certificate_store.h"
#include "cli/cluster_access.h"
#include "cli/diagnosis.h"
#include "cli/fields.h"
#include "cli/session.h"
#include "common/base/files.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

constexpr auto kExpiresSoon = std::chrono::hours(24 * 14);

struct DoctorFlags {
  ClusterFlags cluster;
  std::string scheduler_config;
};

class ClusterDoctor {
 public:
  ClusterDoctor(kube::Client& kube, std::string ns, WallTime now)
      : kube_(kube), ns_(std::move(ns)), now_(now) {}

  // What can't be read is a finding too: one missing right must not hide the rest.
  Findings Look() {
    Workload(kube::kDeployments, "longshore-controller");
    Workload(kube::kDeployments, "longshore-extender");
    Workload(kube::kDeployments, kScheduler);
    Workload(kube::kDaemonSets, "longshore-nodeagent");
    SchedulerConfiguration();
    SchedulerVersion();
    Certificates();
    Nodes();
    return std::move(findings_);
  }

 private:
  void Unread(const std::string& object, const Error& error) {
    const bool missing = error.code == Code::kNotFound;
    findings_.push_back(
        {Severity::kError, object, missing ? "does not exist" : error.message,
         missing ? "apply the manifests (docs/install.md), or give its namespace with -n"
                 : "see the message"});
  }

  void Workload(const kube::Resource& resource, const std::string& name) {
    Result<Json> workload = kube_.Get(resource, ns_, name);
    if (!workload && name == kScheduler && workload.error().code == Code::kNotFound) {
      findings_.push_back(NoSchedulerOfOurs());
      return;
    }
    if (!workload) return Unread(ToLower(resource.kind) + "/" + name, workload.error());
    findings_.push_back(CheckWorkload(*workload));
    if (name == kScheduler) scheduler_ = *std::move(workload);
  }

  void SchedulerConfiguration() {
    if (scheduler_.is_null()) return;
    for (const Json& volume : Items(scheduler_, "/spec/template/spec/volumes")) {
      const std::string name = Text(volume, "/configMap/name");
      if (name.empty()) continue;
      const Result<Json> map = kube_.Get(kube::kConfigMaps, ns_, name);
      if (!map) {
        Unread("configmap/" + name, map.error());
        continue;
      }
      for (const auto& [file, text] : At(*map, "/data").items()) {
        const std::string yaml = text.is_string() ? text.get<std::string>() : "";
        if (yaml.find("KubeSchedulerConfiguration") == std::string::npos) continue;
        for (Finding& finding : LintSchedulerConfiguration(yaml)) {
          finding.object = "configmap/" + name + " " + file + " " + finding.object;
          findings_.push_back(std::move(finding));
        }
      }
    }
  }

  void SchedulerVersion() {
    if (scheduler_.is_null()) return;
    const Result<std::string> answer = kube_.GetRaw("/version");
    if (!answer) return Unread("version of the API server", answer.error());
    const Result<Json> version = api::ParseJson(*answer);
    if (!version) return Unread("version of the API server", version.error());
    const kube::ListOptions ours{
        .label_selector = std::string("app.kubernetes.io/name=") + kScheduler,
        .field_selector = "status.phase=Running"};
    const Result<kube::ListResult> pods = kube_.List(kube::kPods, ns_, ours);
    if (!pods) return Unread(std::string("pods of ") + kScheduler, pods.error());
    for (Finding& finding : CheckSchedulerVersion(*version, pods->items)) {
      findings_.push_back(std::move(finding));
    }
  }

  void Certificates() {
    const Result<CertificateState> state =
        ReadCertificates(kube_, ns_, InstallationLeaves(ns_, {}));
    if (!state) return Unread("certificates", state.error());
    if (state->leaves.empty()) {
      findings_.push_back(
          {Severity::kError, "certificates", "there are none", "longshore certs init"});
    }
    for (const auto& [secret, pair] : state->leaves) {
      const Status valid = VerifyCertificate(state->trusted, pair.certificate, now_);
      const auto info = InspectCertificate(pair.certificate);
      Finding finding{Severity::kOk, "secret/" + secret, "", ""};
      if (!valid || !info) {
        finding = {Severity::kError, finding.object,
                   valid ? info.error().message : valid.error().message,
                   "longshore certs renew --force"};
      } else {
        const auto left = std::chrono::duration_cast<std::chrono::seconds>(info->not_after - now_);
        finding.finding = "valid for " + FormatSeconds(left.count());
        if (left < kExpiresSoon) {
          finding.severity = Severity::kWarning;
          finding.remedy = "longshore certs renew";
        }
      }
      findings_.push_back(std::move(finding));
    }
  }

  void Nodes() {
    const Result<kube::ListResult> nodes = kube_.List(kube::kNodes, "");
    if (!nodes) return Unread("nodes", nodes.error());
    for (Finding& finding : CheckTopologyLabels(nodes->items)) {
      findings_.push_back(std::move(finding));
    }
  }

  kube::Client& kube_;
  const std::string ns_;
  const WallTime now_;
  Json scheduler_;
  Findings findings_;
};

Result<Findings> Examine(Session& session, const DoctorFlags& flags) {
  if (!flags.scheduler_config.empty()) {
    LS_ASSIGN_OR_RETURN(const std::string yaml, ReadFile(flags.scheduler_config));
    return LintSchedulerConfiguration(yaml);
  }
  LS_ASSIGN_OR_RETURN(const auto kube, Connect(flags.cluster, "longshore-doctor"));
  return ClusterDoctor(*kube, SystemNamespace(session), session.io.clock.Now()).Look();
}

Status Doctor(Session& session, const DoctorFlags& flags) {
  LS_ASSIGN_OR_RETURN(Findings findings, Examine(session, flags));
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  Json items = Json::array();
  std::string text;
  for (const Finding& finding : findings) {
    const std::string severity = SeverityName(finding.severity);
    items.push_back({{"name", finding.object},
                     {"severity", severity},
                     {"finding", finding.finding},
                     {"remedy", finding.remedy}});
    // Sentences are too long for columns.
    text += Printable(severity + std::string(9 - severity.size(), ' ') + finding.object + ": " +
                      finding.finding) +
            "\n";
    if (!finding.remedy.empty()) text += Printable("         -> " + finding.remedy) + "\n";
  }
  if (session.json() || session.names_only()) {
    session.Print({{"items", items}}, "finding", {});
  } else {
    session.io.out << text;
  }
  const auto errors = std::count_if(findings.begin(), findings.end(), [](const Finding& finding) {
    return finding.severity == Severity::kError;
  });
  if (errors == 0) return {};
  return Error{Code::kFailedPrecondition,
               std::to_string(errors) + (errors == 1 ? " error" : " errors") + " found"};
}

}  // namespace

void AddDoctorCommand(CLI::App& app, Session& session) {
  auto* doctor = app.add_subcommand(
      "doctor", "Look for what keeps an installation from working well (needs a kubeconfig)");
  const auto flags = std::make_shared<DoctorFlags>();
  AddClusterFlags(*doctor, flags->cluster);
  doctor
      ->add_option("--scheduler-config", flags->scheduler_config,
                   "Look at this KubeSchedulerConfiguration instead, and at no cluster")
      ->check(NotEmpty, "");
  doctor->callback([&session, flags] {
    session.action = [&session, flags] { return Doctor(session, *flags); };
  });
}

}  // namespace longshore::cli
