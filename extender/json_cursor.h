// SPDX-License-Identifier: Apache-2.0
//
// Reads JSON in one pass from the front, without building anything: kube-scheduler sends up to 60
// MB for each pod, of which a few names matter. Strings come out as views into the text. It checks
// the grammar of everything it passes over, except whether skipped strings are valid UTF-8.
//
// A parser that indexes the document first (simdjson) needs a padded copy of the body and four
// bytes for each bracket, comma and quote of it: more memory than our bound for the largest
// requests.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace longshore::extender {

class JsonCursor {
 public:
  static constexpr int kMaxDepth = 200;

  // `text` must outlive the cursor and all views. Strings that had escapes live in `decoded`.
  JsonCursor(std::string_view text, std::deque<std::string>& decoded)
      : text_(text), decoded_(decoded) {}

  // Each call reads one value and returns whether that worked; after the first failure all return
  // false and error() says what and where.

  // Calls on_member(key) with the cursor at each member's value, which it must read or Skip.
  template <class OnMember>
  bool Object(OnMember on_member);
  // Calls on_item(index) with the cursor at each item, which it must read or Skip.
  template <class OnItem>
  bool Array(OnItem on_item);
  bool String(std::string_view& value);
  // A whole list of strings, added to `values`.
  bool Strings(std::vector<std::string_view>& values);
  // A string or number as it is written: Kubernetes quantities may be either.
  bool StringOrNumber(std::string_view& value);
  bool Skip();
  // Runs read(), and gives the text that it went over.
  template <class Read>
  bool Span(std::string_view& text, Read read);
  // Reads null if the next value is null; otherwise reads nothing and returns false.
  bool Null();

  // The first character of the next value, 0 at the end.
  char Peek();
  // Keeps the first failure, with the byte where it happened; returns false.
  bool Fail(std::string_view message);
  std::optional<Error> error() const;

 private:
  bool SkipValue();
  bool Literal(std::string_view word);
  bool Number();
  // Where the string ends whose opening quote is at at_, if it is all ASCII without escapes, as
  // names are, and a comma or bracket follows at once; otherwise npos.
  size_t EndOfPlainString() const;
  // Reads a string; `value` (if wanted) gets it decoded.
  bool ReadString(std::string_view* value);
  bool Decode(std::string_view raw, std::string_view* value);
  bool Enter(char open);
  // After a member or item: true for another one, false at the end (consumed) or on failure.
  bool More(char close);

  std::string_view text_;
  std::deque<std::string>& decoded_;
  size_t at_ = 0;
  int depth_ = 0;
  bool failed_ = false;
  bool skipping_ = false;  // nobody wants the keys
  std::string message_;
};

// Whether a JSON string may have these characters as they are: ASCII without controls, quotes and
// backslashes.
bool IsPlainText(std::string_view text);

// ASCII only, as field names are. encoding/json of Go accepts field names in any case.
bool SameIgnoringCase(std::string_view a, std::string_view b);

template <class OnMember>
bool JsonCursor::Object(OnMember on_member) {
  if (!Enter('{')) return false;
  if (Peek() == '}') {
    ++at_;
  } else {
    do {
      std::string_view key;
      if (Peek() != '"') return Fail("expected a field name");
      if (!ReadString(skipping_ ? nullptr : &key)) return false;
      if (Peek() != ':') return Fail("expected a colon");
      ++at_;
      on_member(key);
    } while (More('}'));
  }
  --depth_;
  return !failed_;
}

template <class OnItem>
bool JsonCursor::Array(OnItem on_item) {
  if (!Enter('[')) return false;
  if (Peek() == ']') {
    ++at_;
  } else {
    size_t index = 0;
    do {
      on_item(index++);
    } while (More(']'));
  }
  --depth_;
  return !failed_;
}

template <class Read>
bool JsonCursor::Span(std::string_view& text, Read read) {
  Peek();
  const size_t start = at_;
  if (!read()) return false;
  text = text_.substr(start, at_ - start);
  return true;
}

}  // namespace longshore::extender
