// SPDX-License-Identifier: Apache-2.0
#include "extender/offered_list.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace longshore::extender {
namespace {

// Of the length and sixteen places of the text: two that differ elsewhere look alike, and are told
// apart when they are compared.
uint64_t SampleOf(std::string_view text) {
  constexpr size_t kPlaces = 16;
  uint64_t sample = text.size();
  for (size_t i = 0; i < kPlaces; ++i) {
    uint64_t word;
    std::memcpy(&word, text.data() + (text.size() - sizeof word) * i / (kPlaces - 1), sizeof word);
    sample = (sample ^ word) * 0x9e3779b97f4a7c15u;
    sample ^= sample >> 32;
  }
  return sample;
}

}  // namespace

OfferedList::OfferedList(std::string_view text, std::span<const std::string_view> names)
    : text_(text) {
  names_.reserve(names.size());
  for (const std::string_view name : names) {
    names_.emplace_back(text_.data() + (name.data() - text.data()), name.size());
  }
}

std::shared_ptr<const OfferedList::Places> OfferedList::PlacesIn(
    const std::shared_ptr<const void>& order, const std::function<Places()>& find) const {
  {
    MutexLock lock(mutex_);
    if (order_ == order) return places_;
  }
  auto places = std::make_shared<const Places>(find());
  std::shared_ptr<const void> before = order;  // ends outside of the lock
  MutexLock lock(mutex_);
  std::swap(order_, before);
  places_ = places;
  return places;
}

std::shared_ptr<const OfferedList> OfferedLists::At(std::string_view text) const {
  std::array<std::shared_ptr<const OfferedList>, kMost> kept;
  {
    MutexLock lock(mutex_);
    kept = kept_;
  }
  for (auto& list : kept) {
    if (list != nullptr && text.starts_with(list->text())) return std::move(list);
  }
  return nullptr;
}

void OfferedLists::Saw(std::string_view text, std::span<const std::string_view> names) {
  if (text.size() < shortest_ || text.size() > kLongest) return;
  const uint64_t sample = SampleOf(text);
  {
    MutexLock lock(mutex_);
    if (std::ranges::find(seen_, sample) == seen_.end()) {
      seen_[std::exchange(next_seen_, (next_seen_ + 1) % kMost)] = sample;
      return;
    }
  }
  auto list = std::make_shared<const OfferedList>(text, names);
  MutexLock lock(mutex_);
  // Another call may have kept it meanwhile: then it is there twice until others take its place.
  std::swap(kept_[std::exchange(next_kept_, (next_kept_ + 1) % kMost)], list);
}

}  // namespace longshore::extender
