// SPDX-License-Identifier: Apache-2.0
//
// Numbers names in the order in which they come, and finds them again: what the extender does 5000
// times a call. Open addressing in one allocation, eight bytes a slot, so that the table stays in
// the processor's cache where std::unordered_map follows a pointer for each name.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>
#include <vector>

namespace longshore {

// Not for names that an enemy chooses: the seed is fixed.
inline uint64_t HashName(std::string_view name) {
  __extension__ using Product = unsigned __int128;
  constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15u;
  // The upper half brings the last characters of a word, which differ most, down to the low bits.
  const auto mix = [](uint64_t hash, uint64_t word) {
    const Product product = Product{hash ^ word} * kMultiplier;
    return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
  };
  const auto load = [](const char* at, auto word) {
    std::memcpy(&word, at, sizeof word);
    return uint64_t{word};
  };
  const char* at = name.data();
  const size_t size = name.size();
  uint64_t hash = size * kMultiplier;
  size_t left = size;
  for (; left > 8; at += 8, left -= 8) hash = mix(hash, load(at, uint64_t{}));
  // The last words may overlap: copies of a length that is known are single instructions.
  uint64_t rest = 0;
  if (size >= 8) {
    rest = load(at + left - 8, uint64_t{});
  } else if (size >= 4) {
    rest = load(at, uint32_t{}) << 32 | load(at + size - 4, uint32_t{});
  } else if (size > 0) {
    rest = load(at, uint8_t{}) << 16 | load(at + size / 2, uint8_t{}) << 8 |
           load(at + size - 1, uint8_t{});
  }
  hash = mix(hash, rest);
  return hash ^ (hash >> 32);
}

class NameMap {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  // For at most so many different names, which must outlive the map.
  explicit NameMap(size_t most = 0) : slots_(std::bit_ceil(most * 2 + 1)) { names_.reserve(most); }

  // The number of the name, and whether it is new.
  std::pair<uint32_t, bool> Insert(std::string_view name) {
    const uint64_t hash = HashName(name);
    Slot& slot = slots_[Place(name, hash)];
    if (slot.number != kNone) return {slot.number, false};
    slot = {Tag(hash), static_cast<uint32_t>(names_.size())};
    names_.push_back(name);
    return {slot.number, true};
  }
  // kNone: it is not there.
  uint32_t Find(std::string_view name) const { return slots_[Place(name, HashName(name))].number; }
  // The same for many, without waiting for memory at each of them.
  std::vector<uint32_t> FindAll(const std::vector<std::string_view>& names) const {
    std::vector<uint64_t> hashes;
    hashes.reserve(names.size());
    for (const std::string_view name : names) hashes.push_back(HashName(name));
    std::vector<uint32_t> numbers;
    numbers.reserve(names.size());
    for (size_t i = 0; i < names.size(); ++i) {
      if (i + kAhead < names.size()) Prefetch(hashes[i + kAhead]);
      if (i + kAhead / 2 < names.size()) PrefetchName(hashes[i + kAhead / 2]);
      numbers.push_back(slots_[Place(names[i], hashes[i])].number);
    }
    return numbers;
  }
  const std::vector<std::string_view>& names() const { return names_; }  // by number

 private:
  struct Slot {
    uint32_t tag = 0;
    uint32_t number = kNone;
  };
  // So many names before it is looked at, a slot is asked for.
  static constexpr size_t kAhead = 24;
  static uint32_t Tag(uint64_t hash) { return static_cast<uint32_t>(hash >> 32); }
  void Prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[hash & (slots_.size() - 1)]); }
  void PrefetchName(uint64_t hash) const {
    const Slot& slot = slots_[hash & (slots_.size() - 1)];
    if (slot.number != kNone) __builtin_prefetch(&names_[slot.number]);
  }
  // Where the name is, or would be.
  size_t Place(std::string_view name, uint64_t hash) const {
    const size_t mask = slots_.size() - 1;
    size_t place = hash & mask;
    while (slots_[place].number != kNone &&
           (slots_[place].tag != Tag(hash) || names_[slots_[place].number] != name)) {
      place = (place + 1) & mask;
    }
    return place;
  }

  std::vector<Slot> slots_;
  std::vector<std::string_view> names_;
};

}  // namespace longshore
