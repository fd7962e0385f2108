// SPDX-License-Identifier: Apache-2.0
//
// A server's certificate, re-read when its files change (certificates are renewed while daemons
// run). The servers of common/http and common/streams ask it for a context per connection.
#pragma once

#include <sys/stat.h>

#include <array>
#include <chrono>
#include <string>

#include "common/base/mutex.h"
#include "common/tls/context.h"

namespace longshore::tls {

struct ServerFiles {
  std::string certificate_file, key_file;  // PEM
  std::string client_ca_file;              // empty: no client certificates
};

class Reloader {
 public:
  // Looks at the files at most once in `interval`.
  explicit Reloader(ServerFiles files, std::chrono::milliseconds interval = std::chrono::seconds(2))
      : files_(std::move(files)), interval_(interval) {}

  // Reads the files for the first time. Errors: kInvalidArgument, naming the file.
  Status Load() LS_EXCLUDES(mutex_);

  // The newest good context. Files that are half written or wrong are logged, and the old context
  // stays. Thread-safe.
  ContextPtr Get() LS_EXCLUDES(mutex_);

 private:
  // Of each file: inode, size and time of change. Kubernetes swaps whole folders by a symbolic
  // link, so the modification time alone may stand still.
  using Stamp = std::array<std::array<int64_t, 4>, 3>;
  Stamp Look() const;
  Result<ContextPtr> Read() const;

  const ServerFiles files_;
  const std::chrono::milliseconds interval_;
  Mutex mutex_;
  ContextPtr context_ LS_GUARDED_BY(mutex_);
  Stamp stamp_ LS_GUARDED_BY(mutex_){};
  bool failed_ LS_GUARDED_BY(mutex_) = false;
  std::chrono::steady_clock::time_point looked_ LS_GUARDED_BY(mutex_);
};

}  // namespace longshore::tls
