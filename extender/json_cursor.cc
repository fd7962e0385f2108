// SPDX-License-Identifier: Apache-2.0
#include "extender/json_cursor.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace longshore::extender {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// Strings of a list that are expected by the length of the first.
constexpr size_t kMostReserved = 16384;

constexpr uint64_t kOnes = 0x0101010101010101u;
constexpr uint64_t kHighBits = 0x8080808080808080u;

// The high bit of the first byte that equals `byte` (and maybe of bytes after it).
uint64_t BytesEqual(uint64_t word, uint64_t byte) {
  const uint64_t difference = word ^ (kOnes * byte);
  return (difference - kOnes) & ~difference & kHighBits;
}

// The first position from `at` on of a quote, backslash or control character (or of a byte that is
// not ASCII, if that is wanted): sixteen or eight bytes at a time, since most of a node list is
// strings that nobody asks for.
template <bool kAsciiOnly>
size_t EndOfPlain(std::string_view text, size_t at) {
#ifdef __SSE2__
  for (; at + 16 <= text.size(); at += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    const __m128i ends = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                      _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
    auto hits = static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(control, ends)));
    if constexpr (kAsciiOnly) hits |= static_cast<unsigned>(_mm_movemask_epi8(bytes));
    if (hits != 0) return at + static_cast<size_t>(std::countr_zero(hits));
  }
#endif
  while (at + 8 <= text.size()) {
    uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    if constexpr (std::endian::native != std::endian::little) word = __builtin_bswap64(word);
    const uint64_t control = (word - kOnes * 0x20) & ~word & kHighBits;
    uint64_t hits = BytesEqual(word, '"') | BytesEqual(word, '\\') | control;
    if constexpr (kAsciiOnly) hits |= word & kHighBits;
    if (hits != 0) return at + static_cast<size_t>(std::countr_zero(hits)) / 8;
    at += 8;
  }
  while (at < text.size()) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c == '"' || c == '\\' || c < 0x20 || (kAsciiOnly && c >= 0x80)) break;
    ++at;
  }
  return at;
}
size_t EndOfPlainText(std::string_view text, size_t at) { return EndOfPlain<false>(text, at); }
size_t EndOfPlainAscii(std::string_view text, size_t at) { return EndOfPlain<true>(text, at); }

// Adds names that stand as "a","b", without anything else, the opening quote of the first at `at`;
// returns where the first one opens that is not of that kind, or is the last. Quotes are looked for
// in whole blocks: a search from where the last name ended would wait for that to be known, 5000
// times.
size_t AddPlainNames(std::string_view text, size_t at, std::vector<std::string_view>& names) {
#ifdef __SSE2__
  bool inside = true;
  size_t count = names.size();
  names.resize(names.capacity());  // all that are expected: written in place
  const auto end = [&] {
    names.resize(count);
    return at;
  };
  for (size_t block = at + 1; block + 18 <= text.size(); block += 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + block));
    const __m128i odd =
        _mm_or_si128(_mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes),
                     _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')), bytes));
    if (_mm_movemask_epi8(odd) != 0) return end();
    auto quotes =
        static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"'))));
    for (; quotes != 0; quotes &= quotes - 1) {
      inside = !inside;
      if (inside) continue;
      const size_t close = block + static_cast<size_t>(std::countr_zero(quotes));
      if (text[close + 1] != ',' || text[close + 2] != '"') return end();
      if (count == names.size()) names.resize(2 * count);
      names[count++] = std::string_view(text.data() + at + 1, close - at - 1);
      at = close + 2;
    }
  }
  return end();
#else
  (void)text, (void)names;
  return at;
#endif
}

void AppendUtf8(uint32_t point, std::string& out) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | (point >> 6));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | (point >> 12));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  } else {
    out += static_cast<char>(0xF0 | (point >> 18));
    out += static_cast<char>(0x80 | ((point >> 12) & 0x3F));
    out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
    out += static_cast<char>(0x80 | (point & 0x3F));
  }
}

