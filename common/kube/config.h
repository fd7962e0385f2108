// SPDX-License-Identifier: Apache-2.0
//
// How to reach an API server: from a kubeconfig file or from inside a pod.
#pragma once

#include <string>

#include "common/base/result.h"

namespace longshore::kube {

struct Config {
  std::string server;  // "https://host:port"
  std::string ca_pem;
  std::string server_name;  // tls-server-name, if the kubeconfig has one
  std::string client_certificate_pem, client_key_pem;
  std::string token;       // static bearer token
  std::string token_file;  // wins over token; re-read at least once a minute and after a 401
  std::string default_namespace = "default";
};

// Reads a kubeconfig: current context (or `context`), inline data or files, client certificate,
// token or tokenFile. exec plug-ins are refused with a clear error. Errors name file and field.
Result<Config> LoadKubeconfig(const std::string& path, const std::string& context = "");

// The pod's own service account. Errors: kFailedPrecondition outside a pod.
Result<Config> InCluster();

// For tools: `path` if given, else $KUBECONFIG, else in-cluster, else ~/.kube/config.
Result<Config> LoadConfig(const std::string& path = "", const std::string& context = "");

}  // namespace longshore::kube
