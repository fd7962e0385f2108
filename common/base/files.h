// SPDX-License-Identifier: Apache-2.0
//
// Whole-file reads and atomic writes, and a file descriptor that closes itself.
#pragma once

#include <unistd.h>

#include <string>
#include <string_view>
#include <utility>

#include "common/base/result.h"

namespace longshore {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(std::exchange(other.fd_, -1));
    return *this;
  }
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  int Release() { return std::exchange(fd_, -1); }
  void Reset(int fd = -1) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

// The whole file; refuses more than `limit` bytes (kResourceExhausted).
Result<std::string> ReadFile(const std::string& path, size_t limit = size_t{64} << 20);

// Writes a new file beside `path` with the given mode, syncs it and renames it over `path`:
// a reader sees the old content or the new, never a part.
Status WriteFileAtomically(const std::string& path, std::string_view content, int mode = 0644);

}  // namespace longshore