// RFC 3629: shortest forms only, no surrogates, nothing over U+10FFFF.
bool ValidUtf8(std::string_view text) {
  const auto continues = [&](size_t at) {
    return at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80;
  };
  for (size_t at = 0; at < text.size();) {
    const auto lead = static_cast<unsigned char>(text[at]);
    if (lead < 0x80) {
      ++at;
      continue;
    }
    const int more = lead >= 0xC2 && lead < 0xE0   ? 1
                     : (lead & 0xF0) == 0xE0       ? 2
                     : lead >= 0xF0 && lead < 0xF5 ? 3
                                                   : 0;
    if (more == 0) return false;
    for (int i = 1; i <= more; ++i) {
      if (!continues(at + static_cast<size_t>(i))) return false;
    }
    const auto second = static_cast<unsigned char>(text[at + 1]);
    if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second >= 0xA0) ||
        (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second >= 0x90)) {
      return false;
    }
    at += static_cast<size_t>(more) + 1;
  }
  return true;
}

// The four hex digits at `at`, or -1.
int32_t HexAt(std::string_view text, size_t at) {
  if (at + 4 > text.size()) return -1;
  int32_t value = 0;
  for (size_t i = at; i < at + 4; ++i) {
    const int digit = HexValue(text[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

constexpr uint32_t kReplacement = 0xFFFD;
bool IsHighSurrogate(uint32_t unit) { return unit >= 0xD800 && unit < 0xDC00; }
bool IsLowSurrogate(uint32_t unit) { return unit >= 0xDC00 && unit < 0xE000; }

// The character of a \u escape whose digits start at `at`, which moves past it and past the second
// half of a pair. A half without its other half becomes U+FFFD, as in Go. The digits are checked.
uint32_t UnicodeEscape(std::string_view raw, size_t& at) {
  const auto unit = static_cast<uint32_t>(HexAt(raw, at));
  at += 4;
  if (!IsHighSurrogate(unit)) return IsLowSurrogate(unit) ? kReplacement : unit;
  if (raw.substr(at, 2) != "\\u") return kReplacement;
  const auto low = static_cast<uint32_t>(HexAt(raw, at + 2));
  if (!IsLowSurrogate(low)) return kReplacement;
  at += 6;
  return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
}

char SimpleEscape(char c) {
  switch (c) {
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return c;  // a quote, a slash or a backslash
  }
}

}  // namespace

bool IsPlainText(std::string_view text) { return EndOfPlainAscii(text, 0) == text.size(); }

bool SameIgnoringCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

bool JsonCursor::Fail(std::string_view message) {
  if (!failed_) message_ = std::string(message) + " at byte " + std::to_string(at_);
  failed_ = true;
  return false;
}

std::optional<Error> JsonCursor::error() const {
  if (!failed_) return std::nullopt;
  return InvalidArgument(message_);
}

char JsonCursor::Peek() {
  while (at_ < text_.size()) {
    const char c = text_[at_];
    if (c != ' ' && c != '\n' && c != '\t' && c != '\r') return c;
    ++at_;
  }
  return 0;
}

bool JsonCursor::Enter(char open) {
  if (failed_) return false;
  if (Peek() != open) return Fail(open == '{' ? "expected an object" : "expected a list");
  if (depth_ == kMaxDepth) return Fail("nested too deeply");
  ++depth_;
  ++at_;
  return true;
}

bool JsonCursor::More(char close) {
  if (failed_) return false;
  const char c = Peek();
  if (c == ',') {
    ++at_;
    return true;
  }
  if (c != close) return Fail(c == 0 ? "unexpected end" : "expected a comma or an end");
  ++at_;
  return false;
}

bool JsonCursor::ReadString(std::string_view* value) {
  if (failed_) return false;
  if (Peek() != '"') return Fail("expected a string");
  const size_t start = ++at_;
  bool escaped = false;
  while (true) {
    at_ = EndOfPlainText(text_, at_);
    if (at_ >= text_.size()) return Fail("unexpected end in a string");
    if (text_[at_] == '"') break;
    if (text_[at_] != '\\') return Fail("control character in a string");
    escaped = true;
    const char kind = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    if (kind == 'u') {
      if (HexAt(text_, at_ + 2) < 0) return Fail("bad \\u escape");
      at_ += 6;
    } else {
      if (kind == 0 || std::string_view("\"\\/bfnrt").find(kind) == std::string_view::npos) {
        return Fail("bad escape");
      }
      at_ += 2;
    }
  }
  const std::string_view raw = text_.substr(start, at_ - start);
  ++at_;
  if (value == nullptr) return true;
  *value = raw;
  if (!ValidUtf8(raw)) return Fail("not valid UTF-8");
  return !escaped || Decode(raw, value);
}

bool JsonCursor::Decode(std::string_view raw, std::string_view* value) {
  std::string& out = decoded_.emplace_back();
  out.reserve(raw.size());
  for (size_t at = 0; at < raw.size();) {
    if (raw[at] != '\\') {
      out += raw[at++];
    } else if (raw[at + 1] == 'u') {
      at += 2;
      AppendUtf8(UnicodeEscape(raw, at), out);
    } else {
      out += SimpleEscape(raw[at + 1]);
      at += 2;
    }
  }
  *value = out;
  return true;
}

size_t JsonCursor::EndOfPlainString() const {
  if (at_ >= text_.size() || text_[at_] != '"') return std::string_view::npos;
  const size_t end = EndOfPlainAscii(text_, at_ + 1);
  if (end + 1 >= text_.size() || text_[end] != '"') return std::string_view::npos;
  const char next = text_[end + 1];
  return next == ',' || next == ']' ? end : std::string_view::npos;
}

bool JsonCursor::Strings(std::vector<std::string_view>& values) {
  if (!Enter('[')) return false;
  bool more = Peek() != ']';
  if (!more) ++at_;
  while (more) {
    const size_t start = at_ + 1;
    const size_t end = EndOfPlainString();
    if (end != std::string_view::npos) {
      at_ = end + 2;
      more = text_[end + 1] == ',';
      // Not by way of a view of its own: that would be written and read again in halves, for which
      // the processor waits as long as for all the rest.
      values.emplace_back(text_.data() + start, end - start);
    } else {
      std::string_view value;
      if (!ReadString(&value)) return false;
      more = More(']');
      values.push_back(value);
    }
    if (values.size() == 1) {
      values.reserve(
          std::min(kMostReserved, (text_.size() - at_) / (values.front().size() + 3) + 2));
      if (more && at_ < text_.size() && text_[at_] == '"') {
        at_ = AddPlainNames(text_, at_, values);
      }
    }
  }
  --depth_;
  return !failed_;
}

bool JsonCursor::String(std::string_view& value) { return ReadString(&value); }

bool JsonCursor::StringOrNumber(std::string_view& value) {
  if (Peek() == '"') return ReadString(&value);
  const size_t start = at_;
  if (!Number()) return false;
  value = text_.substr(start, at_ - start);
  return true;
}

bool JsonCursor::Number() {
  if (failed_) return false;
  const auto digits = [&] {
    const size_t start = at_;
    while (at_ < text_.size() && IsDigit(text_[at_])) ++at_;
    return at_ > start;
  };
  const auto next_is = [&](std::string_view any) {
    return at_ < text_.size() && any.find(text_[at_]) != std::string_view::npos;
  };
  if (next_is("-")) ++at_;
  if (next_is("0")) {
    ++at_;
  } else if (!digits()) {
    return Fail("expected a value");
  }
  if (next_is(".")) {
    ++at_;
    if (!digits()) return Fail("bad number");
  }
  if (next_is("eE")) {
    ++at_;
    if (next_is("+-")) ++at_;
    if (!digits()) return Fail("bad number");
  }
  return true;
}

bool JsonCursor::Literal(std::string_view word) {
  if (failed_) return false;
  if (text_.substr(at_, word.size()) != word) return Fail("expected a value");
  at_ += word.size();
  return true;
}

bool JsonCursor::Null() {
  if (failed_ || Peek() != 'n') return false;
  return Literal("null");
}

bool JsonCursor::Skip() {
  const bool outer = std::exchange(skipping_, true);
  const bool skipped = SkipValue();
  skipping_ = outer;
  return skipped;
}

bool JsonCursor::SkipValue() {
  if (failed_) return false;
  switch (Peek()) {
    case 0:
      return Fail(at_ < text_.size() ? "expected a value" : "unexpected end");
    case '{':
      return Object([this](std::string_view) { SkipValue(); });
    case '[':
      return Array([this](size_t) { SkipValue(); });
    case '"':
      return ReadString(nullptr);
    case 't':
      return Literal("true");
    case 'f':
      return Literal("false");
    case 'n':
      return Literal("null");
    default:
      return Number();
  }
}

}  // namespace longshore::extender
