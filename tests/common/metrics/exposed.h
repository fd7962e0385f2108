// SPDX-License-Identifier: Apache-2.0
//
// What a program's /metrics holds, read back from its text.
#pragma once

#include <limits>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "common/base/strings.h"

namespace longshore::metrics {

// Families by name, with their type ("counter", "gauge", "histogram").
inline std::map<std::string, std::string> Families(const std::string& text) {
  std::map<std::string, std::string> families;
  const std::regex type("# TYPE (\\S+) (\\S+)");
  for (std::sregex_iterator it(text.begin(), text.end(), type), end; it != end; ++it) {
    families[(*it)[1]] = (*it)[2];
  }
  return families;
}

// The names that a query may use.
inline std::set<std::string> Exposed(const std::string& text) {
  std::set<std::string> names;
  for (const auto& [name, type] : Families(text)) {
    if (type != "histogram") {
      names.insert(name);
      continue;
    }
    for (const char* suffix : {"_bucket", "_sum", "_count"}) names.insert(name + suffix);
  }
  return names;
}

// The value of a series, written as in "name{label=\"value\"}"; NaN: there is none.
inline double ValueOf(const std::string& text, const std::string& series) {
  for (const std::string& line : Split(text, '\n')) {
    if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
  }
  return std::numeric_limits<double>::quiet_NaN();
}

}  // namespace longshore::metrics
