// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/text_scan.h"

#include <fcntl.h>
#include <unistd.h>

#include <vector>

namespace longshore::nodeagent {
namespace {

// memory.stat is 3 KiB on 6.18; /proc/stat has a word for each interrupt, and only its first line
// is wanted. What is longer is cut.
constexpr size_t kReadBytes = 32 * 1024;

}  // namespace

std::optional<std::string_view> KeptFile::OpenAndRead(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.valid()) return std::nullopt;
  if (!open_files_->Take()) return ReadFrom(file.get());
  fd_ = std::move(file);
  return ReadFrom(fd_.get());
}

std::optional<std::string_view> KeptFile::ReadFrom(int fd) {
  static thread_local std::vector<char> buffer(kReadBytes);
  const ssize_t got = ::pread(fd, buffer.data(), buffer.size(), 0);
  if (got <= 0) {
    Close();
    return std::nullopt;
  }
  return std::string_view(buffer.data(), static_cast<size_t>(got));
}

void KeptFile::Close() {
  if (!fd_.valid()) return;
  fd_.Reset();
  open_files_->Return();
}

}  // namespace longshore::nodeagent
