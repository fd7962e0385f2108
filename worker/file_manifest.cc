// SPDX-License-Identifier: Apache-2.0
#include "worker/file_manifest.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>
#include <set>

#include "common/base/files.h"
#include "common/base/strings.h"

namespace longshore::worker {
namespace {

struct DirectoryDeleter {
  void operator()(DIR* directory) const { ::closedir(directory); }
};
struct HashDeleter {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};

struct Entry {
  std::string path;  // relative to the folder
  struct stat stat;
};

// Visits everything below a folder, never following symbolic links, entries sorted by name.
template <class Visit>
Outcome<void> Walk(const std::string& root, const std::string& relative,
                   const Cancellation& cancellation, Visit& visit) {
  const std::string folder = relative.empty() ? root : root + "/" + relative;
  const std::unique_ptr<DIR, DirectoryDeleter> directory(::opendir(folder.c_str()));
  if (!directory) return FileFailure(errno, folder);
  std::set<std::string> names;
  while (const dirent* item = ::readdir(directory.get())) {
    const std::string name = item->d_name;
    if (name != "." && name != "..") names.insert(name);
  }
  for (const std::string& name : names) {
    if (cancellation.cancelled()) return Failure{kCancelledClass, "cancelled", false};
    Entry entry{relative.empty() ? name : relative + "/" + name, {}};
    if (::lstat((root + "/" + entry.path).c_str(), &entry.stat) != 0) {
      if (errno == ENOENT) continue;  // gone since it was listed
      return FileFailure(errno, entry.path);
    }
    LS_RETURN_IF_ERROR(visit(entry));
    if (S_ISDIR(entry.stat.st_mode)) {
      LS_RETURN_IF_ERROR(Walk(root, entry.path, cancellation, visit));
    }
  }
  return {};
}

Outcome<std::string> HashFile(const std::string& path, const std::function<void(size_t)>& on_read,
                              const Cancellation& cancellation) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!fd.valid()) return FileFailure(errno, path);
  const std::unique_ptr<EVP_MD_CTX, HashDeleter> hash(EVP_MD_CTX_new());
  EVP_DigestInit_ex(hash.get(), EVP_sha256(), nullptr);
  std::vector<char> buffer(1u << 20);
  while (true) {
    if (cancellation.cancelled()) return Failure{kCancelledClass, "cancelled", false};
    const ssize_t n = ::read(fd.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return FileFailure(errno, path);
    if (n == 0) break;
    EVP_DigestUpdate(hash.get(), buffer.data(), static_cast<size_t>(n));
    on_read(static_cast<size_t>(n));
  }
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  EVP_DigestFinal_ex(hash.get(), digest, &size);
  return HexEncode(std::string_view(reinterpret_cast<const char*>(digest), size));
}

std::string LinkTarget(const std::string& path) {
  std::string target(4096, '\0');
  const ssize_t n = ::readlink(path.c_str(), target.data(), target.size());
  target.resize(n > 0 ? static_cast<size_t>(n) : 0);
  return target;
}

FileDigest Describe(const Entry& entry) {
  FileDigest digest;
  digest.path = EncodePath(entry.path);
  const mode_t mode = entry.stat.st_mode;
  digest.type = S_ISREG(mode)   ? "file"
                : S_ISDIR(mode) ? "directory"
                : S_ISLNK(mode) ? "symlink"
                                : "other";
  digest.size = S_ISREG(mode) ? entry.stat.st_size : 0;
  digest.mode = mode & 07777;
  const std::string fraction = std::to_string(1000000000 + entry.stat.st_mtim.tv_nsec);
  digest.mtime = std::to_string(entry.stat.st_mtim.tv_sec) + "." + fraction.substr(1);
  return digest;
}

}  // namespace

Failure FileFailure(int error_number, const std::string& path) {
  Error error = ErrnoError(error_number, path);
  if (error.code == Code::kNotFound) return {kNotFound, std::move(error.message), false};
  if (error.code == Code::kPermissionDenied) {
    return {kAuthentication, error.message + " to user " + std::to_string(::geteuid()) +
                                 " and group " + std::to_string(::getegid()) +
                                 "; set runAsUser and runAsGroup of the PodPolicy to who may, "
                                 "then make a new request"};
  }
  return ToFailure(std::move(error));
}

std::string EncodePath(const std::string& path) {
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : path) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f && c != '%') {
      encoded += c;
    } else {
      encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return encoded;
}

Outcome<FolderTotals> MeasureFolder(const std::string& folder, const Cancellation& cancellation) {
  FolderTotals totals;
  auto visit = [&](const Entry& entry) -> Outcome<void> {
    ++totals.entries;
    if (S_ISREG(entry.stat.st_mode)) totals.bytes += static_cast<uint64_t>(entry.stat.st_size);
    return {};
  };
  LS_RETURN_IF_ERROR(Walk(folder, "", cancellation, visit));
  return totals;
}

Outcome<Manifest> ComputeFileManifest(const std::string& folder,
                                      const std::function<void(const FolderTotals&)>& on_progress,
                                      const Cancellation& cancellation) {
  Manifest manifest;
  manifest.kind = "filesystem";
  FolderTotals done;
  auto visit = [&](const Entry& entry) -> Outcome<void> {
    FileDigest digest = Describe(entry);
    const std::string path = folder + "/" + entry.path;
    if (digest.type == "file") {
      const auto on_read = [&](size_t bytes) {
        done.bytes += bytes;
        on_progress(done);
      };
      LS_ASSIGN_OR_RETURN(digest.content, HashFile(path, on_read, cancellation));
    } else if (digest.type == "symlink") {
      digest.content = EncodePath(LinkTarget(path));
    }
    manifest.files.push_back(std::move(digest));
    ++done.entries;
    on_progress(done);
    return {};
  };
  LS_RETURN_IF_ERROR(Walk(folder, "", cancellation, visit));
  return manifest;
}

Outcome<void> FindChanges(const std::string& folder, Manifest& manifest,
                          const Cancellation& cancellation) {
  std::map<std::string, const FileDigest*> before;
  for (const FileDigest& file : manifest.files) before[file.path] = &file;
  std::set<std::string> changed;
  auto visit = [&](const Entry& entry) -> Outcome<void> {
    const FileDigest now = Describe(entry);
    const auto found = before.find(now.path);
    if (found == before.end()) {
      changed.insert(now.path);
      return {};
    }
    const FileDigest& then = *found->second;
    const bool same = then.type == now.type && then.size == now.size && then.mode == now.mode &&
                      (now.type == "directory" || then.mtime == now.mtime);
    if (!same) changed.insert(now.path);
    before.erase(found);
    return {};
  };
  LS_RETURN_IF_ERROR(Walk(folder, "", cancellation, visit));
  for (const auto& [path, file] : before) changed.insert(path);
  manifest.changed_while_read.assign(changed.begin(), changed.end());
  return {};
}

}  // namespace longshore::worker
