// SPDX-License-Identifier: Apache-2.0
//
// See raw_connection.h.
#include "tests/common/tls/raw_connection.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <sys/socket.h>

namespace longshore::test {

RawConnection::RawConnection(int port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  ::setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const timeval time{5, 0};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time);
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &time, sizeof time);
  LS_CHECK(::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
}

bool RawConnection::StartTls(int max_version, const std::string& certificate_pem,
                             const std::string& key_pem) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_security_level(context, 0);  // old versions are off above it
  SSL_CTX_set_min_proto_version(context, 0);
  SSL_CTX_set_max_proto_version(context, max_version);
  if (!certificate_pem.empty()) {
    BIO* bio = BIO_new_mem_buf(certificate_pem.data(), -1);
    X509* certificate = PEM_read_bio_X509(bio, nullptr, nullptr, nullptr);
    SSL_CTX_use_certificate(context, certificate);
    X509_free(certificate);
    BIO_free(bio);
    bio = BIO_new_mem_buf(key_pem.data(), -1);
    EVP_PKEY* key = PEM_read_bio_PrivateKey(bio, nullptr, nullptr, nullptr);
    SSL_CTX_use_PrivateKey(context, key);
    EVP_PKEY_free(key);
    BIO_free(bio);
  }
  ssl_.reset(SSL_new(context));
  SSL_CTX_free(context);
  SSL_set_fd(ssl_.get(), fd_.get());
  return SSL_connect(ssl_.get()) == 1;
}

void RawConnection::Send(std::string_view bytes) {
  if (ssl_) {
    SSL_write(ssl_.get(), bytes.data(), static_cast<int>(bytes.size()));
    return;
  }
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

ssize_t RawConnection::ReadSome(char* data, size_t size) {
  if (ssl_) return SSL_read(ssl_.get(), data, static_cast<int>(size));
  return ::recv(fd_.get(), data, size, 0);
}

std::string RawConnection::ReadUntil(std::string_view text) {
  std::string all;
  char buffer[4096];
  while (all.find(text) == std::string::npos) {
    const ssize_t got = ReadSome(buffer, sizeof buffer);
    if (got <= 0) break;
    all.append(buffer, static_cast<size_t>(got));
  }
  return all;
}

std::string RawConnection::ReadToEnd(bool* closed, std::chrono::milliseconds time) {
  const timeval limit{time.count() / 1000, time.count() % 1000 * 1000};
  ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  std::string all;
  char buffer[4096];
  ssize_t got;
  while ((got = ReadSome(buffer, sizeof buffer)) > 0) all.append(buffer, static_cast<size_t>(got));
  if (closed != nullptr) *closed = got == 0 || errno == ECONNRESET;
  return all;
}

void RawConnection::CloseWriting() { ::shutdown(fd_.get(), SHUT_WR); }

}  // namespace longshore::test
