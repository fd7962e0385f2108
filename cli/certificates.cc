// SPDX-License-Identifier: Apache-2.0
#include "cli/certificates.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <memory>

#include "common/base/strings.h"

namespace longshore::cli {
namespace {

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Certificate = std::unique_ptr<X509, Deleter<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Memory = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using Extension = std::unique_ptr<X509_EXTENSION, Deleter<X509_EXTENSION_free>>;

Error OpensslError(const char* doing) {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  return Internal(std::string(doing) + ": " + (reason != nullptr ? reason : "OpenSSL failed"));
}

std::string Drain(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return size > 0 ? std::string(data, static_cast<size_t>(size)) : std::string();
}

Memory MemoryOf(const std::string& text) {
  return Memory(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

Certificate ParseCertificate(const std::string& pem) {
  Certificate parsed(PEM_read_bio_X509(MemoryOf(pem).get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  return parsed;
}

Key ParseKey(const std::string& pem) {
  // The empty passphrase keeps OpenSSL from asking on the terminal for an encrypted key.
  char empty[] = "";
  Key parsed(PEM_read_bio_PrivateKey(MemoryOf(pem).get(), nullptr, nullptr, empty));
  ERR_clear_error();
  return parsed;
}

bool IsIpAddress(const std::string& name) {
  unsigned char bytes[sizeof(in6_addr)];
  return inet_pton(AF_INET, name.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, name.c_str(), bytes) == 1;
}

bool AddExtension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

// A serial number of 127 random bits: positive, and never the same twice.
bool SetRandomSerial(X509* certificate) {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return false;
  bytes[0] &= 0x7f;
  BIGNUM* number = BN_bin2bn(bytes, sizeof bytes, nullptr);
  const bool done = number != nullptr &&
                    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nullptr;
  BN_free(number);
  return done;
}

// Everything but names, usages and signature.
Certificate NewCertificate(EVP_PKEY* key, const std::string& common_name, WallTime now,
                           std::chrono::hours valid_for) {
  Certificate made(X509_new());
  const time_t from = WallTime::clock::to_time_t(now - kBackdate);
  const time_t until = WallTime::clock::to_time_t(now + valid_for);
  const auto* text = reinterpret_cast<const unsigned char*>(common_name.data());
  const bool done =
      made && X509_set_version(made.get(), X509_VERSION_3) == 1 && SetRandomSerial(made.get()) &&
      ASN1_TIME_set(X509_getm_notBefore(made.get()), from) != nullptr &&
      ASN1_TIME_set(X509_getm_notAfter(made.get()), until) != nullptr &&
      X509_NAME_add_entry_by_NID(X509_get_subject_name(made.get()), NID_commonName, MBSTRING_UTF8,
                                 text, static_cast<int>(common_name.size()), -1, 0) == 1 &&
      X509_set_pubkey(made.get(), key) == 1;
  return done ? std::move(made) : nullptr;
}

Result<KeyPair> ToPem(X509* certificate, EVP_PKEY* key) {
  const Memory cert_out(BIO_new(BIO_s_mem())), key_out(BIO_new(BIO_s_mem()));
  if (PEM_write_bio_X509(cert_out.get(), certificate) != 1 ||
      PEM_write_bio_PKCS8PrivateKey(key_out.get(), key, nullptr, nullptr, 0, nullptr, nullptr) !=
          1) {
    return OpensslError("writing a certificate");
  }
  return KeyPair{Drain(cert_out.get()), Drain(key_out.get())};
}

WallTime ToWallTime(const ASN1_TIME* time) {
  tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return WallTime::clock::from_time_t(timegm(&parts));
}

std::string CommonName(const X509_NAME* name) {
  char text[256] = "";
  X509_NAME_get_text_by_NID(name, NID_commonName, text, sizeof text);
  return text;
}

std::string IpText(const ASN1_OCTET_STRING* address) {
  char text[INET6_ADDRSTRLEN] = "";
  const int family = ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;
  inet_ntop(family, ASN1_STRING_get0_data(address), text, sizeof text);
  return text;
}

std::vector<std::string> AlternativeNames(X509* certificate) {
  std::vector<std::string> names;
  auto* list = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; i < sk_GENERAL_NAME_num(list); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(list, i);
    if (name->type == GEN_DNS) {
      names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                         static_cast<size_t>(ASN1_STRING_length(name->d.dNSName)));
    } else if (name->type == GEN_IPADD) {
      names.push_back(IpText(name->d.iPAddress));
    }
  }
  GENERAL_NAMES_free(list);
  return names;
}

std::string Usages(const CertificateRequest& request) {
  if (request.server && request.client) return "serverAuth,clientAuth";
  return request.server ? "serverAuth" : "clientAuth";
}

}  // namespace

Result<KeyPair> MakeAuthority(const std::string& common_name, WallTime now,
                              std::chrono::hours valid_for) {
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return OpensslError("making a key");
  const Certificate made = NewCertificate(key.get(), common_name, now, valid_for);
  const bool done =
      made && X509_set_issuer_name(made.get(), X509_get_subject_name(made.get())) == 1 &&
      AddExtension(made.get(), made.get(), NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
      AddExtension(made.get(), made.get(), NID_key_usage, "critical,keyCertSign,cRLSign") &&
      AddExtension(made.get(), made.get(), NID_subject_key_identifier, "hash") &&
      X509_sign(made.get(), key.get(), EVP_sha256()) > 0;
  if (!done) return OpensslError("making the certificate authority");
  return ToPem(made.get(), key.get());
}

Result<KeyPair> SignCertificate(const KeyPair& authority, const CertificateRequest& request,
                                WallTime now, std::chrono::hours valid_for) {
  const Certificate issuer = ParseCertificate(authority.certificate);
  const Key issuer_key = ParseKey(authority.key);
  if (!issuer || !issuer_key)
    return InvalidArgument("the authority's certificate or key is damaged");
  const Key key(EVP_EC_gen("P-256"));
  if (!key) return OpensslError("making a key");
  const Certificate made = NewCertificate(key.get(), request.common_name, now, valid_for);
  std::string names;
  for (const std::string& name : request.names) {
    if (name.empty() || name.find_first_of(",\n: ") != std::string::npos) {
      if (!IsIpAddress(name))
        return InvalidArgument("\"" + name + "\" is no DNS name or IP address");
    }
    names += (names.empty() ? "" : ",") + std::string(IsIpAddress(name) ? "IP:" : "DNS:") + name;
  }
  const bool done =
      made && X509_set_issuer_name(made.get(), X509_get_subject_name(issuer.get())) == 1 &&
      AddExtension(made.get(), issuer.get(), NID_basic_constraints, "critical,CA:FALSE") &&
      AddExtension(made.get(), issuer.get(), NID_key_usage, "critical,digitalSignature") &&
      AddExtension(made.get(), issuer.get(), NID_ext_key_usage, Usages(request)) &&
      AddExtension(made.get(), issuer.get(), NID_subject_key_identifier, "hash") &&
      AddExtension(made.get(), issuer.get(), NID_authority_key_identifier, "keyid:always") &&
      (names.empty() || AddExtension(made.get(), issuer.get(), NID_subject_alt_name, names)) &&
      X509_sign(made.get(), issuer_key.get(), EVP_sha256()) > 0;
  if (!done) return OpensslError(("signing the certificate of " + request.common_name).c_str());
  return ToPem(made.get(), key.get());
}

Result<CertificateInfo> InspectCertificate(const std::string& pem) {
  const Certificate parsed = ParseCertificate(pem);
  if (!parsed) return InvalidArgument("not a PEM certificate");
  CertificateInfo info;
  info.subject = CommonName(X509_get_subject_name(parsed.get()));
  info.issuer = CommonName(X509_get_issuer_name(parsed.get()));
  const ASN1_INTEGER* serial = X509_get0_serialNumber(parsed.get());
  info.serial = HexEncode({reinterpret_cast<const char*>(ASN1_STRING_get0_data(serial)),
                           static_cast<size_t>(ASN1_STRING_length(serial))});
  info.names = AlternativeNames(parsed.get());
  info.not_before = ToWallTime(X509_get0_notBefore(parsed.get()));
  info.not_after = ToWallTime(X509_get0_notAfter(parsed.get()));
  info.authority = X509_check_ca(parsed.get()) == 1;
  const uint32_t usage = X509_get_extended_key_usage(parsed.get());
  info.server = usage != UINT32_MAX && (usage & XKU_SSL_SERVER) != 0;
  info.client = usage != UINT32_MAX && (usage & XKU_SSL_CLIENT) != 0;
  return info;
}

std::vector<std::string> SplitBundle(const std::string& pem) {
  static constexpr std::string_view kBegin = "-----BEGIN CERTIFICATE-----";
  static constexpr std::string_view kEnd = "-----END CERTIFICATE-----";
  std::vector<std::string> certificates;
  size_t from = pem.find(kBegin);
  while (from != std::string::npos) {
    const size_t end = pem.find(kEnd, from);
    if (end == std::string::npos) break;
    certificates.push_back(pem.substr(from, end + kEnd.size() - from) + "\n");
    from = pem.find(kBegin, end);
  }
  return certificates;
}

bool KeyMatches(const KeyPair& pair) {
  const Certificate certificate = ParseCertificate(pair.certificate);
  const Key key = ParseKey(pair.key);
  const bool matches =
      certificate && key && X509_check_private_key(certificate.get(), key.get()) == 1;
  ERR_clear_error();
  return matches;
}

Status VerifyCertificate(const std::string& bundle, const std::string& certificate, WallTime now) {
  const std::unique_ptr<X509_STORE, Deleter<X509_STORE_free>> store(X509_STORE_new());
  const std::unique_ptr<X509_STORE_CTX, Deleter<X509_STORE_CTX_free>> context(X509_STORE_CTX_new());
  const Certificate leaf = ParseCertificate(certificate);
  if (!store || !context || !leaf) return InvalidArgument("not a PEM certificate");
  for (const std::string& pem : SplitBundle(bundle)) {
    const Certificate authority = ParseCertificate(pem);
    if (authority) X509_STORE_add_cert(store.get(), authority.get());
  }
  if (X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), nullptr) != 1) {
    return OpensslError("verifying a certificate");
  }
  X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(context.get()),
                             WallTime::clock::to_time_t(now));
  if (X509_verify_cert(context.get()) == 1) return {};
  ERR_clear_error();
  return FailedPrecondition(X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get())));
}

}  // namespace longshore::cli
