// SPDX-License-Identifier: Apache-2.0
//
// See certificates.h.
#include "tests/common/tls/certificates.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include <filesystem>

#include "common/base/files.h"

namespace longshore::test {
namespace {

template <class Write>
std::string ToPem(Write write) {
  BIO* bio = BIO_new(BIO_s_mem());
  LS_CHECK(write(bio) == 1);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);  // NOLINT(google-runtime-int)
  std::string pem(data, static_cast<size_t>(size));
  BIO_free(bio);
  return pem;
}

Certificate Pem(X509* certificate, EVP_PKEY* key) {
  return {ToPem([&](BIO* bio) { return PEM_write_bio_X509(bio, certificate); }),
          ToPem([&](BIO* bio) {
            return PEM_write_bio_PrivateKey(bio, key, nullptr, nullptr, 0, nullptr, nullptr);
          })};
}

void Extend(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  LS_CHECK(extension != nullptr && X509_add_ext(certificate, extension, -1) == 1);
  X509_EXTENSION_free(extension);
}

X509* Unsigned(const std::string& common_name, EVP_PKEY* key, long serial) {  // NOLINT
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 86400);
  X509_set_pubkey(certificate, key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1,
                             0);
  return certificate;
}

}  // namespace

TestAuthority::TestAuthority(const std::string& common_name) : key_(EVP_EC_gen("P-256")) {
  certificate_.reset(Unsigned(common_name, key_.get(), serial_++));
  X509* self = certificate_.get();
  X509_set_issuer_name(self, X509_get_subject_name(self));
  Extend(self, self, NID_basic_constraints, "critical,CA:TRUE");
  Extend(self, self, NID_subject_key_identifier, "hash");
  LS_CHECK(X509_sign(self, key_.get(), EVP_sha256()) > 0);
  own_ = Pem(self, key_.get());
}

Certificate TestAuthority::Issue(const std::string& common_name,
                                 const std::vector<std::string>& names) {
  const std::unique_ptr<EVP_PKEY, KeyDeleter> key(EVP_EC_gen("P-256"));
  const std::unique_ptr<X509, CertificateDeleter> certificate(
      Unsigned(common_name, key.get(), serial_++));
  X509_set_issuer_name(certificate.get(), X509_get_subject_name(certificate_.get()));
  std::string joined;
  for (const std::string& name : names) joined += (joined.empty() ? "" : ",") + name;
  if (!joined.empty()) {
    Extend(certificate.get(), certificate_.get(), NID_subject_alt_name, joined);
  }
  LS_CHECK(X509_sign(certificate.get(), key_.get(), EVP_sha256()) > 0);
  return Pem(certificate.get(), key.get());
}

TemporaryFolder::TemporaryFolder() {
  std::string name = (std::filesystem::temp_directory_path() / "longshore-test-XXXXXX").string();
  LS_CHECK(::mkdtemp(name.data()) != nullptr);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryFolder::Write(const std::string& name, const std::string& content) const {
  const std::string path = path_ + "/" + name;
  LS_CHECK(WriteFileAtomically(path, content, 0600).has_value());
  return path;
}

}  // namespace longshore::test
