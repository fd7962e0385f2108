// SPDX-License-Identifier: Apache-2.0
#include "common/base/strings.h"

#include <openssl/evp.h>
#include <sys/random.h>

#include <cctype>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <map>

namespace longshore {

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  size_t start = 0;
  for (size_t at = 0; at <= text.size(); ++at) {
    if (at == text.size() || text[at] == separator) {
      parts.emplace_back(text.substr(start, at - start));
      start = at + 1;
    }
  }
  return parts;
}

std::string Join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const std::string& part : parts) {
    if (!out.empty() || &part != &parts.front()) out += separator;
    out += part;
  }
  return out;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front()))) {
    text.remove_prefix(1);
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back()))) {
    text.remove_suffix(1);
  }
  return text;
}

std::string ToLower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

std::string Base64Encode(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int written =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()),
                      static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(written));
  return out;
}

Result<std::string> Base64Decode(std::string_view text) {
  text = Trim(text);
  if (text.empty()) return std::string();
  if (text.size() % 4 != 0) return InvalidArgument("not base64: length is no multiple of 4");
  std::string out(text.size() / 4 * 3, '\0');
  const int written =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(text.data()),
                      static_cast<int>(text.size()));
  if (written < 0) return InvalidArgument("not base64");
  size_t padding = 0;  // EVP_DecodeBlock counts the padding as zero bytes
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  out.resize(static_cast<size_t>(written) - padding);
  return out;
}

std::string HexEncode(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    out += kHex[byte >> 4];
    out += kHex[byte & 15];
  }
  return out;
}

std::string Sha256Hex(std::string_view bytes) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int length = 0;
  LS_CHECK(EVP_Digest(bytes.data(), bytes.size(), digest, &length, EVP_sha256(), nullptr) == 1);
  return HexEncode({reinterpret_cast<const char*>(digest), length});
}

std::string RandomId(size_t length) {
  static constexpr char kAlphabet[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::string out;
  while (out.size() < length) {
    unsigned char bytes[64];
    const ssize_t got = getrandom(bytes, sizeof bytes, 0);
    for (ssize_t i = 0; i < got && out.size() < length; ++i) {
      if (bytes[i] < 252) out += kAlphabet[bytes[i] % 36];  // 252 = 7 * 36: no bias
    }
  }
  return out;
}

Result<int64_t> ParseInt(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return InvalidArgument("not a whole number: \"" + std::string(text) + "\"");
  }
  return value;
}

Result<int64_t> ParseQuantityMilli(std::string_view text) {
  static const std::map<std::string, double, std::less<>> kSuffixes = {
      {"n", 1e-9},      {"u", 1e-6},      {"m", 1e-3},      {"", 1},          {"k", 1e3},
      {"M", 1e6},       {"G", 1e9},       {"T", 1e12},      {"P", 1e15},      {"E", 1e18},
      {"Ki", 0x1p10},   {"Mi", 0x1p20},   {"Gi", 0x1p30},   {"Ti", 0x1p40},   {"Pi", 0x1p50},
      {"Ei", 0x1p60}};
  double number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string_view suffix = text.substr(static_cast<size_t>(end - text.data()));
  const auto found = kSuffixes.find(suffix);
  if (error != std::errc() || found == kSuffixes.end()) {
    return InvalidArgument("not a quantity: \"" + std::string(text) + "\"");
  }
  const double milli = number * found->second * 1000;
  if (!(std::fabs(milli) < 9.2e18)) {
    return InvalidArgument("quantity out of range: \"" + std::string(text) + "\"");
  }
  return static_cast<int64_t>(std::ceil(milli - 1e-9));
}

std::string FormatBytes(double bytes) {
  static constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  size_t unit = 0;
  while (bytes >= 1024 && unit + 1 < std::size(kUnits)) {
    bytes /= 1024;
    ++unit;
  }
  char text[48];
  std::snprintf(text, sizeof text, unit == 0 || bytes >= 100 ? "%.0f %s" : "%.1f %s", bytes,
                kUnits[unit]);
  return text;
}

}  // namespace longshore
