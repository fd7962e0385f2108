// SPDX-License-Identifier: Apache-2.0
#include "common/placement/image_set.h"

#include <algorithm>
#include <string>

#include "common/base/name_map.h"

namespace longshore::placement {
namespace {

using api::Json;

// Where the tag begins, or the end of the name.
size_t TagOf(std::string_view name) {
  const size_t slash = name.rfind('/');
  const size_t colon = name.rfind(':');
  const bool tagged =
      colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash);
  return tagged ? colon : name.size();
}

std::vector<uint64_t> KeysOf(const Json& images) {
  std::vector<uint64_t> keys;
  if (!images.is_array()) return keys;
  for (const Json& image : images) {
    if (image.is_number_unsigned()) keys.push_back(image.get<uint64_t>());
    if (!image.is_object()) continue;
    const auto names = image.find("names");
    if (names == image.end() || !names->is_array()) continue;
    for (const Json& name : *names) {
      if (name.is_string()) keys.push_back(ImageKey(name.get_ref<const std::string&>()));
    }
  }
  return keys;
}

}  // namespace

uint64_t ImageKey(std::string_view name) {
  if (name.empty()) return 0;
  const size_t at = name.find('@');
  const std::string_view repository = name.substr(0, at);
  std::string key(repository.substr(0, TagOf(repository)));
  if (at != std::string_view::npos) {
    key += name.substr(at);
  } else {
    const std::string_view tag = repository.substr(key.size());
    key += tag.empty() ? ":latest" : tag;
  }
  return HashName(key);
}

ImageSet::ImageSet(std::vector<uint64_t> keys) {
  if (keys.empty()) return;
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  keys.shrink_to_fit();
  keys_ = std::make_shared<const std::vector<uint64_t>>(std::move(keys));
}

bool ImageSet::Has(uint64_t key) const {
  return keys_ != nullptr && std::binary_search(keys_->begin(), keys_->end(), key);
}

ImageSet ImageSet::With(std::string_view name) const {
  std::vector<uint64_t> keys;
  if (keys_ != nullptr) keys = *keys_;
  keys.push_back(ImageKey(name));
  return ImageSet(std::move(keys));
}

bool ImageSet::operator==(const ImageSet& other) const {
  if (keys_ == other.keys_) return true;
  return keys_ != nullptr && other.keys_ != nullptr && *keys_ == *other.keys_;
}

ImageSet ReadImages(const Json& images) { return ImageSet(KeysOf(images)); }

Json CompactImages(const Json& images) { return Json(KeysOf(images)); }

}  // namespace longshore::placement
