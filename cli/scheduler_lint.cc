// SPDX-License-Identifier: Apache-2.0
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <initializer_list>
#include <span>
#include <utility>

#include "cli/diagnosis.h"
#include "common/api/meta.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

// All of kube-scheduler's default plug-ins together (weights of 1.36).
constexpr int kPluginPoints = 1200;
// The scheduler multiplies an extender's 0..10 by its weight and by ten.
constexpr int kPointsPerWeight = 10;
constexpr double kLongTimeoutSeconds = 2, kShortTimeoutSeconds = 0.1;
// What kube-scheduler knows of an extender: any other field, and it does not start.
constexpr std::string_view kExtenderFields[] = {
    "urlPrefix",   "filterVerb",       "preemptVerb",      "prioritizeVerb",
    "weight",      "bindVerb",         "enableHTTPS",      "tlsConfig",
    "httpTimeout", "nodeCacheCapable", "managedResources", "ignorable"};
constexpr std::string_view kTlsFields[] = {"insecure", "serverName", "certFile", "keyFile",
                                           "caFile",   "certData",   "keyData",  "caData"};
constexpr std::string_view kResourceFields[] = {"name", "ignoredByScheduler"};
constexpr const char* kRefused = ": kube-scheduler does not start with it";

// A Go duration ("1s", "500ms", "1m0.5s") in seconds; negative: it is none.
double GoSeconds(const std::string& text) {
  static const std::vector<std::pair<std::string, double>> kUnits{
      {"ms", 1e-3}, {"us", 1e-6}, {"µs", 1e-6}, {"ns", 1e-9}, {"h", 3600}, {"m", 60}, {"s", 1}};
  double seconds = 0;
  size_t at = 0;
  while (at < text.size()) {
    size_t digits = 0;
    double number = 0;
    try {
      number = std::stod(text.substr(at), &digits);
    } catch (const std::exception&) {
      return -1;
    }
    at += digits;
    const auto unit = std::find_if(kUnits.begin(), kUnits.end(), [&](const auto& candidate) {
      return text.compare(at, candidate.first.size(), candidate.first) == 0;
    });
    if (unit == kUnits.end()) return -1;
    at += unit->first.size();
    seconds += number * unit->second;
  }
  return text.empty() ? -1 : seconds;
}

// Empty: there is no such text.
std::string TextAt(const YAML::Node& node, const char* key) {
  return node && node.IsMap() && node[key] && node[key].IsScalar() ? node[key].Scalar() : "";
}

// One entry of extenders[].
class ExtenderLint {
 public:
  ExtenderLint(YAML::Node entry, std::string path, Findings& findings)
      : entry_(std::move(entry)), path_(std::move(path)), findings_(findings) {}

  void Run() {
    Fields(entry_, "", kExtenderFields);
    Fields(entry_["tlsConfig"], "tlsConfig.", kTlsFields);
    Types();
    Transport();
    Verbs();
    Weight();
    Waiting();
    Selection();
    if (Text("nodeCacheCapable") != "true") {
      Warn(
          "nodeCacheCapable",
          "whole nodes are sent, 60 MB a call at 5000 nodes, and the scheduler takes those it gets "
          "back for idle ones (kubernetes/kubernetes#141781)",
          "set it to true");
    }
  }

 private:
  std::string Text(const char* key) const { return TextAt(entry_, key); }
  std::string TlsText(const char* key) const { return TextAt(entry_["tlsConfig"], key); }
  bool HasTls(const char* file, const char* data) const {
    return !TlsText(file).empty() || !TlsText(data).empty();
  }
  void Add(Severity severity, const std::string& field, std::string finding, std::string remedy) {
    findings_.push_back({severity, path_ + "." + field, std::move(finding), std::move(remedy)});
  }
  void Fail(const std::string& field, std::string finding, std::string remedy) {
    Add(Severity::kError, field, std::move(finding), std::move(remedy));
  }
  void Warn(const std::string& field, std::string finding, std::string remedy) {
    Add(Severity::kWarning, field, std::move(finding), std::move(remedy));
  }

  void Fields(const YAML::Node& map, const std::string& prefix,
              std::span<const std::string_view> known) {
    if (!map || !map.IsMap()) return;
    for (const auto& field : map) {
      const std::string name = field.first.Scalar();
      if (std::ranges::count(known, name) > 0) continue;
      std::vector<std::string> names(known.begin(), known.end());
      Fail(prefix + name, std::string("there is no such field") + kRefused,
           "it is one of " + Join(names, ", "));
    }
  }

  // YAML's quotes make a text of anything.
  void Types() {
    for (const char* key : {"weight", "nodeCacheCapable", "ignorable", "enableHTTPS"}) {
      const YAML::Node value = entry_[key];
      if (value && value.IsScalar() && value.Tag() == "!") {
        Fail(key, std::string("a text, as it is in quotes") + kRefused, "take the quotes away");
      }
    }
  }

