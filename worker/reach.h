// SPDX-License-Identifier: Apache-2.0
//
// Whether a server can be reached, and trusted: said in seconds and in clear words, where the tools
// would retry for a quarter of an hour (restic) or mix causes. Called before restic is started.
#pragma once

#include <netdb.h>

#include <chrono>
#include <string>

#include "worker/cancellation.h"
#include "worker/outcome.h"

namespace longshore::worker {

struct ReachOptions {
  std::string host;
  int port = 0;
  bool tls = false;
  std::string ca_file;                      // PEM; empty: the system's authorities
  std::chrono::milliseconds timeout{8000};  // all of it: name, connection, handshake
  decltype(&::getaddrinfo) resolve = &::getaddrinfo;
};

// Connects, and with tls shakes hands and checks the certificate's chain and name.
// Failures: Unreachable (retryable); Configuration for a certificate that cannot be trusted.
Outcome<void> CheckReach(const ReachOptions& options, const Cancellation& cancellation);

}  // namespace longshore::worker
