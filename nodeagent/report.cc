// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/report.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <unordered_map>
#include <vector>

#include "common/base/strings.h"

namespace longshore::nodeagent {
namespace {

using Json = nlohmann::ordered_json;

struct Rates {
  std::string uid;
  double cpu_cores = 0, wait_cores = 0;
  double read_bytes_per_second = 0, write_bytes_per_second = 0;
  double read_ops_per_second = 0, write_ops_per_second = 0;
  MemoryGauges memory;
  const Counters* totals = nullptr;
  bool final = false;
};

std::vector<Rates> RatesBetween(const Sample& before, const Sample& now) {
  std::unordered_map<std::string, const Counters*> earlier;
  for (const PodSample& pod : before.pods) earlier[pod.uid] = &pod.usage.counters;
  const double seconds =
      std::max(1e-9, std::chrono::duration<double>(now.end - before.end).count());
  static const Counters kNone;
  std::vector<Rates> rows;
  for (const PodSample& pod : now.pods) {
    const auto found = earlier.find(pod.uid);
    const Counters& old = found == earlier.end() ? kNone : *found->second;
    const Counters& current = pod.usage.counters;
    const auto rate = [&](uint64_t Counters::* field) {
      return static_cast<double>(current.*field - std::min(old.*field, current.*field)) / seconds;
    };
    Rates row;
    row.uid = pod.uid;
    row.cpu_cores = rate(&Counters::cpu_ns) / 1e9;
    row.wait_cores = rate(&Counters::run_queue_wait_ns) / 1e9;
    row.read_bytes_per_second = rate(&Counters::read_bytes);
    row.write_bytes_per_second = rate(&Counters::write_bytes);
    row.read_ops_per_second = rate(&Counters::read_ops);
    row.write_ops_per_second = rate(&Counters::write_ops);
    row.memory = pod.usage.memory;
    row.totals = &current;
    row.final = pod.final;
    rows.push_back(std::move(row));
  }
  std::sort(rows.begin(), rows.end(), [](const Rates& a, const Rates& b) {
    return a.cpu_cores != b.cpu_cores ? a.cpu_cores > b.cpu_cores : a.uid < b.uid;
  });
  return rows;
}

Json ToJson(const Rates& row) {
  return {{"uid", row.uid},
          {"cpuCores", row.cpu_cores},
          {"runQueueWaitCores", row.wait_cores},
          {"readBytesPerSecond", row.read_bytes_per_second},
          {"writeBytesPerSecond", row.write_bytes_per_second},
          {"readOpsPerSecond", row.read_ops_per_second},
          {"writeOpsPerSecond", row.write_ops_per_second},
          {"memoryUsageBytes", row.memory.usage_bytes},
          {"memoryWorkingSetBytes", row.memory.working_set_bytes},
          {"cpuNanoseconds", row.totals->cpu_ns},
          {"runQueueWaitNanoseconds", row.totals->run_queue_wait_ns},
          {"readBytes", row.totals->read_bytes},
          {"writeBytes", row.totals->write_bytes},
          {"readOps", row.totals->read_ops},
          {"writeOps", row.totals->write_ops},
          {"final", row.final}};
}

double NodeCores(const Sample& before, const Sample& now) {
  const double seconds =
      std::max(1e-9, std::chrono::duration<double>(now.end - before.end).count());
  return static_cast<double>(now.node.cpu_ns - std::min(before.node.cpu_ns, now.node.cpu_ns)) /
         1e9 / seconds;
}

}  // namespace

std::string RenderTable(const Sample& before, const Sample& now) {
  char line[256];
  std::snprintf(line, sizeof line, "%-36s %8s %8s %12s %12s %12s %12s\n", "POD UID", "CPU", "WAIT",
                "READ/S", "WRITE/S", "MEMORY", "WORKING SET");
  std::string out = line;
  for (const Rates& row : RatesBetween(before, now)) {
    std::snprintf(line, sizeof line, "%-36s %7.0fm %7.0fm %12s %12s %12s %12s%s\n", row.uid.c_str(),
                  row.cpu_cores * 1000, row.wait_cores * 1000,
                  FormatBytes(row.read_bytes_per_second).c_str(),
                  FormatBytes(row.write_bytes_per_second).c_str(),
                  FormatBytes(static_cast<double>(row.memory.usage_bytes)).c_str(),
                  FormatBytes(static_cast<double>(row.memory.working_set_bytes)).c_str(),
                  row.final ? "  (gone)" : "");
    out += line;
  }
  std::snprintf(line, sizeof line, "all pods: %.0fm of %llum CPU, lost updates %llu\n",
                NodeCores(before, now) * 1000,
                static_cast<unsigned long long>(now.node.cpu_capacity_milli),
                static_cast<unsigned long long>(now.lost.Total() + now.uncounted_cgroups));
  return out + line;
}

std::string RenderJson(const Sample& before, const Sample& now) {
  Json node = {{"cpuCores", NodeCores(before, now)},
               {"cpuCapacityMilli", now.node.cpu_capacity_milli},
               {"memoryAvailableBytes", now.node.memory_available_bytes},
               {"memoryCapacityBytes", now.node.memory_capacity_bytes},
               {"pressure", nullptr},
               {"lostUpdates", now.lost.Total() + now.uncounted_cgroups}};
  if (now.node.pressure) {
    node["pressure"] = {{"cpuSomeMicroseconds", now.node.pressure->cpu_some_us},
                        {"ioSomeMicroseconds", now.node.pressure->io_some_us},
                        {"memorySomeMicroseconds", now.node.pressure->memory_some_us}};
  }
  Json pods = Json::array();
  for (const Rates& row : RatesBetween(before, now)) pods.push_back(ToJson(row));
  return Json{{"time", FormatTime(now.wall_end)},
              {"intervalSeconds", std::chrono::duration<double>(now.end - before.end).count()},
              {"node", std::move(node)},
              {"pods", std::move(pods)}}
      .dump();
}

}  // namespace longshore::nodeagent