  // Behind https://.
  void Place(std::string_view host) {
    const size_t slash = host.find('/');
    if (slash != std::string_view::npos && slash + 1 < host.size()) {
      Warn("urlPrefix",
           "the path " + std::string(host.substr(slash)) +
               " is not served: /filter and /prioritize are asked below it",
           "end it behind the port, unless a proxy takes the path away");
    }
    const std::string_view name = host.substr(0, slash);
    const size_t last = name.find_last_of(":]");  // "[" and "]" are around an IPv6 address
    if (last == std::string_view::npos || name[last] == ']') {
      Warn("urlPrefix", "no port, which is 443: the extender's Service has 8443",
           "add the port of the Service");
    }
  }

  void Transport() {
    const std::string url = Text("urlPrefix");
    constexpr std::string_view kHttps = "https://";
    if (url.empty()) {
      Fail("urlPrefix", "missing", "give the extender's Service, with https://");
    } else if (ToLower(url).starts_with(kHttps)) {
      Place(std::string_view(url).substr(kHttps.size()));
    } else {
      Fail("urlPrefix",
           url +
               " is in clear text: its scheme decides, whatever enableHTTPS says, and anyone on "
               "the way can answer",
           "begin it with https://");
    }
    if (TlsText("insecure") == "true") {
      Fail("tlsConfig.insecure", "any server's certificate is accepted",
           "remove it and set tlsConfig.caFile");
    } else if (!HasTls("caFile", "caData")) {
      Fail("tlsConfig.caFile",
           "without a CA kube-scheduler verifies no certificate, and says nothing",
           "set it to the CA of longshore certs (ConfigMap longshore-ca)");
    }
    if (!HasTls("certFile", "certData") || !HasTls("keyFile", "keyData")) {
      Fail("tlsConfig.certFile",
           "no client certificate, which is the only way to say who calls: the extender refuses it",
           "set certFile and keyFile to those of Secret longshore-scheduler-tls");
    }
  }

  void Verbs() {
    for (const auto& [key, verb] :
         {std::pair{"filterVerb", "filter"}, std::pair{"prioritizeVerb", "prioritize"}}) {
      const std::string value = Text(key);
      if (value == verb) continue;
      Fail(key, value.empty() ? "missing: the extender is not asked" : value + " is not served",
           std::string("set it to ") + verb);
    }
    for (const char* key : {"bindVerb", "preemptVerb"}) {
      if (!Text(key).empty()) Fail(key, "not served: each such call fails", "remove it");
    }
  }

  void Weight() {
    const int64_t weight = ParseInt(Text("weight")).value_or(0);
    if (weight <= 0) {
      Fail("weight", "must be a positive number", "set it to 125");
    } else if (weight * kPointsPerWeight <= kPluginPoints) {
      Warn("weight",
           "one step of nearness gives " + std::to_string(weight * kPointsPerWeight) +
               " points, and the scheduler's plug-ins together up to " +
               std::to_string(kPluginPoints) + ": they can outvote it",
           "set it to 125");
    }
  }

  void Waiting() {
    const std::string timeout = Text("httpTimeout");
    const double seconds = GoSeconds(timeout);
    if (timeout.empty() || seconds == 0) {
      Warn("httpTimeout",
           "5 s is the default, and a hung extender holds up every pod that is sent to it, twice",
           "set it to 1s");
    } else if (seconds < 0) {
      Fail("httpTimeout", timeout + " is no duration", "set it to 1s");
    } else if (seconds > kLongTimeoutSeconds) {
      Warn("httpTimeout", timeout + " is how long a hung extender holds up each pod, twice",
           "set it to 1s");
    } else if (seconds < kShortTimeoutSeconds) {
      Warn("httpTimeout", "in " + timeout + " hardly a call is answered", "set it to 1s");
    }
    if (Text("ignorable") != "true") {
      Warn("ignorable", "while the extender is away, no backup pod is placed", "set it to true");
    }
  }

  void Selection() {
    const YAML::Node managed = entry_["managedResources"];
    if (!managed || !managed.IsSequence() || managed.size() == 0) {
      Fail("managedResources",
           "every pod of this scheduler is sent, the extender's own too: it waits for itself",
           std::string("add {name: ") + api::kMarkerResource + ", ignoredByScheduler: true}");
      return;
    }
    for (const YAML::Node& resource : managed) {
      Fields(resource, "managedResources.", kResourceFields);
      if (TextAt(resource, "name") != api::kMarkerResource) continue;
      if (!resource["ignoredByScheduler"] || !resource["ignoredByScheduler"].as<bool>(false)) {
        Fail("managedResources",
             std::string("no node has ") + api::kMarkerResource + ", so no node fits a backup pod",
             "set its ignoredByScheduler to true");
      }
      return;
    }
    Fail("managedResources",
         std::string(api::kMarkerResource) + " is not named: backup pods are not sent",
         std::string("add {name: ") + api::kMarkerResource + ", ignoredByScheduler: true}");
  }

