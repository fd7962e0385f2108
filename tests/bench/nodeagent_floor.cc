// SPDX-License-Identifier: Apache-2.0
//
// The honest floor: what reading the same signals from cgroup files costs at the least. Files are
// kept open, read each second for every pod and container, and not even parsed but for CPU time.
// Started as a program of its own by nodeagent_contenders.cc; prints the same lines as
// tests/bench/cadvisor.
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>

#include "common/base/files.h"
#include "common/base/log.h"
#include "nodeagent/cgroup_layout.h"
#include "tests/bench/nodeagent_bench.h"

namespace longshore::nodeagent {
namespace {

using SteadyClock = std::chrono::steady_clock;

// The files of one cgroup. CPU time is the first.
class CgroupFiles {
 public:
  CgroupFiles(const CgroupLayout& layout, const std::string& path) : v2_(layout.cpu.v2) {
    const auto open = [&](const CgroupPlace& place, std::initializer_list<const char*> names) {
      for (const char* name : names) {
        fds_.emplace_back(
            ::open((place.directory + path + "/" + name).c_str(), O_RDONLY | O_CLOEXEC));
      }
    };
    if (v2_) {
      open(layout.cpu, {"cpu.stat", "cpu.pressure", "io.pressure", "memory.pressure"});
    } else {
      open(layout.cpu, {"cpuacct.usage"});
    }
    if (layout.io.v2) {
      open(layout.io, {"io.stat"});
    } else {
      open(layout.io,
           {"blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_serviced_recursive"});
    }
    if (layout.memory.v2) {
      open(layout.memory, {"memory.current", "memory.stat", "memory.events"});
    } else {
      open(layout.memory, {"memory.usage_in_bytes", "memory.stat", "memory.oom_control"});
    }
  }

  // False when the cgroup is gone.
  bool Read() {
    char buffer[8192];
    for (size_t i = 0; i < fds_.size(); ++i) {
      const ssize_t size = ::pread(fds_[i].get(), buffer, sizeof buffer - 1, 0);
      if (i != 0) continue;
      if (size <= 0) return false;
      buffer[size] = 0;
      cpu_ns_ = v2_ ? 1000 * std::strtoull(buffer + std::strlen("usage_usec "), nullptr, 10)
                    : std::strtoull(buffer, nullptr, 10);
    }
    read_at_ = SteadyClock::now();
    return true;
  }
  uint64_t cpu_ns() const { return cpu_ns_; }
  SteadyClock::time_point read_at() const { return read_at_; }

 private:
  const bool v2_;
  std::vector<UniqueFd> fds_;
  uint64_t cpu_ns_ = 0;
  SteadyClock::time_point read_at_;
};

class FilesFloor {
 public:
  explicit FilesFloor(CgroupLayout layout) : layout_(std::move(layout)) {}

  void Sample() {
    Find("", 0);
    for (auto at = cgroups_.begin(); at != cgroups_.end();) {
      if (!at->second->Read()) {
        at = cgroups_.erase(at);
        continue;
      }
      if (at->first.starts_with("/besteffort/")) short_lived_[at->first] = at->second->cpu_ns();
      ++at;
    }
  }

  void PrintLine() {
    const auto now = SteadyClock::now();
    std::vector<double> ages;
    for (const auto& [path, files] : cgroups_) {
      if (IsPod(path)) {
        ages.push_back(std::chrono::duration<double, std::milli>(now - files->read_at()).count());
      }
    }
    uint64_t short_lived = 0;
    for (const auto& [path, cpu] : short_lived_) {
      if (IsPod(path)) short_lived += cpu;
    }
    if (ages.empty()) return;
    std::printf("%.3f %llu %zu\n", Median(ages), static_cast<unsigned long long>(short_lived),
                ages.size());
    std::fflush(stdout);
  }

 private:
  static bool IsPod(const std::string& path) {
    return path.compare(path.rfind('/') + 1, 3, "pod") == 0;
  }

  // Pods come and go, so the directories are read each time: QoS levels, pods, containers.
  void Find(const std::string& path, int level) {
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(
        ::opendir((layout_.cpu.directory + path).c_str()), &::closedir);
    if (directory == nullptr) return;
    while (const dirent* entry = ::readdir(directory.get())) {
      if (entry->d_type != DT_DIR || entry->d_name[0] == '.') continue;
      const std::string below = path + "/" + entry->d_name;
      if (level > 0 && !cgroups_.contains(below)) {
        cgroups_.emplace(below, std::make_unique<CgroupFiles>(layout_, below));
      }
      if (level < 2) Find(below, level + 1);
    }
  }

  const CgroupLayout layout_;
  std::map<std::string, std::unique_ptr<CgroupFiles>> cgroups_;
  std::map<std::string, uint64_t> short_lived_;  // the last CPU time seen
};

}  // namespace

int RunFilesFloor(const std::string& cgroup_root) {
  LayoutOptions options;
  options.cgroup_root = cgroup_root;
  auto layout = DiscoverLayout(options);
  if (!layout.has_value()) {
    std::fprintf(stderr, "nodeagent_bench: %s\n", layout.error().message.c_str());
    return 1;
  }
  rlimit files{};  // ten for each cgroup
  LS_CHECK(::getrlimit(RLIMIT_NOFILE, &files) == 0);
  files.rlim_cur = files.rlim_max;
  LS_CHECK(::setrlimit(RLIMIT_NOFILE, &files) == 0);
  FilesFloor floor(std::move(*layout));
  timespec next{};
  ::clock_gettime(CLOCK_MONOTONIC, &next);
  for (;; ++next.tv_sec) {
    ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, nullptr);
    floor.Sample();
    floor.PrintLine();
  }
}

}  // namespace longshore::nodeagent
