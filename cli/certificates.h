// SPDX-License-Identifier: Apache-2.0
//
// The X.509 part of `longshore certs`: an EC P-256 authority, what it signs, and how to look at
// either. OpenSSL in process; keys exist as PEM text in memory only. No I/O here.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "common/base/clock.h"
#include "common/base/result.h"

namespace longshore::cli {

// PEM. The key is PKCS #8 without a passphrase: it goes into a Secret and nowhere else.
struct KeyPair {
  std::string certificate;
  std::string key;
};

struct CertificateRequest {
  std::string common_name;
  std::vector<std::string> names;  // subject alternative names: DNS names or IP addresses
  bool server = false;             // extended key usage serverAuth
  bool client = false;             // clientAuth
};

struct CertificateInfo {
  std::string subject, issuer;  // common names
  std::string serial;           // hex
  std::vector<std::string> names;
  WallTime not_before, not_after;
  bool authority = false;
  bool server = false, client = false;
};

// Certificates begin this long before `now`, so that a clock that is a little behind takes them.
inline constexpr std::chrono::minutes kBackdate{5};

Result<KeyPair> MakeAuthority(const std::string& common_name, WallTime now,
                              std::chrono::hours valid_for);
Result<KeyPair> SignCertificate(const KeyPair& authority, const CertificateRequest& request,
                                WallTime now, std::chrono::hours valid_for);

// Errors: kInvalidArgument when it is not a PEM certificate.
Result<CertificateInfo> InspectCertificate(const std::string& pem);
// Splits a bundle into single PEM certificates; what is no certificate between them is dropped.
std::vector<std::string> SplitBundle(const std::string& pem);

// Whether the private key belongs to the certificate.
bool KeyMatches(const KeyPair& pair);
// Whether an authority of the bundle signed the certificate and both are valid at `now`.
Status VerifyCertificate(const std::string& bundle, const std::string& certificate, WallTime now);

}  // namespace longshore::cli
