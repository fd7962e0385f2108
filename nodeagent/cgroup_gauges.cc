// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/cgroup_gauges.h"

#include <sys/resource.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>

#include "common/base/oom_kills.h"
#include "nodeagent/throttling.h"

namespace longshore::nodeagent {
namespace {

constexpr size_t kMostOpenFiles = 1024;
constexpr size_t kMostAway = 4096;

// Moves when anything of the cgroup runs or is scheduled.
uint64_t Running(const Counters& now) { return now.cpu_ns + now.run_queue_wait_ns; }
// Moves when anything of the cgroup does what may wait for a disk.
uint64_t DiskUse(const Counters& now) {
  return now.read_ops + now.write_ops + now.fetched_bytes + now.dirtied_bytes + now.major_faults +
         now.fsyncs;
}
bool Moved(uint64_t& before, uint64_t now) { return std::exchange(before, now) != now; }

}  // namespace

size_t OpenFileLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kMostOpenFiles / 2;
  const rlim_t soft = limit.rlim_cur;
  limit.rlim_cur = std::max(soft, std::min<rlim_t>(limit.rlim_max, 2 * kMostOpenFiles));
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) limit.rlim_cur = soft;
  return std::min<size_t>(kMostOpenFiles, limit.rlim_cur / 2);
}

class CgroupGauges::Files {
 public:
  // What only files tell.
  struct Gauges {
    MemoryGauges memory;
    std::optional<Pressure> pressure;
    uint64_t throttled_ns = 0, oom_kills = 0;
  };

  Files(const CgroupLayout& layout, const std::string& relative_path, bool is_pod, OpenFiles& often,
        OpenFiles& seldom)
      : layout_(layout),
        path_(relative_path),
        phase_(std::hash<std::string>()(relative_path) %
               static_cast<size_t>(std::chrono::nanoseconds(kSlowGauges).count())),
        is_pod_(is_pod),
        memory_(layout.memory.v2, seldom),
        oom_(seldom),
        cpu_stat_(often),
        often_(often) {}

  void Read(const Counters& counters, bool watched, MonotonicTime now) {
    const bool slow = SlowIsDue(now), all = slow || watched;
    const bool ran = Moved(running_, Running(counters));
    const bool used_disk = Moved(disk_use_, DiskUse(counters));
    if (all) {
      ReadMemory();
      ReadOomKills();
    }
    if (all || (ran && has_quota_)) ReadThrottled();
    if (slow) LookForQuota();
    ran_since_slow_ |= ran;
    io_may_stall_ |= used_disk;
    if (!layout_.cpu.v2) return;  // pressure is counted in the v2 tree only
    if (!is_pod_ && !watched) return ForgetPressure();
    if (all || ran || may_stall_) {
      const auto rose = ReadPressure(all || io_may_stall_);
      may_stall_ = ran || rose.any;
      io_may_stall_ = used_disk || rose.io;
    }
  }
  // The last values; what was true of the moment only is no more.
  void End() {
    const uint64_t refaults = last_.memory.refaults;
    last_.memory = {.refaults = refaults};
  }
  const Gauges& last() const { return last_; }
  // Those that were seen, and those before us; at least as many as the `file` says. It may be gone
  // before it is read, and a kill between two looks would be counted twice by anything finer.
  uint64_t OomKills(uint64_t file, uint64_t seen) {
    if (!oom_kills_before_) oom_kills_before_ = file - std::min(file, seen);
    return std::max(file, *oom_kills_before_ + seen);
  }

 private:
  bool SlowIsDue(MonotonicTime now) {
    const auto since = now.time_since_epoch() + std::chrono::nanoseconds(phase_);
    const auto round = since / std::chrono::nanoseconds(kSlowGauges);
    return std::exchange(round_, round) != round;
  }
  void ReadMemory() {
    if (layout_.memory.directory.empty()) return;
    const auto memory = memory_.Read(layout_.memory.directory, path_);
    if (!memory) return End();
    const uint64_t refaults = std::max(last_.memory.refaults, memory->refaults);
    last_.memory = *memory;
    last_.memory.refaults = refaults;
  }
  void ReadOomKills() {
    if (layout_.memory.directory.empty()) return;
    const char* file = layout_.memory.v2 ? "/memory.events" : "/memory.oom_control";
    if (const auto text = oom_.Read(layout_.memory.directory, path_, file)) {
      last_.oom_kills = std::max(last_.oom_kills, ParseOomKills(*text));
    }
  }
  void ReadThrottled() {
    if (layout_.quota.directory.empty()) return;
    const auto text = cpu_stat_.Read(layout_.quota.directory, path_, "/cpu.stat");
    if (!text) return;
    const Throttled now = ParseThrottled(*text);
    last_.throttled_ns = std::max(last_.throttled_ns, now.time_ns);
    quota_periods_ = now.periods;
  }
  // It has one, or may, unless it ran and no period of one has ever come.
  void LookForQuota() {
    if (quota_periods_ > 0 || ran_since_slow_) has_quota_ = quota_periods_ > 0;
    ran_since_slow_ = false;
  }
  struct Rose {
    bool any, io;
  };
  Rose ReadPressure(bool io) {
    if (!pressure_) pressure_.emplace(often_);
    const std::optional<Pressure> before = last_.pressure;
    const Pressure* io_as_before = before && !io ? &*before : nullptr;
    last_.pressure = pressure_->Read(layout_.cpu.directory, path_, io_as_before);
    const auto io_of = [](const std::optional<Pressure>& pressure) {
      return pressure ? std::optional(pressure->io_some_us) : std::nullopt;
    };
    return {.any = before != last_.pressure, .io = io_of(before) != io_of(last_.pressure)};
  }
  void ForgetPressure() {
    last_.pressure.reset();
    pressure_.reset();
  }

