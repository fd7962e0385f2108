// SPDX-License-Identifier: Apache-2.0
//
// See client.h. What cpp-httplib leaves to its user and is decided here: verification inside the
// TLS handshake, requests are written once (only a GET is ever repeated, see Run), time-outs told
// from broken connections, and cancelling from another thread at any stage.
#include "common/http/client.h"

#include <httplib.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <atomic>
#include <csignal>
#include <locale>
#include <mutex>

#include "common/base/files.h"
#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/http/url.h"
#include "common/tls/context.h"

namespace longshore::http {
namespace {

constexpr size_t kMaxBodyBytes = size_t{256} << 20;
using OnData = std::function<bool(std::string_view)>;

// How calls fail that may be made again: the end of what is said of them, or the front of that.
constexpr char kRefused[] = ": connection refused";
constexpr char kNoConnection[] = ": no connection within the time-out";
constexpr char kNoHandshake[] = ": no TLS handshake within the time-out";
constexpr char kHandshakeFailed[] = ": TLS handshake failed";
constexpr char kBroke[] = ": connection broke: ";

// Sends the name of the certificate asked for as SNI, which may differ from the URL's host: TLS
// servers and tunnels choose the certificate by it. Runs before the ClientHello is made.
const char kSniIndexName[] = "longshore-sni";
int SniIndex() {
  static const int index =
      SSL_CTX_get_ex_new_index(0, const_cast<char*>(kSniIndexName), nullptr, nullptr, nullptr);
  return index;
}
void SetSni(const SSL* ssl, int where, int) {
  if ((where & SSL_CB_HANDSHAKE_START) == 0) return;
  const auto* name =
      static_cast<const std::string*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), SniIndex()));
  SSL_set_tlsext_host_name(const_cast<SSL*>(ssl), name->c_str());
}

// What has to be so in the whole process before the first request.
void PrepareProcess() {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  // cpp-httplib compiles a regular expression in each thread. That looks characters up in tables
  // which libstdc++ fills on the first use of each, without a lock: they are filled here.
  const auto& characters = std::use_facet<std::ctype<char>>(std::locale());
  for (int c = 0; c < 256; ++c) {
    characters.narrow(characters.widen(static_cast<char>(c)), '\0');
  }
}

// Whether the name of a host may have an address: not where the resolver knows that it has none.
bool HasAddress(const std::string& host) {
  addrinfo* found = nullptr;
  const int failure = ::getaddrinfo(host.c_str(), nullptr, nullptr, &found);
  if (failure == 0) ::freeaddrinfo(found);
  return failure != EAI_NONAME && failure != EAI_NODATA;
}

// A dead peer is noticed within half a minute, also in a watch that only reads.
void KeepConnectionHonest(int fd) {
  const int on = 1, idle = 15, interval = 5, count = 3, user_timeout_ms = 30000;
  ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
  ::setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &count, sizeof count);
  ::setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &user_timeout_ms, sizeof user_timeout_ms);
}

bool IsToken(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_';
  });
}

// What is written as it is must not be able to end its line.
Status CheckRequest(const ClientRequest& request) {
  if (!IsToken(request.method)) return InvalidArgument("method \"" + request.method + "\"");
  const bool clean = std::all_of(request.path.begin(), request.path.end(),
                                 [](unsigned char c) { return c > ' ' && c != 0x7f && c != '#'; });
  if (!request.path.starts_with('/') || !clean) {
    return InvalidArgument("path \"" + request.path + "\" is not an encoded path");
  }
  for (const auto& [name, value] : request.headers) {
    const bool one_line = std::none_of(value.begin(), value.end(), [](unsigned char c) {
      return (c < ' ' && c != '\t') || c == 0x7f;
    });
    if (!IsToken(name) || !one_line) return InvalidArgument("header \"" + name + "\"");
  }
  return {};
}

}  // namespace

