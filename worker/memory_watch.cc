// SPDX-License-Identifier: Apache-2.0
#include "worker/memory_watch.h"

#include <utility>

#include "common/base/files.h"
#include "common/base/oom_kills.h"
#include "common/base/strings.h"

namespace longshore::worker {
namespace {

// More than a machine has: what cgroup v1 says of a container without a limit.
constexpr int64_t kNoLimit = int64_t{1} << 60;

// The file of version 2 or else of version 1; empty: neither can be read.
std::string ReadEither(const std::string& root, const char* v2, const char* v1) {
  auto text = ReadFile(root + v2);
  if (!text) text = ReadFile(root + v1);
  return text ? *std::move(text) : "";
}

uint64_t Kills(const std::string& root) {
  return ParseOomKills(ReadEither(root, "/memory.events", "/memory/memory.oom_control"));
}

}  // namespace

std::optional<int64_t> MemoryLimit(const std::string& cgroup_root) {
  const auto limit =
      ParseInt(Trim(ReadEither(cgroup_root, "/memory.max", "/memory/memory.limit_in_bytes")));
  return limit && *limit < kNoLimit ? std::optional(*limit) : std::nullopt;
}

MemoryWatch::MemoryWatch(std::string cgroup_root)
    : root_(std::move(cgroup_root)), before_(Kills(root_)) {}

std::optional<Failure> MemoryWatch::Explain(const Failure& seen) const {
  if (Kills(root_) <= before_) return std::nullopt;
  const auto limit = MemoryLimit(root_);
  const std::string of = limit ? ", of which the pod may use " + FormatBytes(double(*limit))
                               : ", of which its node had none left";
  return Failure{kOutOfMemory, "a tool was killed for memory" + of + ": " + seen.message, true};
}

}  // namespace longshore::worker
