// SPDX-License-Identifier: Apache-2.0
#include "extender/options.h"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "common/base/log.h"
#include "common/base/strings.h"

#ifndef LONGSHORE_VERSION
#define LONGSHORE_VERSION "0.0.0"
#endif

namespace longshore::extender {
namespace {

void Describe(CLI::App& app, Options& o, std::vector<std::string>& allowed) {
  app.set_version_flag("--version", std::string(LONGSHORE_VERSION));
  const auto port = CLI::Range(0, 65535);
  app.add_option("--port", o.port, "HTTPS with client certificates, for kube-scheduler; 0: any")
      ->check(port)
      ->capture_default_str();
  app.add_option("--health-port", o.health_port, "/healthz, /readyz and /metrics; 0: any")
      ->check(port)
      ->capture_default_str();
  app.add_option("--tls-dir", o.tls_dir, "folder with tls.crt and tls.key; re-read on change")
      ->capture_default_str();
  app.add_option("--client-ca-file", o.client_ca_file, "CA that client certificates come from")
      ->capture_default_str();
  app.add_option("--allowed-client", allowed,
                 "common name of a client that is heard; may be repeated [longshore-scheduler]");
  app.add_option("--controller", o.controller, "HOST:PORT of the controller's streams")
      ->capture_default_str();
  app.add_option("--ca-file", o.ca_file, "CA of the controller's certificate")
      ->capture_default_str();
  app.add_option("--token-file", o.token_file, "service account token for the controller")
      ->capture_default_str();
  app.add_option("--kubeconfig", o.kubeconfig, "instead of the pod's own service account");
  app.add_option("--log-level", o.log_level, "debug, info, warn or error")
      ->check(CLI::IsMember({"debug", "info", "warn", "error"}))
      ->capture_default_str();
}

Status SplitController(Options& options) {
  const size_t colon = options.controller.rfind(':');
  const auto port = colon == std::string::npos
                        ? Result<int64_t>(InvalidArgument("no port"))
                        : ParseInt(std::string_view(options.controller).substr(colon + 1));
  if (colon == 0 || !port.has_value() || *port < 1 || *port > 65535) {
    return InvalidArgument("--controller: expected HOST:PORT, got " + options.controller);
  }
  options.controller_host = options.controller.substr(0, colon);
  options.controller_port = static_cast<int>(*port);
  return {};
}

}  // namespace

Parsed ParseOptions(int argc, char** argv, Options& options) {
  CLI::App app("Longshore's scheduler extender: places backup pods near the data they copy.",
               "longshore-extender");
  std::vector<std::string> allowed;
  Describe(app, options, allowed);
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& success) {
    app.exit(success);  // prints help or version
    return Parsed::kExitSuccess;
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "longshore-extender: %s\n", error.what());
    return Parsed::kExitUsage;
  }
  if (!allowed.empty()) options.allowed_clients = {allowed.begin(), allowed.end()};
  if (const Status split = SplitController(options); !split.has_value()) {
    std::fprintf(stderr, "longshore-extender: %s\n", split.error().message.c_str());
    return Parsed::kExitUsage;
  }
  return Parsed::kRun;
}

}  // namespace longshore::extender
