// SPDX-License-Identifier: Apache-2.0
//
// What scoring reads of each node, packed in arrays: a call of the scheduler may name every node of
// the cluster, and a NodeInfo is several cache lines somewhere in memory. Tiers are found once for
// all nodes of the same rack, zone and region. The extender scores by it; NodeInfo says the rest.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/name_map.h"
#include "common/placement/image_set.h"

namespace longshore::placement {

struct Location;
struct NodeInfo;
enum class Tier;

struct Amount {
  int64_t free = 0;      // of what is allocatable, not requested by pods bound there
  int64_t permille = 0;  // a thousandth of what is allocatable, at least 1; 0: the node has none
};
struct Room {
  Amount cpu_milli, memory_bytes;
};
Room RoomOf(const NodeInfo& node);

class NodeTable {
 public:
  static constexpr uint32_t kNone = NameMap::kNone;

  NodeTable() = default;
  // The nodes outlive the table and its copies, which share what names and topology say.
  explicit NodeTable(std::vector<const NodeInfo*> nodes);

  size_t size() const { return nodes_.size(); }
  // A node's place, which is its index in the list the table was made from; kNone: unknown.
  uint32_t Find(std::string_view name) const;
  // Of many at once.
  std::vector<uint32_t> FindAll(const std::vector<std::string_view>& names) const;
  const std::vector<std::string_view>& names() const { return names_->places.names(); }
  // The same object for tables in which the same names have the same places.
  std::shared_ptr<const void> order() const { return names_; }
  const NodeInfo& node(uint32_t place) const { return *nodes_[place]; }
  const Room& room(uint32_t place) const { return rooms_[place]; }
  // The tier of each place.
  std::vector<Tier> Tiers(const Location& location) const;
  // By place, whether the node has the image; and the same object for tables of which all nodes
  // have the same images.
  std::vector<uint8_t> HaveImage(std::string_view image) const;
  std::shared_ptr<const void> images() const { return images_; }

  struct Change {
    uint32_t place;
    const NodeInfo* node;  // of the same name
  };
  void Apply(const std::vector<Change>& changes);

 private:
  // The names are kept together: looking up all of them reads little memory.
  struct Names {
    std::string text;
    NameMap places;
  };
  struct Topology {
    std::vector<uint32_t> group_of;  // by place
    std::vector<uint32_t> first_of;  // a place, by group
  };
  static std::shared_ptr<const Names> Index(const std::vector<const NodeInfo*>& nodes);
  using Images = std::vector<ImageSet>;  // by place
  static std::shared_ptr<const Topology> Group(const std::vector<const NodeInfo*>& nodes);

  std::shared_ptr<const Names> names_ = std::make_shared<Names>();
  std::shared_ptr<const Topology> topology_ = std::make_shared<Topology>();
  std::shared_ptr<const Images> images_ = std::make_shared<Images>();
  std::vector<const NodeInfo*> nodes_;
  std::vector<Room> rooms_;
};

}  // namespace longshore::placement
