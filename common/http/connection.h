// SPDX-License-Identifier: Apache-2.0
//
// One accepted connection, clear or TLS, with a descriptor that never blocks. Used by session.cc,
// by one thread at a time.
#pragma once

#include <openssl/ssl.h>

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "common/base/files.h"
#include "common/tls/context.h"

namespace longshore::http {

// For how long so many bytes on their way are waited for, beside what else is granted: a second for
// each 32 KiB.
inline std::chrono::seconds PatienceFor(size_t bytes) {
  return std::chrono::seconds(bytes / (32 << 10));
}

class Connection {
 public:
  enum class Io { kOk, kWantRead, kWantWrite, kClosed };

  // Without a context the connection is clear text.
  Connection(UniqueFd fd, std::string remote_address, const tls::ContextPtr& context);

  int fd() const { return fd_.get(); }
  const std::string& remote_address() const { return remote_address_; }
  std::string peer_common_name() const { return ssl_ ? tls::PeerCommonName(ssl_.get()) : ""; }

  Io Handshake();
  // Appends what has arrived, at most 64 KiB. kWantRead: nothing has.
  Io Read(std::string& buffer);
  // Something has arrived that waiting for the descriptor would not tell of.
  bool HasBuffered() const { return ssl_ && SSL_has_pending(ssl_.get()) == 1; }
  // Writes what the peer takes now and removes it from the front of `bytes`. kOk: that was all.
  Io WriteSome(std::string_view& bytes);
  // Writes everything, waiting where it must: for `patience`, and PatienceFor all of it.
  bool Write(std::string_view bytes, std::chrono::milliseconds patience);
  // Waits for more to read; false if nothing came.
  bool WaitReadable(std::chrono::milliseconds time) const;
  // The peer closed its side or is gone.
  bool PeerGone() const;

  // Says goodbye in our direction. What the peer still sends must then be drained for a moment: a
  // close with unread data is a reset, which destroys the reply on its way.
  void FinishWriting();
  // Throws away what arrived; kClosed when there will be no more.
  Io Drain();
  // Makes every operation fail from now on. From any thread.
  void Abort();

 private:
  struct SslDeleter {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  Io Outcome(int result);

  const UniqueFd fd_;
  const std::string remote_address_;
  const tls::ContextPtr context_;
  // Made for the peer's first byte: who only connects costs little.
  std::unique_ptr<SSL, SslDeleter> ssl_;
  bool tls_usable_ = false;  // handshake done and no fatal error since
};

}  // namespace longshore::http
