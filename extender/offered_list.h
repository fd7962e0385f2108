// SPDX-License-Identifier: Apache-2.0
//
// Lists of node names that a scheduler sends again. Where every node is looked at, which is the
// only way to offer thousands, it names the same ones in the same order for pod after pod; and a
// pod's prioritize mostly names what its filter did. What takes long to find out of such a list is
// kept: where each name stands, that none is there twice, its place in the node table. Thread-safe.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/mutex.h"

namespace longshore::extender {

class OfferedList {
 public:
  using Places = std::vector<uint32_t>;  // parallel to names()

  // `names` are views into `text`, a JSON list; each name once and without escapes.
  OfferedList(std::string_view text, std::span<const std::string_view> names);
  OfferedList(const OfferedList&) = delete;
  OfferedList& operator=(const OfferedList&) = delete;

  const std::string& text() const { return text_; }
  const std::vector<std::string_view>& names() const { return names_; }
  // What find() says, once for all calls in a row that have the same `order` of nodes.
  std::shared_ptr<const Places> PlacesIn(const std::shared_ptr<const void>& order,
                                         const std::function<Places()>& find) const;

 private:
  const std::string text_;
  std::vector<std::string_view> names_;
  mutable Mutex mutex_;
  mutable std::shared_ptr<const void> order_ LS_GUARDED_BY(mutex_);
  mutable std::shared_ptr<const Places> places_ LS_GUARDED_BY(mutex_);
};

class OfferedLists {
 public:
  // Shorter ones are read as quickly; longer ones are not sent as names.
  static constexpr size_t kShortest = 1 << 10, kLongest = 2 << 20;  // bytes

  // `shortest`: for tests; at least 8.
  explicit OfferedLists(size_t shortest = kShortest) : shortest_(shortest) {}

  // A kept list that `text` begins with, or null.
  std::shared_ptr<const OfferedList> At(std::string_view text) const;
  // Keeps a list that seems to have come before, in place of the one that was kept first; others
  // cost nothing but a look. The arguments are as for OfferedList.
  void Saw(std::string_view text, std::span<const std::string_view> names);

 private:
  static constexpr size_t kMost = 4;

  const size_t shortest_;
  mutable Mutex mutex_;
  std::array<std::shared_ptr<const OfferedList>, kMost> kept_ LS_GUARDED_BY(mutex_);
  std::array<uint64_t, kMost> seen_ LS_GUARDED_BY(mutex_){};  // samples of lists that came
  size_t next_kept_ LS_GUARDED_BY(mutex_) = 0, next_seen_ LS_GUARDED_BY(mutex_) = 0;
};

}  // namespace longshore::extender
