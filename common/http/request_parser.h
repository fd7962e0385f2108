// SPDX-License-Identifier: Apache-2.0
//
// Turns bytes into one Request, without any I/O (so that the fuzzer can feed it). Used by
// session.cc, one object a connection.
//
// Boost.Beast's incremental parser does the reading, with limits on header and body;
// docs/decisions/0004 says why not cpp-httplib.
#pragma once

#include <memory>
#include <optional>
#include <string_view>

#include "common/http/server.h"

namespace longshore::http {

class RequestParser {
 public:
  explicit RequestParser(size_t max_body_bytes);
  ~RequestParser();

  // Reads on. Returns how many bytes were used: what is left belongs to the next request, or is
  // the beginning of a header and must be given again with more behind it.
  size_t Feed(std::string_view bytes);

  bool started() const { return started_; }  // some byte of a request was seen
  bool done() const;
  // Why the request is refused; the connection can't be used after it.
  const std::optional<Response>& rejection() const { return rejection_; }
  // True once: the client waits for "100 Continue" before it sends the body.
  bool TakeExpectation();

  // Once done():
  bool keep_alive() const { return keep_alive_; }
  bool no_chunks() const { return no_chunks_; }          // HTTP/1.0
  const std::string& target() const { return target_; }  // as it came
  Request TakeRequest();

  void Reset();  // for the next request

 private:
  class Impl;
  void Reject(int status, std::string_view title, std::string_view detail);
  void CheckHeader();

  const size_t max_body_bytes_;
  std::unique_ptr<Impl> impl_;
  std::optional<Response> rejection_;
  std::string target_;
  bool started_ = false, header_checked_ = false, expects_ = false;
  bool behind_chunk_ = false;  // the next chunk's header, or the last one, has come in part
  bool keep_alive_ = false, no_chunks_ = false;
};

}  // namespace longshore::http
