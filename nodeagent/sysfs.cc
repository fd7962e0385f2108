// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/sysfs.h"

#include <algorithm>
#include <filesystem>

namespace longshore::nodeagent {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxInterfaces = 16;    // 4 open files each
constexpr size_t kMaxWithoutDevice = 4;  // of a node that has no hardware of its own

struct Found {
  std::string name;
  uint64_t index = 0;
  bool device = false;
};

uint64_t NumberIn(const std::string& path) {
  const auto text = ReadFile(path, 4096);
  return text.has_value() ? Number(*text) : 0;  // "-1": no link
}

std::vector<Found> ListInterfaces(const std::string& directory) {
  std::vector<Found> found;
  std::error_code error;
  for (auto entry = fs::directory_iterator(directory, error);
       !error && entry != fs::directory_iterator(); entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name == "lo") continue;
    std::error_code ignored;
    found.push_back({name, NumberIn(entry->path().string() + "/ifindex"),
                     fs::exists(entry->path() / "device", ignored)});
  }
  std::sort(found.begin(), found.end(),
            [](const Found& a, const Found& b) { return a.index < b.index; });
  const bool hardware =
      std::any_of(found.begin(), found.end(), [](const Found& f) { return f.device; });
  if (hardware) std::erase_if(found, [](const Found& f) { return !f.device; });
  found.resize(std::min(found.size(), hardware ? kMaxInterfaces : kMaxWithoutDevice));
  return found;
}

// Devices whose I/O is seen once more on what lies below them, by the beginning of their names.
bool StackedByName(std::string_view name) {
  static constexpr std::string_view kStacked[] = {"loop", "dm-", "md", "drbd", "bcache"};
  return std::any_of(std::begin(kStacked), std::end(kStacked),
                     [&](std::string_view prefix) { return name.starts_with(prefix); });
}

// Without sysfs: the numbers that Linux has given them for good.
bool StackedByNumber(uint32_t major) { return major == 7 || major == 9 || major == 147; }

}  // namespace

void NetworkInterfaces::Scan() {
  const std::string directory = sysfs_ + "/class/net/";
  const std::vector<Found> found = ListInterfaces(directory);
  std::erase_if(entries_, [&](const auto& entry) {
    return std::none_of(found.begin(), found.end(),
                        [&](const Found& f) { return f.name == entry.first; });
  });
  for (const Found& interface : found) {
    Entry& entry = entries_.try_emplace(interface.name, open_files_).first->second;
    entry.speed_bits_per_second = NumberIn(directory + interface.name + "/speed") * 1'000'000;
  }
}

std::vector<NetworkInterface> NetworkInterfaces::Read(MonotonicTime now) {
  if (!scanned_ || now - *scanned_ >= kSysfsRescan) {
    scanned_ = now;
    Scan();
  }
  std::vector<NetworkInterface> out;
  for (auto& [name, entry] : entries_) {
    bool there = true;
    const auto read = [&](KeptFile& file, const char* counter) {
      const auto text = file.Read(sysfs_, "/class/net/", name, "/statistics/", counter);
      there &= text.has_value();
      return text ? Number(*text) : 0;
    };
    NetworkInterface values{.name = name, .speed_bits_per_second = entry.speed_bits_per_second};
    values.receive_bytes = read(entry.receive, "rx_bytes");
    values.send_bytes = read(entry.send, "tx_bytes");
    values.drops = read(entry.receive_drops, "rx_dropped") + read(entry.send_drops, "tx_dropped");
    if (there) out.push_back(std::move(values));
  }
  return out;
}

const BlockDevice& BlockDevices::Get(DeviceId id, MonotonicTime now) {
  if (now - forgotten_ >= kSysfsRescan) {
    forgotten_ = now;
    known_.clear();
    in_flight_.clear();
  }
  const auto found = known_.find(id);
  return found != known_.end() ? found->second : known_.emplace(id, Look(id)).first->second;
}

std::optional<uint64_t> BlockDevices::InFlight(DeviceId id) {
  KeptFile& file = in_flight_.try_emplace(id, open_files_).first->second;
  const auto text = file.Read(PathOf(id) + "/inflight");  // reads, writes
  if (!text) return std::nullopt;
  const std::string_view reads = text->substr(std::min(text->find_first_not_of(' '), text->size()));
  return Number(reads) + Number(reads.substr(std::min(reads.find(' '), reads.size())));
}

BlockDevice BlockDevices::Look(DeviceId id) const {
  const fs::path link = PathOf(id);
  std::error_code error;
  const fs::path target = fs::read_symlink(link, error);
  if (error) return {"", StackedByNumber(id.major)};
  const std::string name = target.filename().string();
  const bool lies_on_others = !fs::is_empty(link / "slaves", error) && !error;
  return {name, lies_on_others || StackedByName(name)};
}

}  // namespace longshore::nodeagent
