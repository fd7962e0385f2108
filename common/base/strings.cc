// SPDX-License-Identifier: Apache-2.0
#include "common/base/strings.h"

#include <openssl/evp.h>
#include <sys/random.h>

#include <cctype>
#include <charconv>
#include <cstdint>
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

namespace {

// Length of the UTF-8 character at the front; 0 when it is none (RFC 3629: no overlong forms, no
// surrogates, nothing above U+10FFFF).
size_t Utf8Length(std::string_view text) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const size_t length = first >= 0xC2 && first <= 0xDF   ? 2
                        : first >= 0xE0 && first <= 0xEF ? 3
                        : first >= 0xF0 && first <= 0xF4 ? 4
                                                         : 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  const bool wrong = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                     (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return wrong ? 0 : length;
}

}  // namespace

std::string ToValidUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    out += length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(0, length);
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return out;
}

std::string Base64Encode(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int written = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                      reinterpret_cast<const unsigned char*>(bytes.data()),
                                      static_cast<int>(bytes.size()));
  out.resize(static_cast<size_t>(written));
  return out;
}

Result<std::string> Base64Decode(std::string_view text) {
  // Not OpenSSL's: that one takes '=' anywhere for zero bits.
  static constexpr std::string_view kAlphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  text = Trim(text);
  if (text.size() % 4 != 0) return InvalidArgument("not base64: length is no multiple of 4");
  size_t digits = text.size();
  while (digits > 0 && text.size() - digits < 2 && text[digits - 1] == '=') --digits;
  std::string out;
  out.reserve(text.size() / 4 * 3);
  uint32_t bits = 0;
  for (size_t i = 0; i < digits; ++i) {
    const size_t value = kAlphabet.find(text[i]);
    if (value == std::string_view::npos) {
      return InvalidArgument("not base64: character " + std::to_string(i));
    }
    bits = (bits << 6) | static_cast<uint32_t>(value);
    // After the 2nd, 3rd and 4th digit of four, one more byte is complete.
    if (i % 4 != 0) out += static_cast<char>((bits >> (6 - 2 * (i % 4))) & 0xff);
  }
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

bool IsSha256(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
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

namespace {

constexpr __int128 kMaxQuantity = INT64_MAX - 1;

// mantissa / 10^decimals.
struct Decimal {
  int64_t mantissa = 0;
  int decimals = 0;
};

// Takes "12.5" from the front of `rest`. False: no digits, or more than 18 that count.
bool TakeDecimal(std::string_view& rest, Decimal& number) {
  bool any = false, point = false;
  for (; !rest.empty(); rest.remove_prefix(1)) {
    const char c = rest[0];
    if (c == '.' && !point) {
      point = true;
      continue;
    }
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) break;
    any = true;
    if (number.mantissa >= 100'000'000'000'000'000) return false;
    number.mantissa = number.mantissa * 10 + (c - '0');
    if (point) ++number.decimals;
  }
  return any;
}

// 2^shift * 10^exponent.
struct Scale {
  int shift = 0;
  int exponent = 0;
};

// The suffix of a quantity: SI, binary, or an exponent ("e3").
Result<Scale> ParseScale(std::string_view suffix, Error malformed) {
  static const std::map<std::string, Scale, std::less<>> kSuffixes = {
      {"n", {0, -9}},  {"u", {0, -6}},  {"m", {0, -3}},  {"", {0, 0}},
      {"k", {0, 3}},   {"M", {0, 6}},   {"G", {0, 9}},   {"T", {0, 12}},
      {"P", {0, 15}},  {"E", {0, 18}},  {"Ki", {10, 0}}, {"Mi", {20, 0}},
      {"Gi", {30, 0}}, {"Ti", {40, 0}}, {"Pi", {50, 0}}, {"Ei", {60, 0}}};
  if (const auto found = kSuffixes.find(suffix); found != kSuffixes.end()) return found->second;
  if (!suffix.starts_with('e') && !suffix.starts_with('E')) return malformed;
  suffix.remove_prefix(1);
  if (suffix.starts_with('+')) {
    suffix.remove_prefix(1);
    if (suffix.starts_with('-')) return malformed;
  }
  const Result<int64_t> exponent = ParseInt(suffix);
  if (!exponent.has_value() || *exponent < -30 || *exponent > 30) return malformed;
  return Scale{0, static_cast<int>(*exponent)};
}

}  // namespace

Result<int64_t> ParseInt(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    return InvalidArgument("not a whole number: \"" + std::string(text) + "\"");
  }
  return value;
}

Result<int64_t> ParseQuantityMilli(std::string_view text) {
  const auto malformed = [&](const char* what) {
    return InvalidArgument(std::string(what) + ": \"" + std::string(text.substr(0, 64)) + "\"");
  };
  std::string_view rest = text;
  const bool negative = rest.starts_with('-');
  if (negative || rest.starts_with('+')) rest.remove_prefix(1);
  Decimal number;
  if (!TakeDecimal(rest, number)) return malformed("not a quantity");
  LS_ASSIGN_OR_RETURN(const Scale scale, ParseScale(rest, malformed("not a quantity")));
  // In thousandths: mantissa * 2^shift * 10^(exponent + 3), without ever rounding by accident.
  __int128 value = static_cast<__int128>(number.mantissa) << scale.shift;
  int power = scale.exponent + 3 - number.decimals;
  bool dropped = false;
  for (; power > 0 && value <= kMaxQuantity; --power) value *= 10;
  for (; power < 0 && value > 0; ++power) {
    dropped = dropped || value % 10 != 0;
    value /= 10;
  }
  if (value > kMaxQuantity) return malformed("quantity out of range");
  // Rounded away from zero, as Kubernetes does: what is asked for is never less.
  const int64_t milli = static_cast<int64_t>(value) + (dropped ? 1 : 0);
  return negative ? -milli : milli;
}

int64_t RequestedMilli(std::string_view text) {
  const Result<int64_t> milli = ParseQuantityMilli(text);
  if (milli.has_value()) return std::max<int64_t>(0, *milli);
  // The API server lets through what it can hold itself, which is a thousand times as much.
  const bool is_number = !text.empty() && std::isdigit(static_cast<unsigned char>(text[0])) != 0;
  return is_number ? static_cast<int64_t>(kMaxQuantity) : 0;
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
