// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/startup_pages.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

#include "common/base/files.h"

namespace longshore::nodeagent {
namespace {

// "55d0-55e0 r-xp 00000000 08:01 1234   /usr/bin/x"; false: not such a line.
bool ReadRange(std::string_view line, AddressRange& range, std::string_view& rest) {
  const char* const begin = line.data();
  const char* const end = begin + line.size();
  const auto [dash, first] = std::from_chars(begin, end, range.begin, 16);
  if (first != std::errc() || dash == end || *dash != '-') return false;
  const auto [space, second] = std::from_chars(dash + 1, end, range.end, 16);
  if (second != std::errc() || space == end || *space != ' ') return false;
  rest = {space + 1, static_cast<size_t>(end - space - 1)};
  return true;
}

bool MayBeDropped(std::string_view attributes) {
  const bool read_only = attributes.starts_with("r-xp ") || attributes.starts_with("r--p ");
  const size_t path = attributes.find('/');
  return read_only && path != std::string_view::npos && attributes[path - 1] == ' ';
}

}  // namespace

std::vector<AddressRange> UnwrittenFileRanges(std::string_view smaps) {
  std::vector<AddressRange> found;
  AddressRange current;
  bool candidate = false;
  while (!smaps.empty()) {
    const size_t end = std::min(smaps.find('\n'), smaps.size());
    const std::string_view line = smaps.substr(0, end);
    smaps.remove_prefix(std::min(end + 1, smaps.size()));
    AddressRange range;
    std::string_view rest;
    if (ReadRange(line, range, rest)) {
      current = range;
      candidate = MayBeDropped(rest);
    } else if (candidate && line.starts_with("Anonymous:")) {
      const size_t unit = line.find("kB");
      const size_t value = line.find_first_not_of(" 0", line.find(':') + 1);
      if (unit != std::string_view::npos && value == unit) found.push_back(current);
      candidate = false;
    }
  }
  return found;
}

Status ReleaseStartupPages() {
  LS_ASSIGN_OR_RETURN(const std::string smaps, ReadFile("/proc/self/smaps"));
  for (const AddressRange& range : UnwrittenFileRanges(smaps)) {
    // NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel gave the address as text
    if (::madvise(reinterpret_cast<void*>(range.begin), range.end - range.begin, MADV_DONTNEED) !=
        0) {
      return ErrnoError(errno, "madvise");
    }
  }
  return {};
}

}  // namespace longshore::nodeagent
