// SPDX-License-Identifier: Apache-2.0
#include "common/base/files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstdio>

#include "common/base/strings.h"

namespace longshore {

Result<std::string> ReadFile(const std::string& path, size_t limit) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError(errno, path);
  std::string content;
  char buffer[16384];
  for (;;) {
    const ssize_t got = ::read(fd.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return ErrnoError(errno, path);
    if (got == 0) return content;
    if (content.size() + static_cast<size_t>(got) > limit) {
      return Error{Code::kResourceExhausted,
                   path + ": larger than " + std::to_string(limit) + " bytes"};
    }
    content.append(buffer, static_cast<size_t>(got));
  }
}

Status WriteFileAtomically(const std::string& path, std::string_view content, int mode) {
  const std::string temporary = path + ".tmp-" + RandomId(8);
  UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
  if (!fd.valid()) return ErrnoError(errno, temporary);
  const auto fail = [&](const char* what) -> Status {
    const Error error = ErrnoError(errno, temporary + ": " + what);
    ::unlink(temporary.c_str());
    return error;
  };
  if (::fchmod(fd.get(), static_cast<mode_t>(mode)) != 0) return fail("chmod");  // past the umask
  while (!content.empty()) {
    const ssize_t wrote = ::write(fd.get(), content.data(), content.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return fail("write");
    content.remove_prefix(static_cast<size_t>(wrote));
  }
  if (::fsync(fd.get()) != 0) return fail("fsync");
  fd.Reset();
  if (::rename(temporary.c_str(), path.c_str()) != 0) return fail("rename");
  return {};
}

}  // namespace longshore
