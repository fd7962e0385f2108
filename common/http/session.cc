// SPDX-License-Identifier: Apache-2.0
//
// See session.h.
#include "common/http/session.h"

#include <ctime>

#include "common/base/log.h"
#include "common/base/log_limit.h"

namespace longshore::http {
namespace {

constexpr auto kLinger = std::chrono::seconds(1);
// Of all connections together. Over it, peers that don't take their reply at once lose it.
constexpr size_t kMostUnsent = 64u << 20;
// Of a body that is copied behind its head, to leave in one packet with it.
constexpr size_t kMostJoined = 1 << 20;

std::string_view Reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 304:
      return "Not Modified";
    default:
      return status < 400 ? "OK" : status < 500 ? "Client Error" : "Server Error";
  }
}

std::string HttpDate() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char text[40];
  return {text, std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts)};
}

// What a handler does wrong is our defect, and a peer may call it as often as he likes.
void LogDefect(std::string_view message, const char* key, std::string_view value,
               std::string_view path = "") {
  static LogRate rate;
  const auto left_out = rate.Admit();
  if (!left_out) return;
  LogError(message, {{key, value}, {"path", path}, {"leftOut", *left_out}});
}

// Nothing that a handler puts into a header may end it.
bool IsHeaderValue(std::string_view text) {
  return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

constexpr char kConnection[] = "Connection";

void AppendHeader(std::string& head, std::string_view name, std::string_view value) {
  if (!IsHeaderValue(name) || !IsHeaderValue(value)) {
    LogDefect("reply header dropped: it has a line break", "name", name);
    return;
  }
  head.append(name).append(": ").append(value).append("\r\n");
}

std::string Head(const Response& response, bool keep_alive) {
  std::string head = "HTTP/1.1 " + std::to_string(response.status) + " ";
  head.append(Reason(response.status)).append("\r\n");
  AppendHeader(head, "Date", HttpDate());
  if (!response.content_type.empty() && (response.stream || !response.body.empty())) {
    AppendHeader(head, "Content-Type", response.content_type);
  }
  for (const auto& [name, value] : response.headers) {
    if (name != kConnection) AppendHeader(head, name, value);
  }
  if (!response.headers.contains("Cache-Control")) AppendHeader(head, "Cache-Control", "no-store");
  if (!keep_alive) AppendHeader(head, kConnection, "close");
  return head;
}

}  // namespace

Session::Session(UniqueFd fd, std::string remote_address, const tls::ContextPtr& context,
                 const SessionSettings& settings)
    : settings_(settings),
      connection_(std::move(fd), std::move(remote_address), context),
      parser_(settings.options.max_body_bytes),
      state_(context ? State::kHandshake : State::kOpen),
      since_(std::chrono::steady_clock::now()) {}

Session::Time Session::Deadline() const {
  if (state_ == State::kLingering) return since_ + kLinger;
  if (!output_.empty()) {
    return since_ + settings_.options.read_timeout + PatienceFor(reply_bytes_);
  }
  if (idle()) return since_ + settings_.options.keep_alive;
  return since_ + settings_.options.read_timeout + PatienceFor(request_bytes_);
}

Session::Next Session::Wait(Io io) const {
  if (io == Io::kClosed) return {Next::What::kClose, {}};
  return {io == Io::kWantWrite ? Next::What::kWaitToWrite : Next::What::kWaitToRead, Deadline()};
}

Session::Next Session::Advance() {
  if (state_ == State::kHandshake) return AdvanceHandshake();
  if (state_ == State::kOpen) return AdvanceOpen();
  return Linger();
}

Session::Next Session::AdvanceHandshake() {
  const Io io = connection_.Handshake();
  if (io == Io::kClosed) return StartLinger();  // so that the peer gets the alert
  if (io != Io::kOk) return Wait(io);
  state_ = State::kOpen;
  return AdvanceOpen();
}

Session::Next Session::AdvanceOpen() {
  for (bool has_read = false;;) {
    if (!output_.empty()) {
      if (const Io io = Flush(); io != Io::kOk) return Wait(io);
      since_ = std::chrono::steady_clock::now();
    }
    if (last_reply_) return StartLinger();
    if (!input_.empty()) {
      if (!parser_.started() && served_ > 0) since_ = std::chrono::steady_clock::now();
      input_.erase(0, parser_.Feed(input_));
    }
    if (parser_.rejection()) {
      if (!Reply(*parser_.rejection(), false, false, false)) return StartLinger();
      last_reply_ = true;
      continue;
    }
    if (parser_.TakeExpectation()) {
      const Io io = Send("HTTP/1.1 100 Continue\r\n\r\n");
      if (io != Io::kOk) return Wait(io);
    }
    if (parser_.done()) {
      if (!Serve()) return StartLinger();
      continue;
    }
    // Put back, so that the server can drop it if it is the largest.
    if (has_read && TooMuchIsUnanswered()) return Wait(Io::kWantRead);
    const size_t before = input_.size();
    const Io io = connection_.Read(input_);
    SetRequestBytes(request_bytes_ + input_.size() - before);
    has_read = true;
    if (io == Io::kOk) continue;
    // The rest of a request mostly follows at once: cheaper than to change threads for it.
    if (io == Io::kWantRead && parser_.started() &&
        connection_.WaitReadable(std::chrono::milliseconds(1))) {
      if (std::chrono::steady_clock::now() > Deadline()) return {Next::What::kClose, {}};
      continue;
    }
    return Wait(io);
  }
}