  const CgroupLayout& layout_;
  const std::string path_;
  const size_t phase_;
  const bool is_pod_;
  MemoryFiles memory_;
  KeptFile oom_, cpu_stat_;
  OpenFiles& often_;
  std::optional<PressureFiles> pressure_;  // as long as it is read
  std::optional<int64_t> round_;
  bool has_quota_ = true, ran_since_slow_ = false;
  uint64_t quota_periods_ = 0;
  // What ran in the last sample may hang since then, and what hung may do so still: a second of it
  // belongs into that second's sample. For a disk, what used one may.
  bool may_stall_ = false, io_may_stall_ = false;
  std::optional<uint64_t> oom_kills_before_;
  uint64_t running_ = 0, disk_use_ = 0;
  Gauges last_;
};

CgroupGauges::CgroupGauges(const CgroupLayout& layout, size_t open_files)
    : layout_(layout), often_(open_files - open_files / 2), seldom_(open_files / 2) {}
CgroupGauges::~CgroupGauges() = default;

std::unique_ptr<CgroupGauges::Files> CgroupGauges::Open(const std::string& relative_path,
                                                        bool is_pod) {
  return std::make_unique<Files>(layout_, relative_path, is_pod, often_, seldom_);
}

std::optional<uint64_t> CgroupGauges::throttled_ns() const {
  return layout_.quota.directory.empty() ? std::nullopt : std::optional(throttled_ns_);
}

void CgroupGauges::Fill(std::vector<PodSample>& pods, MonotonicTime now) {
  ++fill_;
  for (PodSample& pod : pods) {
    auto found = pods_.find(pod.uid);
    if (found == pods_.end()) found = pods_.emplace(pod.uid, Begin(pod)).first;
    found->second.seen = fill_;
    FillPod(found->second, pod, now);
    if (pod.final) pods_.erase(found);
  }
  std::erase_if(pods_, [&](const auto& entry) {
    const auto& [uid, known] = entry;
    if (known.seen == fill_) return false;
    if (known.summed_throttled_ns == 0) return true;
    if (away_.size() >= kMostAway) away_.erase(away_.begin());  // any: it may never come back
    away_[uid] = known.summed_throttled_ns;
    return true;
  });
}

CgroupGauges::Known CgroupGauges::Begin(const PodSample& pod) {
  Known known;
  known.files = Open(pod.relative_path, true);
  if (const auto was = away_.extract(pod.uid)) known.summed_throttled_ns = was.mapped();
  return known;
}

void CgroupGauges::FillPod(Known& known, PodSample& pod, MonotonicTime now) {
  const auto fill = [&](Files& files, Usage& usage) {
    pod.final ? files.End() : files.Read(usage.counters, pod.watched, now);
    usage.memory = files.last().memory;
    usage.pressure = files.last().pressure;
    usage.throttled_ns = files.last().throttled_ns;
  };
  fill(*known.files, pod.usage);
  uint64_t throttled_ns = 0, oom_kills = known.files->last().oom_kills;
  for (ContainerSample& container : pod.containers) {
    auto& [files, seen] = known.containers[container.id];
    seen = fill_;
    if (files == nullptr) files = Open(container.relative_path, false);
    fill(*files, container.usage);
    const uint64_t file = files->last().oom_kills;
    container.usage.oom_kills = files->OomKills(file, container.usage.counters.oom_kills);
    throttled_ns += container.usage.throttled_ns;
    if (!layout_.memory.v2) oom_kills += file;
  }
  std::erase_if(known.containers, [&](const auto& entry) {
    const auto& [files, seen] = entry.second;
    if (seen == fill_) return false;
    known.gone_throttled_ns += files->last().throttled_ns;
    known.gone_oom_kills += files->last().oom_kills;
    return true;
  });
  // A cgroup with a quota is told of its own only; v2 adds up OOM kills by itself.
  pod.usage.throttled_ns += throttled_ns + known.gone_throttled_ns;
  // What was before us is in the sum of no counter.
  if (fill_ == 1) known.summed_throttled_ns = pod.usage.throttled_ns;
  const uint64_t summed = std::exchange(known.summed_throttled_ns, pod.usage.throttled_ns);
  throttled_ns_ += pod.usage.throttled_ns - std::min(pod.usage.throttled_ns, summed);
  if (!layout_.memory.v2) oom_kills += known.gone_oom_kills;
  pod.usage.oom_kills = known.files->OomKills(oom_kills, pod.usage.counters.oom_kills);
}

}  // namespace longshore::nodeagent
