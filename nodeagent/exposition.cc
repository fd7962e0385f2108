// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/exposition.h"

#include <cstdio>

namespace longshore::nodeagent {
namespace {

std::string Number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

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
  text_ += "# HELP " + name_ + " " + std::string(help) + "\n# TYPE " + name_ + " " +
           std::string(type) + "\n";
}

void Exposition::Line(std::string_view suffix, const Labels& labels, double value) {
  text_ += name_;
  text_ += suffix;
  char separator = '{';
  for (const auto& [label, content] : labels) {
    text_ += separator;
    text_ += label;
    text_ += "=\"";
    AppendEscaped(text_, content);
    text_ += '"';
    separator = ',';
  }
  if (separator == ',') text_ += '}';
  text_ += " " + Number(value) + "\n";
}

void Exposition::Distribution(const Labels& labels, const Histogram& histogram,
                              double sum_seconds) {
  uint64_t count = 0;
  for (size_t i = 0; i < Histogram::kBuckets; ++i) {
    count += histogram.buckets[i];
    Labels with = labels;
    // The last bucket has no upper end.
    const bool last = i + 1 == Histogram::kBuckets;
    with.emplace_back("le", last ? "+Inf" : Number(static_cast<double>(uint64_t{2} << i) / 1e6));
    Line("_bucket", with, static_cast<double>(count));
  }
  Line("_sum", labels, sum_seconds);
  Line("_count", labels, static_cast<double>(count));
}

}  // namespace longshore::nodeagent