  const YAML::Node entry_;
  const std::string path_;
  Findings& findings_;
};

// By what it manages or what it is called.
bool IsOurs(const YAML::Node& entry) {
  if (!entry.IsMap()) return false;
  YAML::Emitter text;
  text << entry;
  return std::string_view(text.c_str()).find("longshore") != std::string_view::npos;
}

// Whether a list of plug-ins ({name: …}) has one of these.
bool Names(const YAML::Node& plugins, std::initializer_list<std::string_view> names) {
  for (size_t i = 0; plugins && plugins.IsSequence() && i < plugins.size(); ++i) {
    if (std::ranges::count(names, TextAt(plugins[i], "name")) > 0) return true;
  }
  return false;
}

// Backup pods are steered by node affinity.
void LintPlugins(const YAML::Node& profile, const std::string& path, Findings& findings) {
  const YAML::Node plugins = profile["plugins"];
  if (!plugins || !plugins.IsMap()) return;
  for (const char* point : {"filter", "multiPoint"}) {
    const YAML::Node of_point = plugins[point];
    if (!of_point || !of_point.IsMap()) continue;
    if (!Names(of_point["disabled"], {"*", "NodeAffinity"})) continue;
    if (Names(of_point["enabled"], {"NodeAffinity"})) continue;
    findings.push_back({Severity::kError, path + ".plugins." + point,
                        "NodeAffinity is disabled, by which backup pods are steered to their data",
                        "leave it enabled"});
  }
}

// Without a profile of that name nobody looks at backup pods.
void LintProfiles(const YAML::Node& config, Findings& findings) {
  const YAML::Node profiles = config["profiles"];
  bool found = false;
  std::vector<std::string> seen;
  for (size_t i = 0; profiles && profiles.IsSequence() && i < profiles.size(); ++i) {
    const std::string name = TextAt(profiles[i], "schedulerName");
    const std::string path = "profiles[" + std::to_string(i) + "]";
    if (std::ranges::count(seen, name) > 0) {
      findings.push_back({Severity::kError, path + ".schedulerName",
                          name + " is there already" + kRefused, "remove one of them"});
    }
    seen.push_back(name);
    if (name != api::kSchedulerName) continue;
    found = true;
    LintPlugins(profiles[i], path, findings);
  }
  if (found) return;
  findings.push_back({Severity::kError, "profiles",
                      std::string("none is called ") + api::kSchedulerName +
                          ", which is what backup pods ask for: they stay Pending",
                      std::string("add {schedulerName: ") + api::kSchedulerName + "}"});
}

Findings Lint(const YAML::Node& config) {
  Findings findings;
  if (TextAt(config, "kind") != "KubeSchedulerConfiguration") {
    return {{Severity::kError, "kind", "not a KubeSchedulerConfiguration", "name the right file"}};
  }
  if (TextAt(config, "apiVersion") != "kubescheduler.config.k8s.io/v1") {
    findings.push_back(
        {Severity::kError, "apiVersion",
         TextAt(config, "apiVersion") + " is not served by kube-scheduler 1.29 and later",
         "set it to kubescheduler.config.k8s.io/v1"});
  }
  LintProfiles(config, findings);
  const YAML::Node extenders = config["extenders"];
  bool found = false;
  for (size_t i = 0; extenders && extenders.IsSequence() && i < extenders.size(); ++i) {
    if (!IsOurs(extenders[i])) continue;
    const std::string path = "extenders[" + std::to_string(i) + "]";
    if (std::exchange(found, true)) {
      findings.push_back({Severity::kError, path,
                          std::string("a second one of Longshore's") + kRefused,
                          "remove one of them"});
    }
    ExtenderLint(extenders[i], path, findings).Run();
  }
  if (!found) {
    findings.push_back({Severity::kError, "extenders", "none of them is Longshore's",
                        "add the stanza of docs/placement.md"});
  }
  return findings;
}

}  // namespace

Findings LintSchedulerConfiguration(std::string_view yaml) {
  try {
    Findings findings = Lint(YAML::Load(std::string(yaml)));
    if (findings.empty()) findings.push_back({Severity::kOk, "extenders", "as it should be", ""});
    return findings;
  } catch (const YAML::Exception& error) {
    return {{Severity::kError, "YAML", error.what(), "correct it there"}};
  }
}

}  // namespace longshore::cli
