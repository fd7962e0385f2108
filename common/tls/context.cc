// SPDX-License-Identifier: Apache-2.0
//
// See context.h.
#include "common/tls/context.h"

#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace longshore::tls {
namespace {

template <auto kFree>
struct Deleter {
  template <class T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, Deleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;

BioPtr ReadOnly(const std::string& pem) {
  return BioPtr(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

// Keys with a pass phrase are refused rather than asked for on a terminal.
int NoPassphrase(char*, int, int, void*) { return 0; }

bool IsIpAddress(const std::string& host) {
  in6_addr address;
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

// Adds every certificate of the PEM to the context's trust store. A CA that is not self-signed is
// a trust anchor too, as it is for Kubernetes' own clients.
Status TrustOnly(SSL_CTX* context, const std::string& ca_pem) {
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  const BioPtr bio = ReadOnly(ca_pem);
  size_t count = 0;
  while (const X509Ptr certificate{PEM_read_bio_X509(bio.get(), nullptr, NoPassphrase, nullptr)}) {
    if (X509_STORE_add_cert(store, certificate.get()) != 1) {
      return InvalidArgument("CA certificate: " + TakeError());
    }
    ++count;
  }
  ERR_clear_error();
  if (count == 0) return InvalidArgument("the CA holds no PEM certificate");
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
  return {};
}

Status UseCertificate(SSL_CTX* context, const std::string& certificate_pem,
                      const std::string& key_pem) {
  const BioPtr chain = ReadOnly(certificate_pem);
  const X509Ptr leaf{PEM_read_bio_X509(chain.get(), nullptr, NoPassphrase, nullptr)};
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1) {
    return InvalidArgument("certificate: " + TakeError());
  }
  while (X509* next = PEM_read_bio_X509(chain.get(), nullptr, NoPassphrase, nullptr)) {
    SSL_CTX_add0_chain_cert(context, next);
  }
  ERR_clear_error();
  const BioPtr bio = ReadOnly(key_pem);
  const KeyPtr key{PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassphrase, nullptr)};
  if (!key) return InvalidArgument("private key: " + TakeError());
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    return InvalidArgument("private key does not fit the certificate: " + TakeError());
  }
  return {};
}

int OnVerify(int ok, X509_STORE_CTX* store) {
  if (ok == 1) return ok;
  const auto* ssl =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
  auto* failure = static_cast<VerifyFailure*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
  if (failure != nullptr) {
    failure->reason = X509_verify_cert_error_string(X509_STORE_CTX_get_error(store));
  }
  return ok;
}

}  // namespace

Status ConfigureClient(SSL_CTX* context, const ClientSettings& settings, VerifyFailure* failure) {
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  LS_RETURN_IF_ERROR(TrustOnly(context, settings.ca_pem));
  if (!settings.certificate_pem.empty() || !settings.key_pem.empty()) {
    LS_RETURN_IF_ERROR(UseCertificate(context, settings.certificate_pem, settings.key_pem));
  }
  X509_VERIFY_PARAM* param = SSL_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_hostflags(
      param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  const std::string& name = settings.server_name;
  const int named = IsIpAddress(name)
                        ? X509_VERIFY_PARAM_set1_ip_asc(param, name.c_str())
                        : X509_VERIFY_PARAM_set1_host(param, name.c_str(), name.size());
  if (name.empty() || named != 1) return InvalidArgument("server name \"" + name + "\"");
  SSL_CTX_set_app_data(context, failure);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, OnVerify);
  return {};
}

Result<ContextPtr> NewServerContext(const ServerSettings& settings) {
  ContextPtr context(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
  if (!context) return Internal("SSL_CTX_new: " + TakeError());
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                                         SSL_OP_NO_COMPRESSION);
  LS_RETURN_IF_ERROR(UseCertificate(context.get(), settings.certificate_pem, settings.key_pem));
  // Connections live long: resumption would save little and costs memory and a key to guard.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
  if (!settings.client_ca_pem.empty()) {
    LS_RETURN_IF_ERROR(TrustOnly(context.get(), settings.client_ca_pem));
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, OnVerify);
  }
  return context;
}

std::string PeerCommonName(const SSL* ssl) {
  const X509Ptr certificate{SSL_get1_peer_certificate(ssl)};
  if (!certificate || SSL_get_verify_result(ssl) != X509_V_OK) return "";
  X509_NAME* subject = X509_get_subject_name(certificate.get());
  const int index = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (index < 0) return "";
  unsigned char* text = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, index)));
  if (size < 0) return "";
  std::string name(reinterpret_cast<char*>(text), static_cast<size_t>(size));
  OPENSSL_free(text);
  return name;
}

std::string TakeError() {
  const unsigned long code = ERR_get_error();  // NOLINT(google-runtime-int): OpenSSL's type
  ERR_clear_error();
  if (code == 0) return "unknown TLS error";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : "TLS error " + std::to_string(code);
}

}  // namespace longshore::tls
