// SPDX-License-Identifier: Apache-2.0
#include "common/placement/node_table.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "common/placement/location.h"

namespace longshore::placement {

namespace {

Amount AmountOf(int64_t allocatable, int64_t requested) {
  return {allocatable - requested, allocatable <= 0 ? 0 : std::max<int64_t>(1, allocatable / 1000)};
}

}  // namespace

Room RoomOf(const NodeInfo& node) {
  return {AmountOf(node.cpu_allocatable_milli, node.cpu_requested_milli),
          AmountOf(node.memory_allocatable_bytes, node.memory_requested_bytes)};
}

NodeTable::NodeTable(std::vector<const NodeInfo*> nodes)
    : names_(Index(nodes)), topology_(Group(nodes)), nodes_(std::move(nodes)) {
  rooms_.reserve(nodes_.size());
  auto images = std::make_shared<Images>();
  for (const NodeInfo* node : nodes_) {
    rooms_.push_back(RoomOf(*node));
    images->push_back(node->images);
  }
  images_ = std::move(images);
}

std::vector<uint8_t> NodeTable::HaveImage(std::string_view image) const {
  const uint64_t key = ImageKey(image);
  std::vector<uint8_t> have;
  have.reserve(images_->size());
  for (const ImageSet& images : *images_) have.push_back(images.Has(key) ? 1 : 0);
  return have;
}

std::shared_ptr<const NodeTable::Names> NodeTable::Index(
    const std::vector<const NodeInfo*>& nodes) {
  auto names = std::make_shared<Names>();
  for (const NodeInfo* node : nodes) names->text += node->name;
  names->places = NameMap(nodes.size());
  std::string_view rest = names->text;
  for (const NodeInfo* node : nodes) {
    names->places.Insert(rest.substr(0, node->name.size()));
    rest.remove_prefix(node->name.size());
  }
  return names;
}

std::shared_ptr<const NodeTable::Topology> NodeTable::Group(
    const std::vector<const NodeInfo*>& nodes) {
  auto topology = std::make_shared<Topology>();
  std::map<std::tuple<std::string_view, std::string_view, std::string_view>, uint32_t> groups;
  for (uint32_t place = 0; place < nodes.size(); ++place) {
    const NodeInfo& node = *nodes[place];
    const auto [group, added] =
        groups.emplace(std::tie(node.region, node.zone, node.rack), groups.size());
    if (added) topology->first_of.push_back(place);
    topology->group_of.push_back(group->second);
  }
  return topology;
}

uint32_t NodeTable::Find(std::string_view name) const { return names_->places.Find(name); }

std::vector<uint32_t> NodeTable::FindAll(const std::vector<std::string_view>& names) const {
  return names_->places.FindAll(names);
}

std::vector<Tier> NodeTable::Tiers(const Location& location) const {
  // A volume may be on any node of a region, which are few racks.
  Location racks;
  std::set<std::tuple<std::string_view, std::string_view, std::string_view>> seen;
  for (const Place& place : location.places) {
    if (!seen.insert(std::tie(place.region, place.zone, place.rack)).second) continue;
    racks.places.push_back({"", place.rack, place.zone, place.region});
  }
  std::vector<Tier> by_group;
  for (const uint32_t first : topology_->first_of) {
    by_group.push_back(NearnessBeside(racks, node(first)));
  }
  std::vector<Tier> tiers;
  tiers.reserve(size());
  for (const uint32_t group : topology_->group_of) tiers.push_back(by_group[group]);
  for (const Place& holder : location.places) {
    const uint32_t place = holder.node.empty() ? kNone : Find(holder.node);
    if (place != kNone) tiers[place] = Tier::kNode;
  }
  return tiers;
}

void NodeTable::Apply(const std::vector<Change>& changes) {
  bool moved = false;
  std::shared_ptr<Images> images;  // if any changed
  for (const auto& [place, node] : changes) {
    const NodeInfo& old = *nodes_[place];
    moved |=
        std::tie(old.rack, old.zone, old.region) != std::tie(node->rack, node->zone, node->region);
    if (!(old.images == node->images)) {
      if (images == nullptr) images = std::make_shared<Images>(*images_);
      (*images)[place] = node->images;
    }
    nodes_[place] = node;
    rooms_[place] = RoomOf(*node);
  }
  if (moved) topology_ = Group(nodes_);
  if (images != nullptr) images_ = std::move(images);
}

}  // namespace longshore::placement
