// SPDX-License-Identifier: Apache-2.0
//
// A set of names for one request: open addressing in one allocation, since std::unordered_set's
// node for each of 5000 names costs more than the rest of the call. The names must outlive the set.
#pragma once

#include <bit>
#include <functional>
#include <string_view>
#include <vector>

namespace longshore::extender {

class NameSet {
 public:
  // For at most `names` names.
  explicit NameSet(size_t names) : slots_(std::bit_ceil(names * 2 + 1)) {}

  // False if it is there already.
  bool Insert(std::string_view name) {
    const size_t mask = slots_.size() - 1;
    for (size_t slot = std::hash<std::string_view>()(name) & mask;; slot = (slot + 1) & mask) {
      if (!slots_[slot].used) {
        slots_[slot] = {name, true};
        return true;
      }
      if (slots_[slot].name == name) return false;
    }
  }

 private:
  struct Slot {
    std::string_view name;
    bool used = false;
  };
  std::vector<Slot> slots_;
};

}  // namespace longshore::extender
