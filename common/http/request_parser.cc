// SPDX-License-Identifier: Apache-2.0
//
// See request_parser.h. The only file of the HTTP server that includes Boost.Beast.
#include "common/http/request_parser.h"

#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <map>
#include <utility>  // before Asio of Boost 1.74, which forgets it

#include "common/base/strings.h"
#include "common/http/router.h"

namespace longshore::http {

namespace beast = boost::beast;
using beast::http::field;

namespace {

constexpr uint32_t kMaxHeaderBytes = 32 << 10;  // tokens are the longest thing in it
constexpr size_t kShortestLastChunk = 5;        // "0\r\n\r\n"

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }

}  // namespace

class RequestParser::Impl {
 public:
  explicit Impl(size_t max_body_bytes) {
    parser.eager(false);  // stops behind the header: see CheckHeader
    parser.header_limit(kMaxHeaderBytes);
    parser.body_limit(max_body_bytes);
  }
  beast::http::request_parser<beast::http::string_body> parser;
  std::map<std::string, std::string> headers;
};

RequestParser::RequestParser(size_t max_body_bytes) : max_body_bytes_(max_body_bytes) { Reset(); }
RequestParser::~RequestParser() = default;

void RequestParser::Reset() {
  impl_ = std::make_unique<Impl>(max_body_bytes_);
  rejection_.reset();
  started_ = header_checked_ = expects_ = behind_chunk_ = false;
}

void RequestParser::Reject(int status, std::string_view title, std::string_view detail) {
  rejection_ = Problem(status, title, detail);
}

bool RequestParser::done() const { return !rejection_ && impl_->parser.is_done(); }

size_t RequestParser::Feed(std::string_view bytes) {
  size_t used = 0;
  while (used < bytes.size() && !rejection_ && !impl_->parser.is_done()) {
    started_ = true;
    // Beast asserts, and the program ends, when it looks again at a last chunk of fewer bytes than
    // the shortest. Behind any chunk's header at least as many follow, so waiting for them holds up
    // nothing.
    if (behind_chunk_ && bytes.size() - used < kShortestLastChunk) break;
    beast::error_code error;
    const size_t step = impl_->parser.put(
        boost::asio::const_buffer(bytes.data() + used, bytes.size() - used), error);
    used += step;
    behind_chunk_ = error == beast::http::error::need_more && impl_->parser.is_header_done() &&
                    impl_->parser.chunked();
    if (error == beast::http::error::need_more) break;
    if (error == beast::http::error::header_limit) {
      Reject(431, "Request Header Fields Too Large", "");
    } else if (error == beast::http::error::body_limit) {
      Reject(413, "Content Too Large",
             "the body may have " + std::to_string(max_body_bytes_) + " bytes");
    } else if (error) {
      Reject(400, "Bad Request", "not a valid HTTP request");
    }
    if (!rejection_ && !header_checked_ && impl_->parser.is_header_done()) {
      CheckHeader();
      impl_->parser.eager(true);
    }
    if (step == 0) break;
  }
  return used;
}

// What Beast lets through and we don't. Looked at as soon as the header is there, and kept: Beast
// adds the trailer fields of a chunked body to the header's, where a request could be given a
// second Host or Authorization after it was judged. Trailers are ignored (RFC 9110 section 6.5.1).
void RequestParser::CheckHeader() {
  header_checked_ = true;
  keep_alive_ = impl_->parser.get().keep_alive();
  no_chunks_ = impl_->parser.get().version() == 10;
  const auto& message = impl_->parser.get();
  const std::string_view coding = View(message[field::transfer_encoding]);
  if (!coding.empty() && (ToLower(coding) != "chunked" || message.version() != 11)) {
    return Reject(501, "Not Implemented", "Transfer-Encoding can only be chunked");
  }
  const std::string_view encoding = View(message[field::content_encoding]);
  if (!encoding.empty() && ToLower(encoding) != "identity") {
    return Reject(415, "Unsupported Media Type", "Content-Encoding is not supported");
  }
  if (message.version() != 11 && message.version() != 10) {
    return Reject(505, "HTTP Version Not Supported", "only version 1 is spoken here");
  }
  if (message.version() == 11 && message.count(field::host) != 1) {
    return Reject(400, "Bad Request", "exactly one Host header is required");
  }
  for (const auto& header : message) {
    impl_->headers[ToLower(View(header.name_string()))] = View(header.value());
  }
  expects_ = message.version() == 11 && !impl_->parser.is_done() &&
             ToLower(View(message[field::expect])) == "100-continue";
}

bool RequestParser::TakeExpectation() { return std::exchange(expects_, false); }

Request RequestParser::TakeRequest() {
  auto message = impl_->parser.release();
  Request request;
  request.method = View(message.method_string());
  target_ = View(message.target());
  if (auto parsed = ParseTarget(target_, request); !parsed) {
    Reject(400, "Bad Request", parsed.error().message);
    return request;
  }
  request.headers = std::move(impl_->headers);
  request.body = std::move(message.body());
  return request;
}

}  // namespace longshore::http
