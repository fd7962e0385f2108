// SPDX-License-Identifier: Apache-2.0
#include "controller/image_choice.h"

#include <algorithm>
#include <cctype>
#include <set>

#include "common/base/strings.h"

namespace longshore::controller {
namespace {

constexpr size_t kMaxCandidates = 64;  // the status has room for so many

// "17.2 (Debian 17.2-1)" -> {17, 2}
std::vector<int64_t> Numbers(std::string_view version) {
  std::vector<int64_t> numbers;
  size_t at = 0;
  while (at < version.size() && std::isdigit(static_cast<unsigned char>(version[at]))) {
    int64_t number = 0;
    while (at < version.size() && std::isdigit(static_cast<unsigned char>(version[at]))) {
      number = std::min<int64_t>(number * 10 + (version[at++] - '0'), 1'000'000'000);
    }
    numbers.push_back(number);
    if (at >= version.size() || version[at] != '.') break;
    ++at;
  }
  return numbers;
}

std::string RangeText(const api::VersionRange& range) {
  if (range.min.empty() && range.max.empty()) return "any version";
  if (range.max.empty()) return range.min + " and newer";
  if (range.min.empty()) return "up to " + range.max;
  return range.min == range.max ? range.min : range.min + " to " + range.max;
}

// Empty when the image fits, else why not.
std::string WhyNot(const api::SourceImageSpec& image, const std::string& kind,
                   const std::string& version, const std::string& purpose) {
  if (image.kind != kind) return "is for kind " + image.kind;
  if (image.protocol != "Worker") return "speaks protocol " + image.protocol + ", not Worker";
  if (std::find(image.operations.begin(), image.operations.end(), purpose) ==
      image.operations.end()) {
    return "does not offer " + purpose;
  }
  if (!version.empty() && !InRange(version, image.versions)) {
    return "serves " + RangeText(image.versions) + ", the source is " + version;
  }
  return "";
}

// Whether `a` is the better of two images that fit: newest range first, then the narrower one (by
// its lower end), then the name, so that the choice never depends on the order of a list.
bool Better(const api::SourceImage& a, const api::SourceImage& b) {
  const auto top = [](const api::SourceImage& i) {
    return i.spec.versions.max.empty() ? std::string("1000000000") : i.spec.versions.max;
  };
  if (const int by_max = CompareVersions(top(a), top(b)); by_max != 0) return by_max > 0;
  const int by_min = CompareVersions(a.spec.versions.min, b.spec.versions.min);
  if (by_min != 0) return by_min > 0;
  return a.metadata.name < b.metadata.name;
}

std::string NothingFits(const std::string& kind, const std::string& version,
                        const std::vector<api::SourceImage>& images) {
  if (std::string none = NoImageOfKind(kind, images); !none.empty()) return none;
  return "no SourceImage of kind " + kind + " fits" +
         (version.empty() ? std::string() : " version " + version) +
         "; add one, or correct the source's spec.version (see the candidates)";
}

}  // namespace

int CompareVersions(std::string_view a, std::string_view b) {
  const auto left = Numbers(a), right = Numbers(b);
  for (size_t i = 0; i < std::max(left.size(), right.size()); ++i) {
    const int64_t x = i < left.size() ? left[i] : 0, y = i < right.size() ? right[i] : 0;
    if (x != y) return x < y ? -1 : 1;
  }
  return 0;
}

bool InRange(std::string_view version, const api::VersionRange& range) {
  if (!range.min.empty() && CompareVersions(version, range.min) < 0) return false;
  if (range.max.empty()) return true;
  auto cut = Numbers(version);
  const auto top = Numbers(range.max);
  cut.resize(std::min(cut.size(), top.size()));
  return !std::lexicographical_compare(top.begin(), top.end(), cut.begin(), cut.end());
}

std::string NoImageOfKind(const std::string& kind, const std::vector<api::SourceImage>& images) {
  std::set<std::string> kinds;
  for (const api::SourceImage& image : images) kinds.insert(image.spec.kind);
  if (kinds.contains(kind)) return "";
  const std::string known = Join({kinds.begin(), kinds.end()}, ", ");
  return "no SourceImage has kind " + kind + " (there are: " + (known.empty() ? "none" : known) +
         "); add a SourceImage of that kind or correct the source's spec.kind";
}

api::ImageChoice ChooseImage(const std::string& kind, const std::string& version,
                             const std::string& purpose,
                             const std::vector<api::SourceImage>& images) {
  std::vector<const api::SourceImage*> sorted;
  for (const api::SourceImage& image : images) sorted.push_back(&image);
  std::sort(sorted.begin(), sorted.end(),
            [](const auto* a, const auto* b) { return Better(*a, *b); });
  api::ImageChoice choice;
  for (const api::SourceImage* image : sorted) {
    api::ImageCandidate candidate;
    candidate.name = image->metadata.name;
    candidate.reason = WhyNot(image->spec, kind, version, purpose);
    if (candidate.reason.empty() && choice.name.empty()) {
      choice.name = image->metadata.name;
      choice.image = image->spec.image;
      choice.reason = "serves kind " + kind + ", " + RangeText(image->spec.versions) + ", " +
                      purpose +
                      (version.empty() ? "; the server's version is not known yet"
                                       : "; the server is " + version);
      candidate.chosen = true;
      candidate.reason = choice.reason;
    } else if (candidate.reason.empty()) {
      candidate.reason = "fits too, but " + choice.name + " is newer or narrower";
    }
    if (choice.candidates.size() < kMaxCandidates) {
      choice.candidates.push_back(std::move(candidate));
    }
  }
  if (choice.name.empty()) choice.reason = NothingFits(kind, version, images);
  return choice;
}

}  // namespace longshore::controller