void Session::SetRequestBytes(size_t bytes) {
  settings_.unanswered += bytes - request_bytes_;  // modulo 2^64: also downwards
  request_bytes_ = bytes;
}

bool Session::TooMuchIsUnanswered() const {
  return request_bytes_ > kSmallRequest &&
         settings_.unanswered > MostUnanswered(settings_.options) && !connection_.HasBuffered();
}

Session::Next Session::StartLinger() {
  parser_.Reset();  // with what there is of a body
  input_ = {};
  SetRequestBytes(0);
  connection_.FinishWriting();
  state_ = State::kLingering;
  since_ = std::chrono::steady_clock::now();
  return Linger();
}

Session::Next Session::Linger() { return Wait(connection_.Drain()); }

bool Session::Serve() {
  const bool wants_more = parser_.keep_alive();
  const bool no_chunks = parser_.no_chunks();
  Request request = parser_.TakeRequest();
  Response response =
      parser_.rejection() ? *parser_.rejection() : Dispatch(request, parser_.target());
  // A handler's own "Connection: close" sends the client to look for another server.
  const bool keep_alive =
      wants_more && !settings_.stopping && !response.headers.contains(kConnection);
  if (!Reply(std::move(response), keep_alive, request.method == "HEAD", no_chunks)) return false;
  parser_.Reset();
  SetRequestBytes(input_.size());
  ++served_;
  since_ = std::chrono::steady_clock::now();
  last_reply_ = !keep_alive;
  return true;
}

Session::Io Session::Flush() {
  // Taking the sent part off the front would move the rest of a long reply again and again.
  std::string_view rest = std::string_view(output_).substr(sent_);
  const size_t before = rest.size();
  const Io io = connection_.WriteSome(rest);
  settings_.unsent -= before - rest.size();
  sent_ += before - rest.size();
  if (rest.empty()) {
    output_ = {};
    sent_ = 0;
  }
  return io;
}

Session::Io Session::Send(std::string bytes) {
  reply_bytes_ = bytes.size();
  std::string_view rest = bytes;
  const Io io = connection_.WriteSome(rest);
  if (io == Io::kOk || io == Io::kClosed) return io;
  if (settings_.unsent >= kMostUnsent) return Io::kClosed;
  settings_.unsent += rest.size();
  sent_ = bytes.size() - rest.size();
  output_ = std::move(bytes);
  return io;
}

Session::Io Session::SendReply(std::string head, std::string body) {
  if (body.size() <= kMostJoined) return Send(std::move(head.append(body)));
  const Io io = Send(std::move(head));
  if (io == Io::kOk) return Send(std::move(body));
  if (io == Io::kClosed) return io;
  settings_.unsent += body.size();
  reply_bytes_ += body.size();
  output_ += body;
  return io;
}

Response Session::Dispatch(Request& request, const std::string& target) const {
  const Router::Match match = settings_.router.Find(request.method, target);
  if (match.handler == nullptr && !match.known_path) {
    return Problem(404, "Not Found", "there is nothing at " + request.path);
  }
  if (match.handler == nullptr) {
    Response response = Problem(405, "Method Not Allowed", "allowed: " + match.allow);
    response.headers["Allow"] = match.allow;
    return response;
  }
  request.path_params = match.params;
  request.peer_common_name = connection_.peer_common_name();
  request.remote_address = connection_.remote_address();
  request.abandoned = [this] { return settings_.stopping || connection_.PeerGone(); };
  try {
    return (*match.handler)(request);
  } catch (const std::exception& exception) {
    LogDefect("handler threw", "error", exception.what(), request.path);
  } catch (...) {
    LogDefect("handler threw", "error", "not a std::exception", request.path);
  }
  return Problem(500, "Internal Server Error", "");
}

bool Session::Reply(Response response, bool keep_alive, bool head_only, bool no_chunks) {
  const bool streamed = response.stream != nullptr;
  const bool chunked = streamed && !no_chunks;
  std::string out = Head(response, keep_alive && (chunked || !streamed));
  if (chunked) {
    AppendHeader(out, "Transfer-Encoding", "chunked");
  } else if (!streamed && response.status != 204 && response.status != 304) {
    AppendHeader(out, "Content-Length", std::to_string(response.body.size()));
  }
  out += "\r\n";
  if (head_only) response.body.clear();
  if (!streamed || head_only) {
    return SendReply(std::move(out), std::move(response.body)) != Io::kClosed &&
           (!streamed || chunked);
  }
  if (!connection_.Write(out, settings_.options.read_timeout)) return false;
  return ReplyStream(response, chunked) && chunked;
}

bool Session::ReplyStream(const Response& response, bool chunked) {
  bool alive = true;
  const StreamWriter write = [&](std::string_view bytes) {
    alive = alive && !connection_.PeerGone();
    if (!alive || bytes.empty()) return alive;
    std::string frame;
    if (chunked) {
      char size[20];
      frame.append(size,
                   static_cast<size_t>(std::snprintf(size, sizeof size, "%zx\r\n", bytes.size())));
    }
    frame.append(bytes);
    if (chunked) frame += "\r\n";
    alive = connection_.Write(frame, settings_.options.read_timeout);
    return alive;
  };
  const auto stopping = [&] { return settings_.stopping || !alive || connection_.PeerGone(); };
  try {
    response.stream(write, stopping);
  } catch (const std::exception& exception) {
    LogDefect("stream handler threw", "error", exception.what());
    return false;  // no last chunk: the client sees that the stream was cut
  }
  return alive && (!chunked || connection_.Write("0\r\n\r\n", settings_.options.read_timeout));
}

}  // namespace longshore::http