class Client::Impl {
 public:
  static Result<std::unique_ptr<Impl>> Create(ClientOptions options);
  Result<ClientResponse> Run(const ClientRequest& request, const OnData* on_data);
  void Cancel();

 private:
  // One request's way through cpp-httplib and what was seen of it.
  struct Attempt {
    ClientResponse response;
    httplib::Error error = httplib::Error::Success;
    bool ok = false;
    bool reused = false;   // the request went out on a connection that had been idle
    bool replied = false;  // the header of a reply arrived
    bool stopped = false;  // on_data had enough
    bool too_large = false;
    std::chrono::steady_clock::time_point last_byte;
  };

  Impl(ClientOptions options, BaseUrl url) : options_(std::move(options)), url_(std::move(url)) {}
  Status MakeTlsClient();
  void Configure();
  void OnSocket(int fd);
  void ShutDownSocket() LS_EXCLUDES(state_mutex_);
  httplib::Request Prepare(const ClientRequest& request) const;
  Attempt Try(const ClientRequest& request, const OnData* on_data);
  bool Receive(Attempt& attempt, const OnData* on_data, std::string_view bytes);
  Error Explain(const ClientRequest& request, const Attempt& attempt) const;

  const ClientOptions options_;
  const BaseUrl url_;
  std::string sni_;
  tls::VerifyFailure verify_failure_;
  std::unique_ptr<httplib::ClientImpl> client_;
  std::mutex call_mutex_;  // one call at a time; held while it runs

  std::atomic<bool> cancelled_{false};
  uint64_t connections_ = 0;  // made so far; by the calling thread only
  uint64_t writes_ = 0;       // requests written in this attempt, likewise
  Attempt* attempt_ = nullptr;
  uint64_t connections_before_ = 0;
  Mutex state_mutex_;
  bool running_ LS_GUARDED_BY(state_mutex_) = false;
  // A duplicate of the connection's descriptor: shutdown() through it reaches the connection and
  // never another one that got the number of a closed descriptor.
  UniqueFd socket_ LS_GUARDED_BY(state_mutex_);
};

Result<std::unique_ptr<Client::Impl>> Client::Impl::Create(ClientOptions options) {
  static std::once_flag once;
  std::call_once(once, PrepareProcess);
  LS_ASSIGN_OR_RETURN(BaseUrl url, ParseBaseUrl(options.base_url));
  std::unique_ptr<Impl> impl(new Impl(std::move(options), std::move(url)));
  if (impl->url_.tls) {
    if (auto made = impl->MakeTlsClient(); !made) {
      return Annotate(std::move(made).error(), impl->options_.base_url);
    }
  } else {
    impl->client_ = std::make_unique<httplib::ClientImpl>(impl->url_.host, impl->url_.port);
  }
  impl->Configure();
  return impl;
}

Status Client::Impl::MakeTlsClient() {
  auto client = std::make_unique<httplib::SSLClient>(url_.host, url_.port);
  auto* context = static_cast<SSL_CTX*>(client->tls_context());
  if (context == nullptr) return Internal("no TLS context: " + tls::TakeError());
  sni_ = options_.server_name.empty() ? url_.host : options_.server_name;
  LS_RETURN_IF_ERROR(tls::ConfigureClient(
      context, {options_.ca_pem, options_.client_certificate_pem, options_.client_key_pem, sni_},
      &verify_failure_));
  // Without this call the library would trust the system's authorities as well.
  client->load_ca_cert_store(options_.ca_pem.data(), options_.ca_pem.size());
  // The name was verified in the handshake, and against server_name; the library knows only the
  // URL's host and accepts a common name.
  client->enable_server_hostname_verification(false);
  if (!IsIpAddress(sni_)) {
    SSL_CTX_set_ex_data(context, SniIndex(), &sni_);
    SSL_CTX_set_info_callback(context, SetSni);
  }
  client_ = std::move(client);
  return {};
}

