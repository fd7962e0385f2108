// SPDX-License-Identifier: Apache-2.0
//
// Which images a node has, as its kubelet reports them: at most 50, the largest. Only whether one
// is among them is ever asked, so a hash of each name is kept. Copies share one list.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "common/api/archive.h"

namespace longshore::placement {

// Of a name as it is written in a Pod or reported by a node: without a tag "latest" is meant, and a
// digest makes the tag irrelevant. 0 of no name.
uint64_t ImageKey(std::string_view name);

class ImageSet {
 public:
  ImageSet() = default;
  explicit ImageSet(std::vector<uint64_t> keys);

  bool Has(uint64_t key) const;
  bool Has(std::string_view name) const { return Has(ImageKey(name)); }
  ImageSet With(std::string_view name) const;
  bool operator==(const ImageSet& other) const;

 private:
  std::shared_ptr<const std::vector<uint64_t>> keys_;  // sorted; null: none
};

// status.images of a Node, or what CompactImages has made of it.
ImageSet ReadImages(const api::Json& images);
// The keys instead of the names, which are most of a Node.
api::Json CompactImages(const api::Json& images);

}  // namespace longshore::placement
