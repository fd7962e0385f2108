// SPDX-License-Identifier: Apache-2.0
#include "worker/reach.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "common/base/files.h"

namespace longshore::worker {
namespace {

using Deadline = std::chrono::steady_clock::time_point;

struct AddressesDeleter {
  void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};
struct ContextDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct SslDeleter {
  void operator()(SSL* ssl) const { SSL_free(ssl); }
};

std::string Name(const ReachOptions& options) {
  return options.host + ":" + std::to_string(options.port);
}

Failure Unreached(const ReachOptions& options, const std::string& why) {
  return {kUnreachable, Name(options) + ": " + why, true};
}

// Waits for the socket. False: the deadline passed or the operation was cancelled.
bool WaitFor(int fd, short events, Deadline deadline, const Cancellation& cancellation) {
  std::vector<pollfd> fds{{fd, events, 0}};
  for (const int event : cancellation.fds()) fds.push_back({event, POLLIN, 0});
  while (!cancellation.cancelled()) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    const int rc = ::poll(fds.data(), fds.size(), static_cast<int>(left.count()));
    if (rc > 0 && fds[0].revents != 0) return true;
    if (rc < 0 && errno != EINTR) return false;
  }
  return false;
}

// Connects to one address; the text says why not.
tl::expected<UniqueFd, std::string> Connect(const addrinfo& address, Deadline deadline,
                                            const Cancellation& cancellation) {
  UniqueFd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return tl::unexpected(std::string(std::strerror(errno)));
  if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) == 0) return fd;
  if (errno != EINPROGRESS) return tl::unexpected(std::string(std::strerror(errno)));
  if (!WaitFor(fd.get(), POLLOUT, deadline, cancellation)) {
    return tl::unexpected(std::string("connecting timed out"));
  }
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  if (error != 0) return tl::unexpected(std::string(std::strerror(error)));
  return fd;
}

struct Lookup {
  int rc = 0;
  std::unique_ptr<addrinfo, AddressesDeleter> addresses;
};

// The resolver waits up to a minute for name servers that don't answer, and cannot be stopped: it
// is left behind on a thread of its own when the time is over.
Outcome<std::unique_ptr<addrinfo, AddressesDeleter>> Resolve(const ReachOptions& options,
                                                             Deadline deadline,
                                                             const Cancellation& cancellation) {
  std::promise<Lookup> promise;
  std::future<Lookup> future = promise.get_future();
  std::thread([promise = std::move(promise), resolve = options.resolve, host = options.host,
               port = std::to_string(options.port)]() mutable {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    Lookup lookup;
    lookup.rc = resolve(host.c_str(), port.c_str(), &hints, &found);
    if (lookup.rc == 0) lookup.addresses.reset(found);
    promise.set_value(std::move(lookup));
  }).detach();
  while (future.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
    if (cancellation.cancelled()) return Failure{kCancelledClass, "cancelled", false};
    if (std::chrono::steady_clock::now() >= deadline) {
      return Unreached(options, "looking up its name timed out");
    }
  }
  Lookup lookup = future.get();
  if (lookup.rc != 0) return Unreached(options, ::gai_strerror(lookup.rc));
  return std::move(lookup.addresses);
}

std::string LastSslError() {
  char text[256] = "handshake failed";
  if (const unsigned long error = ERR_peek_last_error(); error != 0) {
    ERR_error_string_n(error, text, sizeof text);
  }
  return text;
}

Outcome<void> Handshake(const ReachOptions& options, int fd, Deadline deadline,
                        const Cancellation& cancellation) {
  ERR_clear_error();
  const std::unique_ptr<SSL_CTX, ContextDeleter> context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  const int loaded = options.ca_file.empty()
                         ? SSL_CTX_set_default_verify_paths(context.get())
                         : SSL_CTX_load_verify_file(context.get(), options.ca_file.c_str());
  if (loaded != 1) return Failure{kConfiguration, Name(options) + ": the CA is not PEM", false};
  const std::unique_ptr<SSL, SslDeleter> ssl(SSL_new(context.get()));
  SSL_set_fd(ssl.get(), fd);
  // An address is looked for among the certificate's addresses, a name among its names.
  X509_VERIFY_PARAM* parameters = SSL_get0_param(ssl.get());
  if (X509_VERIFY_PARAM_set1_ip_asc(parameters, options.host.c_str()) != 1) {
    SSL_set1_host(ssl.get(), options.host.c_str());
    SSL_set_tlsext_host_name(ssl.get(), options.host.c_str());
  }
  while (true) {
    const int rc = SSL_connect(ssl.get());
    if (rc == 1) break;
    const int error = SSL_get_error(ssl.get(), rc);
    const bool wait = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    const short events = error == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN;
    if (wait && WaitFor(fd, events, deadline, cancellation)) continue;
    if (wait) return Unreached(options, "the TLS handshake timed out");
    const long verdict = SSL_get_verify_result(ssl.get());
    if (verdict != X509_V_OK) {
      return Failure{kConfiguration,
                     Name(options) + ": its certificate is not trusted: " +
                         X509_verify_cert_error_string(verdict),
                     false};
    }
    return Unreached(options, LastSslError());
  }
  SSL_shutdown(ssl.get());
  return {};
}

}  // namespace

Outcome<void> CheckReach(const ReachOptions& options, const Cancellation& cancellation) {
  const Deadline deadline = std::chrono::steady_clock::now() + options.timeout;
  LS_ASSIGN_OR_RETURN(const auto addresses, Resolve(options, deadline, cancellation));
  std::string why = "no address";
  for (const addrinfo* next = addresses.get(); next != nullptr; next = next->ai_next) {
    auto connected = Connect(*next, deadline, cancellation);
    if (cancellation.cancelled()) return Failure{kCancelledClass, "cancelled", false};
    if (connected) {
      return options.tls ? Handshake(options, connected->get(), deadline, cancellation)
                         : Outcome<void>();
    }
    why = connected.error();
  }
  return Unreached(options, why);
}

}  // namespace longshore::worker
