// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/top/screen.h"

#include <algorithm>

namespace longshore::nodeagent::top {
namespace {

constexpr int kPage = 10;
constexpr const char* kTableKeys =
    "q quit  < > sort column  r reverse  c containers  up/down choose, enter open";
constexpr const char* kPodKeys = "q quit  esc back  up/down scroll";
constexpr const char* kReversed = "\x1b[7m";
constexpr const char* kNormal = "\x1b[0m";

struct Sequence {
  std::string_view bytes;
  Key key;
};
constexpr Sequence kSequences[] = {
    {"\x1b[A", Key::kUp},        {"\x1bOA", Key::kUp},    {"\x1b[B", Key::kDown},
    {"\x1bOB", Key::kDown},      {"\x1b[D", Key::kLeft},  {"\x1bOD", Key::kLeft},
    {"\x1b[C", Key::kRight},     {"\x1bOC", Key::kRight}, {"\x1b[5~", Key::kPageUp},
    {"\x1b[6~", Key::kPageDown},
};

// The length of an escape sequence that we don't know: CSI ends with a byte of 0x40 to 0x7e.
size_t UnknownSequence(std::string_view bytes) {
  if (bytes.size() < 2 || (bytes[1] != '[' && bytes[1] != 'O')) return 1;
  size_t end = 2;
  while (end < bytes.size() && (bytes[end] < 0x40 || bytes[end] > 0x7e)) ++end;
  return std::min(end + 1, bytes.size());
}

std::string Clipped(std::string line, int columns) {
  if (line.size() > static_cast<size_t>(columns)) line.resize(static_cast<size_t>(columns));
  return line;
}

// Cut at the last space that fits, what follows below its text.
std::vector<std::string> Wrapped(const std::vector<std::string>& lines, int columns) {
  constexpr size_t kIndent = 16;
  const auto width = static_cast<size_t>(columns);
  std::vector<std::string> out;
  for (std::string line : lines) {
    while (line.size() > width && width > 2 * kIndent) {
      const size_t space = line.rfind(' ', width);
      const size_t cut = space == std::string::npos || space <= kIndent ? width : space;
      out.push_back(line.substr(0, cut));
      const size_t next = line.find_first_not_of(' ', cut);
      line = next == std::string::npos ? "" : std::string(kIndent, ' ') + line.substr(next);
    }
    if (!line.empty()) out.push_back(std::move(line));
  }
  return out;
}

std::string RowId(const Row& row) { return row.uid + "/" + row.container; }

}  // namespace

std::vector<Press> DecodeKeys(std::string_view bytes) {
  std::vector<Press> keys;
  while (!bytes.empty()) {
    if (bytes[0] != '\x1b') {
      const char c = bytes[0];
      keys.push_back(c == '\r' || c == '\n' ? Press{Key::kEnter, 0} : Press{Key::kOther, c});
      bytes.remove_prefix(1);
      continue;
    }
    const auto known = std::find_if(std::begin(kSequences), std::end(kSequences),
                                    [&](const auto& s) { return bytes.starts_with(s.bytes); });
    if (known != std::end(kSequences)) {
      keys.push_back({known->key, 0});
      bytes.remove_prefix(known->bytes.size());
      continue;
    }
    const size_t length = UnknownSequence(bytes);
    if (length == 1) keys.push_back({Key::kEscape, 0});
    bytes.remove_prefix(length);
  }
  return keys;
}

void Screen::MoveSort(int by) {
  const int count = static_cast<int>(Columns().size());
  options_.sort = static_cast<size_t>((static_cast<int>(options_.sort) + by + count) % count);
}

bool Screen::Handle(const Press& press) {
  const bool table = open_.empty();
  switch (press.key) {
    case Key::kUp:
    case Key::kDown:
    case Key::kPageUp:
    case Key::kPageDown: {
      const int step = press.key == Key::kUp || press.key == Key::kDown ? 1 : kPage;
      const int by = press.key == Key::kUp || press.key == Key::kPageUp ? -step : step;
      (table ? move_ : scroll_) += by;
      return true;
    }
    case Key::kLeft:
    case Key::kRight:
      if (table) MoveSort(press.key == Key::kLeft ? -1 : 1);
      return true;
    case Key::kEnter:
      if (table) open_ = selected_uid_;
      scroll_ = 0;
      return true;
    case Key::kEscape:
      open_.clear();
      return true;
    case Key::kOther:
      break;
  }
  if (press.character == 'q') return false;
  if (!table) return true;
  if (press.character == '<') MoveSort(-1);
  if (press.character == '>') MoveSort(1);
  if (press.character == 'r') options_.reverse = !options_.reverse;
  if (press.character == 'c') options_.containers = !options_.containers;
  return true;
}

// The selection stays on its pod while rows change places; nobody has chosen: it stays at the top.
void Screen::Select(const Table& table) {
  const auto& rows = table.rows;
  if (rows.empty()) {
    selected_uid_.clear();
    move_ = 0;
    return;
  }
  if (selected_) {
    const auto found = std::find_if(rows.begin(), rows.end(),
                                    [&](const Row& row) { return RowId(row) == *selected_; });
    if (found != rows.end()) selected_row_ = static_cast<size_t>(found - rows.begin());
  } else {
    selected_row_ = 0;
  }
  const long last = static_cast<long>(rows.size()) - 1;
  const long wanted = std::clamp(static_cast<long>(selected_row_) + move_, 0L, last);
  selected_row_ = static_cast<size_t>(wanted);
  if (move_ != 0 || selected_) selected_ = RowId(rows[selected_row_]);
  move_ = 0;
  selected_uid_ = rows[selected_row_].uid;
}

std::vector<std::string> Screen::DrawTable(const Sample& before, const Sample& now, Size size) {
  options_.width = size.columns;
  const Table table = MakeTable(before, now, options_, names_);
  Select(table);
  // A small terminal keeps at least the title and a few rows: the head gives way.
  std::vector<std::string> lines = Wrapped(HeadLines(before, now), size.columns);
  const int most = std::max(0, size.rows - 6);
  if (static_cast<int>(lines.size()) > most) lines.resize(static_cast<size_t>(most));
  for (std::string& line : lines) line = Clipped(std::move(line), size.columns);
  lines.push_back(Clipped(table.title, size.columns));
  const size_t visible =
      static_cast<size_t>(std::max(1, size.rows - static_cast<int>(lines.size()) - 1));
  if (selected_row_ < first_row_) first_row_ = selected_row_;
  if (selected_row_ >= first_row_ + visible) first_row_ = selected_row_ - visible + 1;
  if (first_row_ + visible > table.lines.size()) {
    first_row_ = table.lines.size() > visible ? table.lines.size() - visible : 0;
  }
  for (size_t i = first_row_; i < std::min(first_row_ + visible, table.lines.size()); ++i) {
    const std::string line = Clipped(table.lines[i], size.columns);
    lines.push_back(selected_ && i == selected_row_ ? kReversed + line + kNormal : line);
  }
  return lines;
}

std::vector<std::string> Screen::Draw(const Sample& before, const Sample& now, Size size) {
  names_.Refresh();
  if (open_.empty()) {
    std::vector<std::string> lines = DrawTable(before, now, size);
    lines.resize(static_cast<size_t>(std::max(1, size.rows - 1)));
    lines.push_back(Clipped(kTableKeys, size.columns));
    return lines;
  }
  const auto all = Wrapped(PodLines(open_, before, now, names_), size.columns);
  const int visible = std::max(1, size.rows - 1);
  scroll_ = std::clamp(scroll_, 0, std::max(0, static_cast<int>(all.size()) - visible));
  std::vector<std::string> lines;
  for (size_t i = static_cast<size_t>(scroll_); i < all.size(); ++i) {
    if (lines.size() == static_cast<size_t>(visible)) break;
    lines.push_back(Clipped(all[i], size.columns));
  }
  lines.resize(static_cast<size_t>(visible));
  lines.push_back(Clipped(kPodKeys, size.columns));
  return lines;
}

}  // namespace longshore::nodeagent::top
