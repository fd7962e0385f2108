// SPDX-License-Identifier: Apache-2.0
//
// What the terminal shows and what keys do: sorting, choosing a pod, opening it. Knows nothing of
// the terminal itself, so tests press keys and read lines.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "nodeagent/top/text.h"

namespace longshore::nodeagent::top {

enum class Key { kUp, kDown, kLeft, kRight, kPageUp, kPageDown, kEnter, kEscape, kOther };

struct Press {
  Key key = Key::kOther;
  char character = 0;  // of kOther
  bool operator==(const Press&) const = default;
};

// Keys in what a terminal sends; sequences that mean nothing to us are left out.
std::vector<Press> DecodeKeys(std::string_view bytes);

struct Size {
  int columns = 80, rows = 24;
};

class Screen {
 public:
  Screen(TableOptions options, std::string pod_folder)
      : options_(options), names_(std::move(pod_folder)) {}

  // False: the user wants to end.
  bool Handle(const Press& press);
  // At most size.rows lines (but two at least), none longer than size.columns.
  std::vector<std::string> Draw(const Sample& before, const Sample& now, Size size);
  // Shows this pod in full.
  void Open(std::string uid) { open_ = std::move(uid); }
  const std::string& open() const { return open_; }  // its UID; empty: the table
  PodNames& names() { return names_; }

 private:
  void MoveSort(int by);
  std::vector<std::string> DrawTable(const Sample& before, const Sample& now, Size size);
  void Select(const Table& table);

  TableOptions options_;
  PodNames names_;
  std::string open_;
  std::optional<std::string> selected_;  // UID and container of the row, which moves with it
  int move_ = 0;                         // rows to move the selection by at the next drawing
  size_t selected_row_ = 0, first_row_ = 0;
  std::string selected_uid_;
  int scroll_ = 0;  // of the open pod
};

}  // namespace longshore::nodeagent::top
