// SPDX-License-Identifier: Apache-2.0
#include "worker/manifest.h"

#include <algorithm>
#include <map>
#include <set>

#include "common/base/strings.h"

namespace longshore::worker {
namespace {

// Collects differences and counts those past the limit.
class Differences {
 public:
  explicit Differences(size_t limit) : limit_(limit) {}
  void Add(std::string text) {
    if (list_.size() < limit_) {
      list_.push_back(std::move(text));
    } else {
      ++more_;
    }
  }
  std::vector<std::string> Take() {
    if (more_ > 0) list_.push_back("and " + std::to_string(more_) + " more");
    return std::move(list_);
  }

 private:
  const size_t limit_;
  size_t more_ = 0;
  std::vector<std::string> list_;
};

// Calls `compare` for each pair of the same name and reports names that stand on one side only.
template <class Item, class Compare>
void Match(const std::vector<Item>& recorded, const std::vector<Item>& found,
           std::string Item::* name, const std::string& noun, Differences& differences,
           Compare&& compare) {
  std::map<std::string, const Item*> left;
  for (const Item& item : found) left[item.*name] = &item;
  for (const Item& item : recorded) {
    const auto it = left.find(item.*name);
    if (it == left.end()) {
      differences.Add(noun + item.*name + " is missing");
      continue;
    }
    compare(item, *it->second);
    left.erase(it);
  }
  for (const auto& [extra, item] : left) differences.Add(noun + extra + " is not in the copy");
}

void CompareTable(const TableDigest& recorded, const TableDigest& found, Differences& differences) {
  if (recorded.rows != found.rows) {
    differences.Add("table " + recorded.name + ": " + std::to_string(found.rows) +
                    " rows, the copy has " + std::to_string(recorded.rows));
  } else if (recorded.lane1 != found.lane1 || recorded.lane2 != found.lane2) {
    differences.Add("table " + recorded.name + ": its content differs");
  }
}

void CompareFile(const FileDigest& recorded, const FileDigest& found, bool in_doubt,
                 Differences& differences) {
  std::vector<std::string> what;
  if (recorded.type != found.type) what.push_back("type");
  if (recorded.mode != found.mode && recorded.type != "symlink") what.push_back("mode");
  if (!in_doubt && recorded.type == "file") {
    if (recorded.size != found.size) what.push_back("size");
    if (recorded.mtime != found.mtime) what.push_back("time");
  }
  if (!in_doubt && recorded.content != found.content) what.push_back("content");
  if (!what.empty()) differences.Add("file " + recorded.path + ": " + Join(what, ", ") + " differ");
}

}  // namespace

std::string ManifestDigest(const Manifest& manifest) {
  return Sha256Hex(api::DumpJson(api::WriteJson(manifest)));
}

int64_t TotalRows(const Manifest& manifest) {
  int64_t rows = 0;
  for (const TableDigest& table : manifest.tables) rows += table.rows;
  return rows;
}

std::vector<std::string> CompareManifests(const Manifest& recorded, const Manifest& found,
                                          size_t limit) {
  Differences differences(limit);
  if (recorded.hash != found.hash) {
    return {"the rows were hashed another way: '" + recorded.hash + "', not '" + found.hash + "'"};
  }
  Match(recorded.tables, found.tables, &TableDigest::name, "table ", differences,
        [&](const TableDigest& a, const TableDigest& b) { CompareTable(a, b, differences); });
  Match(recorded.sequences, found.sequences, &SequenceRange::name, "sequence ", differences,
        [&](const SequenceRange& a, const SequenceRange& b) {
          if (b.low >= std::min(a.low, a.high) && b.low <= std::max(a.low, a.high)) return;
          differences.Add("sequence " + a.name + ": stands at " + std::to_string(b.low) +
                          ", the copy's is from " + std::to_string(a.low) + " to " +
                          std::to_string(a.high));
        });
  if (recorded.large_objects != found.large_objects) {
    differences.Add(std::to_string(found.large_objects) + " large objects, the copy has " +
                    std::to_string(recorded.large_objects));
  }
  const std::set<std::string> doubtful(recorded.changed_while_read.begin(),
                                       recorded.changed_while_read.end());
  Match(recorded.files, found.files, &FileDigest::path, "file ", differences,
        [&](const FileDigest& a, const FileDigest& b) {
          CompareFile(a, b, doubtful.contains(a.path), differences);
        });
  return differences.Take();
}

}  // namespace longshore::worker
