// SPDX-License-Identifier: Apache-2.0
//
// OpenSSL contexts set up the one way that we allow: TLS 1.2 or newer, peers verified, PEM from
// memory. Used by common/http and common/streams, whose libraries would each do it differently.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "common/base/result.h"

namespace longshore::tls {

using ContextPtr = std::shared_ptr<SSL_CTX>;

struct ClientSettings {
  std::string ca_pem;                    // required: whom to trust, and nobody else
  std::string certificate_pem, key_pem;  // both or neither; the chain follows the certificate
  std::string server_name;               // DNS name or IP address that the certificate must carry
};

struct ServerSettings {
  std::string certificate_pem, key_pem;
  std::string client_ca_pem;  // not empty: a client certificate signed by it is required
};

// What the last failed verification on a context said. Written on the connecting thread.
struct VerifyFailure {
  std::string reason;  // "self-signed certificate in certificate chain", …
};

// Makes `context` verify the server during the handshake, so that nothing is sent to a wrong one.
// `failure`, if given, outlives the context. Errors: kInvalidArgument, saying which PEM.
Status ConfigureClient(SSL_CTX* context, const ClientSettings& settings,
                       VerifyFailure* failure = nullptr);

// Errors: kInvalidArgument, saying which PEM.
Result<ContextPtr> NewServerContext(const ServerSettings& settings);

// The common name of the verified peer certificate; empty without one.
std::string PeerCommonName(const SSL* ssl);

// The oldest entry of OpenSSL's error queue of this thread as text; empties the queue.
std::string TakeError();

}  // namespace longshore::tls
