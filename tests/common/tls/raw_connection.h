// SPDX-License-Identifier: Apache-2.0
//
// A client that sends exactly the bytes it is told to, for what no proper client does.
#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/files.h"

namespace longshore::test {

class RawConnection {
 public:
  // Connects to 127.0.0.1. Blocking, with a time-out of 5 s on everything.
  explicit RawConnection(int port);
  // TLS without verification; `max_version` e.g. TLS1_1_VERSION. False: the handshake failed.
  bool StartTls(int max_version = 0, const std::string& certificate_pem = "",
                const std::string& key_pem = "");
  void Send(std::string_view bytes);
  // Reads until `text` was seen, the peer closed or 5 s passed; returns all that was read.
  std::string ReadUntil(std::string_view text);
  // Reads to the end of the connection. `closed` says that it ended in time.
  std::string ReadToEnd(bool* closed = nullptr,
                        std::chrono::milliseconds time = std::chrono::seconds(5));
  void CloseWriting();

 private:
  struct SslDeleter {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  ssize_t ReadSome(char* data, size_t size);
  UniqueFd fd_;
  std::unique_ptr<SSL, SslDeleter> ssl_;
};

}  // namespace longshore::test
