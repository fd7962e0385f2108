// SPDX-License-Identifier: Apache-2.0
//
// See reloader.h.
#include "common/tls/reloader.h"

#include "common/base/files.h"
#include "common/base/log.h"

namespace longshore::tls {
namespace {

Result<std::string> ReadPem(const std::string& path) {
  auto pem = ReadFile(path, size_t{1} << 20);
  if (!pem) return InvalidArgument(pem.error().message);
  return pem;
}

}  // namespace

Reloader::Stamp Reloader::Look() const {
  Stamp stamp{};
  const std::array<const std::string*, 3> paths = {&files_.certificate_file, &files_.key_file,
                                                   &files_.client_ca_file};
  for (size_t i = 0; i < paths.size(); ++i) {
    struct stat info{};
    if (paths[i]->empty() || ::stat(paths[i]->c_str(), &info) != 0) continue;
    stamp[i] = {static_cast<int64_t>(info.st_ino), static_cast<int64_t>(info.st_size),
                static_cast<int64_t>(info.st_mtim.tv_sec),
                static_cast<int64_t>(info.st_mtim.tv_nsec)};
  }
  return stamp;
}

Result<ContextPtr> Reloader::Read() const {
  ServerSettings settings;
  LS_ASSIGN_OR_RETURN(settings.certificate_pem, ReadPem(files_.certificate_file));
  LS_ASSIGN_OR_RETURN(settings.key_pem, ReadPem(files_.key_file));
  if (!files_.client_ca_file.empty()) {
    LS_ASSIGN_OR_RETURN(settings.client_ca_pem, ReadPem(files_.client_ca_file));
    if (settings.client_ca_pem.empty()) {  // an empty file must not turn the requirement off
      return InvalidArgument(files_.client_ca_file + " is empty");
    }
  }
  auto context = NewServerContext(settings);
  if (!context) return Annotate(std::move(context).error(), files_.certificate_file);
  return context;
}

Status Reloader::Load() {
  MutexLock lock(mutex_);
  stamp_ = Look();
  looked_ = std::chrono::steady_clock::now();
  LS_ASSIGN_OR_RETURN(context_, Read());
  return {};
}

ContextPtr Reloader::Get() {
  MutexLock lock(mutex_);
  const auto now = std::chrono::steady_clock::now();
  if (now - looked_ < interval_) return context_;
  looked_ = now;
  const Stamp stamp = Look();
  const bool changed = stamp != stamp_;
  if (!changed && !failed_) return context_;
  stamp_ = stamp;
  auto fresh = Read();
  failed_ = !fresh.has_value();  // tried again after the interval: it may have been half written
  if (fresh.has_value()) {
    context_ = *std::move(fresh);
    LogInfo("certificate re-read", {{"file", files_.certificate_file}});
  } else if (changed) {
    LogError("changed certificate not usable, keeping the old one",
             {{"error", fresh.error().ToString()}});
  }
  return context_;
}

}  // namespace longshore::tls
