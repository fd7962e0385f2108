// SPDX-License-Identifier: Apache-2.0
//
// Reading the kernel's small text files: files that stay open, and the words and numbers in them
// (common/base/text_scan.h). Used by the rooms that parse them (memory_files, pressure_files,
// throttling, node_files …).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "common/base/files.h"
#include "common/base/text_scan.h"

namespace longshore::nodeagent {

// How many files may stay open: each holds a buffer of a page or more in the kernel. What finds no
// room is opened for each read, which costs six times as much and is as right. Thread-compatible.
class OpenFiles {
 public:
  explicit OpenFiles(size_t limit = 1024) : limit_(limit) {}
  size_t open() const { return open_; }
  bool Take() {
    if (open_ >= limit_) return false;
    ++open_;
    return true;
  }
  void Return() { --open_; }

 private:
  const size_t limit_;
  size_t open_ = 0;
};

// A file that is read again and again from its start. `open_files` outlives it.
class KeptFile {
 public:
  explicit KeptFile(OpenFiles& open_files) : open_files_(&open_files) {}
  KeptFile(KeptFile&& other) noexcept : open_files_(other.open_files_), fd_(std::move(other.fd_)) {}
  KeptFile& operator=(KeptFile&&) = delete;
  ~KeptFile() { Close(); }

  // The content, valid until the next read of any kept file on this thread. Nothing when it cannot
  // be read now (a cgroup that is gone): the next call opens it anew. Always the same path, in
  // pieces: they are put together only when it has to be opened.
  template <class... Pieces>
  std::optional<std::string_view> Read(const Pieces&... pieces) {
    if (fd_.valid()) return ReadFrom(fd_.get());
    std::string path;
    (path += ... += pieces);
    return OpenAndRead(path);
  }

 private:
  std::optional<std::string_view> OpenAndRead(const std::string& path);
  std::optional<std::string_view> ReadFrom(int fd);
  void Close();

  OpenFiles* open_files_;
  UniqueFd fd_;
};

}  // namespace longshore::nodeagent
