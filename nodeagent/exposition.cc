// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/exposition.h"

#include <charconv>

namespace longshore::nodeagent {
namespace {

// The fewest digits that read back as the same number.
class Digits {
 public:
  explicit Digits(double value)
      : size_(std::to_chars(text_, text_ + sizeof text_, value).ptr - text_) {}
  std::string_view text() const { return {text_, static_cast<size_t>(size_)}; }

 private:
  char text_[32];
  ptrdiff_t size_;
};

void AppendEscaped(std::string& out, std::string_view value) {
  for (const char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    c == '\n' ? out += "\\n" : out += c;
  }
}

}  // namespace

void Exposition::Family(std::string_view name, std::string_view type, std::string_view help) {
  name_ = "longshore_nodeagent_";
  name_ += name;
  (text_ += "# HELP ") += name_;
  (text_ += ' ') += help;
  (text_ += "\n# TYPE ") += name_;
  (text_ += ' ') += type;
  text_ += '\n';
}

void Exposition::Line(std::string_view suffix, Labels labels, std::string_view le, double value) {
  (text_ += name_) += suffix;
  char separator = '{';
  const auto add = [&](std::string_view label, std::string_view content) {
    (text_ += separator) += label;
    text_ += "=\"";
    AppendEscaped(text_, content);
    text_ += '"';
    separator = ',';
  };
  for (const auto& [label, content] : labels) add(label, content);
  if (!le.empty()) add("le", le);
  if (separator == ',') text_ += '}';
  (text_ += ' ') += Digits(value).text();
  text_ += '\n';
}

void Exposition::Distribution(Labels labels, const Histogram& histogram, double sum_seconds) {
  uint64_t count = 0;
  for (size_t i = 0; i < Histogram::kBuckets; ++i) {
    count += histogram.buckets[i];
    // The last bucket has no upper end.
    const bool last = i + 1 == Histogram::kBuckets;
    const Digits end(static_cast<double>(uint64_t{2} << i) / 1e6);
    Line("_bucket", labels, last ? "+Inf" : end.text(), static_cast<double>(count));
  }
  Line("_sum", labels, "", sum_seconds);
  Line("_count", labels, "", static_cast<double>(count));
}

}  // namespace longshore::nodeagent