void Client::Impl::Configure() {
  client_->set_keep_alive(true);
  client_->set_follow_location(false);
  client_->set_path_encode(false);
  client_->set_decompress(false);
  client_->set_tcp_nodelay(true);
  client_->set_connection_timeout(options_.connect_timeout);
  client_->set_read_timeout(options_.read_timeout);
  client_->set_write_timeout(options_.read_timeout);
  client_->set_socket_options([this](socket_t fd) { OnSocket(fd); });
  // The library repeats any request whose connection was found closed after it was written. It is
  // stopped here: the second writing fails, and Run decides.
  client_->set_header_writer([this](httplib::Stream& stream, httplib::Headers& headers) -> ssize_t {
    if (cancelled_ || ++writes_ > 1) {
      ShutDownSocket();  // else it would wait for a reply all the same
      return -1;
    }
    attempt_->reused = connections_ == connections_before_;
    return httplib::detail::write_headers(stream, headers);
  });
}

void Client::Impl::OnSocket(int fd) {
  KeepConnectionHonest(fd);
  ++connections_;
  UniqueFd duplicate(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  MutexLock lock(state_mutex_);
  socket_ = std::move(duplicate);
}

void Client::Impl::ShutDownSocket() {
  MutexLock lock(state_mutex_);
  if (socket_.valid()) ::shutdown(socket_.get(), SHUT_RDWR);
}

httplib::Request Client::Impl::Prepare(const ClientRequest& request) const {
  httplib::Request out;
  out.method = request.method;
  out.path = url_.prefix + request.path;
  out.body = request.body;
  for (const auto& [name, value] : request.headers) out.headers.emplace(name, value);
  const auto set_default = [&out](const char* name, const std::string& value) {
    if (!out.has_header(name)) out.headers.emplace(name, value);
  };
  set_default("Host", url_.host_header);
  set_default("Accept", "application/json");
  set_default("Accept-Encoding", "identity");
  set_default("User-Agent", "longshore");
  if (!request.body.empty()) set_default("Content-Type", request.content_type);
  return out;
}

bool Client::Impl::Receive(Attempt& attempt, const OnData* on_data, std::string_view bytes) {
  attempt.last_byte = std::chrono::steady_clock::now();
  if (cancelled_) return false;
  if (on_data != nullptr && attempt.response.status == 200) {
    attempt.stopped = !(*on_data)(bytes);
    return !attempt.stopped;
  }
  if (bytes.size() > kMaxBodyBytes - attempt.response.body.size()) {
    attempt.too_large = true;
    return false;
  }
  attempt.response.body.append(bytes);
  return true;
}

Client::Impl::Attempt Client::Impl::Try(const ClientRequest& request, const OnData* on_data) {
  Attempt attempt;
  attempt.last_byte = std::chrono::steady_clock::now();
  httplib::Request out = Prepare(request);
  const auto on_header = [&](const httplib::Response& reply) {
    const bool again = std::exchange(attempt.replied, true);
    attempt.last_byte = std::chrono::steady_clock::now();
    attempt.response.status = reply.status;
    return again || on_data == nullptr || Receive(attempt, on_data, {});
  };
  out.response_handler = on_header;
  out.content_receiver = [&](const char* data, size_t size, size_t, size_t) {
    return Receive(attempt, on_data, {data, size});
  };
  attempt_ = &attempt;
  writes_ = 0;
  connections_before_ = connections_;
  verify_failure_.reason.clear();
  httplib::Response reply;
  attempt.ok = client_->send(out, reply, attempt.error);
  attempt_ = nullptr;
  if (attempt.ok) on_header(reply);  // replies that cannot have a body skip the handler
  for (const auto& [name, value] : reply.headers) {
    attempt.response.headers.emplace(ToLower(name), value);
  }
  return attempt;
}

Error Client::Impl::Explain(const ClientRequest& request, const Attempt& attempt) const {
  using httplib::Error;
  const std::string what = request.method + " " + options_.base_url + request.path;
  const auto silent = std::chrono::steady_clock::now() - attempt.last_byte;
  if (cancelled_ || attempt.stopped) return {Code::kCancelled, what + ": cancelled"};
  if (attempt.too_large) {
    return {Code::kResourceExhausted,
            what + ": reply larger than " + FormatBytes(static_cast<double>(kMaxBodyBytes))};
  }
  // It was written, on a connection that broke; that there was none to be had after it says
  // nothing.
  const bool written = writes_ > 0 && verify_failure_.reason.empty();
  switch (written ? Error::Read : attempt.error) {
    case Error::InvalidHeaders:
      return InvalidArgument(what + ": a header's name or value is not allowed");
    case Error::ConnectionTimeout:
      return {Code::kDeadlineExceeded, what + kNoConnection};
    case Error::SSLConnection:
    case Error::SSLServerVerification:
    case Error::SSLServerHostnameVerification:
      if (!verify_failure_.reason.empty()) {
        return Unavailable(what + ": TLS verification of \"" + sni_ +
                           "\" failed: " + verify_failure_.reason);
      }
      if (silent >= options_.connect_timeout) {
        return {Code::kDeadlineExceeded, what + kNoHandshake};
      }
      return Unavailable(what + kHandshakeFailed);
    case Error::Connection:
      if (!HasAddress(url_.host)) return Unavailable(what + ": there is no address for that name");
      return Unavailable(what + kRefused);
    default:
      break;
  }
  // Time-outs and broken connections are one error to the library; the clock tells them apart.
  if (silent >= options_.read_timeout - std::chrono::milliseconds(20)) {
    return {Code::kDeadlineExceeded, what + ": no byte within the read time-out"};
  }
  return Unavailable(what + kBroke + httplib::to_string(attempt.error));
}

Result<ClientResponse> Client::Impl::Run(const ClientRequest& request, const OnData* on_data) {
  LS_RETURN_IF_ERROR(CheckRequest(request));
  std::lock_guard call(call_mutex_);
  {
    MutexLock lock(state_mutex_);
    running_ = true;
    cancelled_ = false;
  }
  Attempt attempt = Try(request, on_data);
  // The server may close an idle connection just as we use it. Only then, only when nothing of a
  // reply was seen, and only for a GET is the request sent once more, on a new connection.
  const bool timed_out =
      std::chrono::steady_clock::now() - attempt.last_byte >= options_.read_timeout;
  if (!attempt.ok && attempt.reused && !attempt.replied && !timed_out && !cancelled_ &&
      request.method == "GET") {
    attempt = Try(request, on_data);
  }
  const bool broken = !attempt.ok || cancelled_;
  {
    MutexLock lock(state_mutex_);
    running_ = false;
    if (broken) socket_.Reset();
  }
  if (broken) return Explain(request, attempt);
  return std::move(attempt.response);
}

void Client::Impl::Cancel() {
  MutexLock lock(state_mutex_);
  if (!running_) return;
  cancelled_ = true;
  if (socket_.valid()) ::shutdown(socket_.get(), SHUT_RDWR);
}

Failure Client::FailureOf(const Error& error) {
  const auto says = [&](std::string_view words) {
    return error.message.find(words) != std::string::npos;
  };
  if (says(kBroke)) return Failure::kUnanswered;
  const bool nobody =
      says(kRefused) || says(kNoConnection) || says(kNoHandshake) || says(kHandshakeFailed);
  return nobody ? Failure::kNotReceived : Failure::kFinal;
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::Create(ClientOptions options) {
  LS_ASSIGN_OR_RETURN(auto impl, Impl::Create(std::move(options)));
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

Result<ClientResponse> Client::Send(const ClientRequest& request) {
  return impl_->Run(request, nullptr);
}

Result<ClientResponse> Client::Stream(const ClientRequest& request,
                                      const std::function<bool(std::string_view)>& on_data) {
  return impl_->Run(request, &on_data);
}

void Client::Cancel() { impl_->Cancel(); }

}  // namespace longshore::http
