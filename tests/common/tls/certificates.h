// SPDX-License-Identifier: Apache-2.0
//
// Certificates for tests, made in the process: an authority that signs what it is asked for, and a
// folder for files that goes away with the test.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <vector>

namespace longshore::test {

struct Certificate {
  std::string certificate_pem, key_pem;
};

class TestAuthority {
 public:
  explicit TestAuthority(const std::string& common_name = "test authority");
  const std::string& ca_pem() const { return own_.certificate_pem; }
  // `names`: subject alternative names as OpenSSL writes them, e.g. {"DNS:a.b", "IP:127.0.0.1"}.
  Certificate Issue(const std::string& common_name, const std::vector<std::string>& names = {});
  // For localhost and 127.0.0.1.
  Certificate IssueLocalhost() { return Issue("localhost", {"DNS:localhost", "IP:127.0.0.1"}); }

 private:
  struct KeyDeleter {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  };
  struct CertificateDeleter {
    void operator()(X509* certificate) const { X509_free(certificate); }
  };
  std::unique_ptr<EVP_PKEY, KeyDeleter> key_;
  std::unique_ptr<X509, CertificateDeleter> certificate_;
  Certificate own_;
  long serial_ = 1;  // NOLINT(google-runtime-int): OpenSSL's type
};

class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  // Writes (atomically replaces) a file; returns its path.
  std::string Write(const std::string& name, const std::string& content) const;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace longshore::test
