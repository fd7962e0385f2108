// SPDX-License-Identifier: Apache-2.0
//
// Reads a tar stream (POSIX pax, as restic writes it) and compares the files in it with a manifest.
// Used by the filesystem Verify: nothing is written to disk.
#pragma once

#include <openssl/evp.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "worker/manifest.h"

namespace longshore::worker {

class TarVerifier {
 public:
  // The manifest must outlive it.
  explicit TarVerifier(const Manifest& manifest);

  // Takes the next bytes of the stream.
  void Add(std::string_view bytes);
  // After the last byte: what differs from the manifest (as CompareManifests says it), or that the
  // stream is not a whole archive.
  std::vector<std::string> Finish();
  uint64_t content_bytes() const { return content_bytes_; }

 private:
  enum class State { kHeader, kContent, kPadding, kPax, kEnd, kBroken };
  struct HashDeleter {
    void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
  };

  void TakeHeader();
  void TakePax();
  void BeginEntry(char type, std::string path, uint64_t size);
  void EndEntry();
  void Break(const std::string& why);

  const Manifest& manifest_;
  Manifest found_;  // type and content of what was seen
  State state_ = State::kHeader;
  std::string header_, pax_;
  std::string pax_path_, pax_link_;
  FileDigest entry_;
  uint64_t left_ = 0;     // of the content or pax data
  uint64_t padding_ = 0;  // after it, to the next 512
  uint64_t pax_size_ = 0;
  bool has_pax_size_ = false;
  uint64_t content_bytes_ = 0;
  std::string broken_;
  std::unique_ptr<EVP_MD_CTX, HashDeleter> hash_;
};

}  // namespace longshore::worker
