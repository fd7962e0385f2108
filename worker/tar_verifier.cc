// SPDX-License-Identifier: Apache-2.0
#include "worker/tar_verifier.h"

#include <algorithm>

#include "common/base/strings.h"
#include "worker/file_manifest.h"

namespace longshore::worker {
namespace {

constexpr size_t kBlock = 512;

// A header's field: text up to the first NUL.
std::string Field(const std::string& header, size_t at, size_t size) {
  const std::string field = header.substr(at, size);
  return field.substr(0, field.find('\0'));
}

// A number in octal, or in base 256 when the first bit is set (GNU, for sizes over 8 GiB).
uint64_t NumberField(const std::string& header, size_t at, size_t size) {
  uint64_t value = 0;
  if ((static_cast<unsigned char>(header[at]) & 0x80) != 0) {
    for (size_t i = 1; i < size; ++i)
      value = value << 8 | static_cast<unsigned char>(header[at + i]);
    return value;
  }
  for (size_t i = 0; i < size; ++i) {
    const char c = header[at + i];
    if (c >= '0' && c <= '7') value = value * 8 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

bool ChecksumHolds(const std::string& header) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kBlock; ++i) {
    sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(header[i]);
  }
  return sum == NumberField(header, 148, 8);
}

std::string Relative(std::string path) {
  while (path.ends_with('/')) path.pop_back();
  while (path.starts_with("./")) path.erase(0, 2);
  while (path.starts_with('/')) path.erase(0, 1);
  return path;
}

}  // namespace

TarVerifier::TarVerifier(const Manifest& manifest) : manifest_(manifest), hash_(EVP_MD_CTX_new()) {}

void TarVerifier::Break(const std::string& why) {
  state_ = State::kBroken;
  broken_ = why;
}

void TarVerifier::Add(std::string_view bytes) {
  while (!bytes.empty() && state_ != State::kBroken && state_ != State::kEnd) {
    uint64_t want = state_ == State::kHeader    ? kBlock - header_.size()
                    : state_ == State::kPadding ? padding_
                                                : left_;
    const std::string_view piece = bytes.substr(0, std::min<uint64_t>(want, bytes.size()));
    bytes.remove_prefix(piece.size());
    switch (state_) {
      case State::kHeader:
        header_.append(piece);
        if (header_.size() == kBlock) TakeHeader();
        break;
      case State::kContent:
        EVP_DigestUpdate(hash_.get(), piece.data(), piece.size());
        content_bytes_ += piece.size();
        left_ -= piece.size();
        if (left_ == 0) EndEntry();
        break;
      case State::kPax:
        pax_.append(piece);
        left_ -= piece.size();
        if (left_ == 0) TakePax();
        break;
      case State::kPadding:
        padding_ -= piece.size();
        break;
      case State::kEnd:
      case State::kBroken:
        break;
    }
    if (state_ == State::kPadding && padding_ == 0) state_ = State::kHeader;
  }
}

void TarVerifier::TakeHeader() {
  const std::string header = std::move(header_);
  header_.clear();
  if (header.find_first_not_of('\0') == std::string::npos) {
    state_ = State::kEnd;
    return;
  }
  if (!ChecksumHolds(header)) return Break("a header of the archive is damaged");
  const char type = header[156] == '\0' ? '0' : header[156];
  const uint64_t size = NumberField(header, 124, 12);
  padding_ = (kBlock - size % kBlock) % kBlock;
  if (type == 'x') {
    if (size > (1u << 20)) return Break("a header of the archive is too large");
    left_ = size;
    state_ = State::kPax;
    return;
  }
  const std::string prefix = Field(header, 345, 155);
  std::string path = Field(header, 0, 100);
  if (!prefix.empty()) path = prefix + "/" + path;
  std::string link = Field(header, 157, 100);
  if (!pax_path_.empty()) path = std::exchange(pax_path_, "");
  if (!pax_link_.empty()) link = std::exchange(pax_link_, "");
  const uint64_t real_size = std::exchange(has_pax_size_, false) ? pax_size_ : size;
  padding_ = (kBlock - real_size % kBlock) % kBlock;
  entry_ = {};
  entry_.content = type == '2' ? EncodePath(link) : "";
  BeginEntry(type, Relative(path), real_size);
}

void TarVerifier::BeginEntry(char type, std::string path, uint64_t size) {
  entry_.path = EncodePath(path);
  entry_.type = type == '0'   ? "file"
                : type == '5' ? "directory"
                : type == '2' ? "symlink"
                              : "other";
  entry_.size = static_cast<int64_t>(type == '0' ? size : 0);
  EVP_DigestInit_ex(hash_.get(), EVP_sha256(), nullptr);
  left_ = size;
  state_ = State::kContent;
  if (left_ == 0) EndEntry();
}

void TarVerifier::EndEntry() {
  if (entry_.type == "file") {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    EVP_DigestFinal_ex(hash_.get(), digest, &size);
    entry_.content = HexEncode({reinterpret_cast<const char*>(digest), size});
  }
  if (!entry_.path.empty()) found_.files.push_back(std::move(entry_));
  state_ = State::kPadding;
  if (padding_ == 0) state_ = State::kHeader;
}

// Records "LENGTH KEY=VALUE\n".
void TarVerifier::TakePax() {
  std::string_view rest = pax_;
  while (!rest.empty()) {
    const size_t space = rest.find(' ');
    const auto length = space == std::string_view::npos ? Result<int64_t>(InvalidArgument(""))
                                                        : ParseInt(rest.substr(0, space));
    if (!length || *length <= static_cast<int64_t>(space) + 1 ||
        static_cast<size_t>(*length) > rest.size()) {
      return Break("an extended header of the archive is damaged");
    }
    const auto size = static_cast<size_t>(*length);
    const std::string_view record = rest.substr(space + 1, size - space - 2);
    rest.remove_prefix(size);
    if (record.starts_with("path=")) pax_path_ = record.substr(5);
    if (record.starts_with("linkpath=")) pax_link_ = record.substr(9);
    if (record.starts_with("size=")) {
      const auto value = ParseInt(record.substr(5));
      has_pax_size_ = value.has_value();
      pax_size_ = value ? static_cast<uint64_t>(*value) : 0;
    }
  }
  pax_.clear();
  state_ = State::kPadding;
}

std::vector<std::string> TarVerifier::Finish() {
  if (state_ == State::kBroken) return {broken_};
  if (state_ != State::kEnd) return {"the archive ends too early"};
  // Only what a tar stream tells for certain is compared: times and modes are the restore's.
  Manifest expected = manifest_;
  for (Manifest* side : {&expected, &found_}) {
    side->tables.clear();
    side->sequences.clear();
    side->hash.clear();
    side->large_objects = 0;
    for (FileDigest& file : side->files) {
      file.mode = 0;
      file.mtime.clear();
    }
    std::erase_if(side->files, [&](const FileDigest& file) {
      const auto& doubtful = manifest_.changed_while_read;
      return file.type == "other" ||
             std::find(doubtful.begin(), doubtful.end(), file.path) != doubtful.end();
    });
  }
  return CompareManifests(expected, found_);
}

}  // namespace longshore::worker
