// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/top/text.h"

#include <algorithm>
#include <cstdio>

#include "common/base/strings.h"

namespace longshore::nodeagent::top {
namespace {

constexpr int kNameWidth = 36;  // a UID
constexpr int kNarrowNameWidth = 20;
constexpr const char* kNotYet = "from the next interval on";
constexpr std::string_view kGone = "gone ";  // before the name, where no narrow terminal cuts it

std::string Padded(std::string text, int width) {
  const auto wanted = static_cast<size_t>(width);
  if (text.size() > wanted) text.resize(wanted);
  return text + std::string(wanted - text.size(), ' ');
}

// The end of a pod's name tells it from its siblings; a UID may be cut anywhere.
std::string Shortened(const std::string& name, int width) {
  const auto wanted = static_cast<size_t>(width);
  if (name.size() <= wanted || name.find('/') == std::string::npos || wanted < 2) return name;
  return "~" + name.substr(name.size() - wanted + 1);
}

std::string RightAligned(const std::string& text, int width) {
  const auto wanted = static_cast<size_t>(width);
  return text.size() >= wanted ? text : std::string(wanted - text.size(), ' ') + text;
}

std::string PressureText(const std::optional<PressureShares>& shares) {
  if (!shares) return "unknown (the kernel does not count it)";
  return "cpu " + Percent(shares->cpu_some) + "  io " + Percent(shares->io_some) + " (all " +
         Percent(shares->io_full) + ")  memory " + Percent(shares->memory_some) + " (all " +
         Percent(shares->memory_full) + ")";
}

std::string DeviceText(const DeviceRates& device, bool of_node = false) {
  return "read " + ShortBytes(device.read_bytes) + "/s " + ShortCount(device.read_ops) +
         " op/s  write " + ShortBytes(device.write_bytes) + "/s " + ShortCount(device.write_ops) +
         " op/s  p99 read " + ShortLatency(device.read_p99) + " write " +
         ShortLatency(device.write_p99) +
         (of_node ? " flush " + ShortLatency(device.flush_p99) : "") + " queue " +
         ShortLatency(device.queue_p99);
}

std::string RowName(const Row& row, PodNames& names) {
  const std::string pod = names.NameOf(row.uid);
  return row.container.empty() ? pod : pod + "/" + row.container.substr(0, 12);
}

int LongestName(const std::vector<Row>& rows, PodNames& names) {
  size_t longest = 12;
  for (const Row& row : rows) {
    longest = std::max(longest, RowName(row, names).size() + (row.final ? kGone.size() : 0));
  }
  return static_cast<int>(std::min<size_t>(longest, 60));
}

struct Widths {
  int name = 0;
  std::vector<size_t> columns;  // which are shown
};

// As many columns as fit, after a name that is shortened before a column goes. The one that sorts
// is always there.
Widths Fit(const TableOptions& options, int longest) {
  Widths widths;
  const auto columns = Columns();
  if (options.width <= 0) {
    widths.name = std::max(longest, kNameWidth);
    for (size_t i = 0; i < columns.size(); ++i) widths.columns.push_back(i);
    return widths;
  }
  const int name = std::min(longest, kNarrowNameWidth);
  int left = options.width - name - (columns[options.sort].width + 1);
  for (size_t i = 0; i < columns.size(); ++i) {
    if (i == options.sort) {
      widths.columns.push_back(i);
    } else if (left >= columns[i].width + 1) {
      left -= columns[i].width + 1;
      widths.columns.push_back(i);
    } else {
      left = 0;  // none after it, so that the order stays that of importance
    }
  }
  int used = 0;
  for (const size_t column : widths.columns) used += columns[column].width + 1;
  widths.name = std::clamp(options.width - used, 1, longest);
  return widths;
}

void Append(std::vector<std::string>& lines, const std::string& name, const std::string& text) {
  lines.push_back("  " + Padded(name, 14) + text);
}

void AppendUsage(std::vector<std::string>& lines, const Row& row) {
  const Rates& r = row.rates;
  const MemoryGauges& memory = row.usage->memory;
  const auto bytes = [](uint64_t value) { return ShortBytes(static_cast<double>(value)); };
  Append(lines, "cpu",
         ShortCores(r.cpu_cores) + "  switches " + ShortCount(r.voluntary_switches) + "/s own, " +
             ShortCount(r.involuntary_switches) + "/s forced");
  Append(lines, "wait",
         ShortCores(r.wait_cores) + " for a CPU (p99 " + ShortLatency(r.wait_p99) +
             "), the wait for its own quota included: " + ShortCores(r.throttled_cores));
  Append(lines, "memory",
         bytes(memory.working_set_bytes) +
             " working set (kubelet's: " + bytes(memory.kubelet_working_set_bytes) + ")  anon " +
             bytes(memory.anon_bytes) + "  file " + bytes(memory.file_bytes) + "  dirty " +
             bytes(memory.dirty_bytes) + "  refaults " + ShortCount(r.refaults) + "/s  reclaim " +
             ShortCores(r.reclaim_cores) + "  OOM kills " + std::to_string(row.usage->oom_kills));
  Append(lines, "block I/O",
         "read " + ShortBytes(r.read_bytes) + "/s  write " + ShortBytes(r.write_bytes) +
             "/s  device p99 " + ShortLatency(r.device_p99));
  Append(lines, "files",
         "read " + ShortBytes(r.file_read_bytes) + "/s (" + ShortBytes(r.fetched_bytes) +
             "/s not from cache)  written " + ShortBytes(r.file_write_bytes) + "/s  dirtied " +
             ShortBytes(r.dirtied_bytes) + "/s  major faults " + ShortCount(r.major_faults) + "/s");
  Append(lines, "fsync", ShortCount(r.fsyncs) + "/s  p99 " + ShortLatency(r.fsync_p99));
  Append(lines, "network",
         "received " + ShortBytes(r.receive_bytes) + "/s  sent " + ShortBytes(r.send_bytes) + "/s");
  const bool not_yet = !row.container.empty() && !row.watched;
  Append(lines, "pressure", not_yet ? kNotYet : PressureText(r.pressure));
}

void AppendDevices(std::vector<std::string>& lines, const Row& pod, const std::vector<Row>& pods,
                   const Sample& now, PodNames& names) {
  for (const auto& [id, device] : pod.rates.devices) {
    lines.push_back("device " + now.node.NameOf(id) + ": " + DeviceText(device));
    const std::vector<const Row*> sharers = SharersOf(pod, id, pods);
    for (const Row* other : sharers) {
      lines.push_back("  shared with " + names.NameOf(other->uid) + ": " +
                      DeviceText(other->rates.devices.at(id)));
    }
    if (sharers.empty()) lines.push_back("  no other pod uses it");
  }
  if (pod.rates.devices.empty()) lines.push_back("no block I/O in this interval");
}

void AppendPreemptions(std::vector<std::string>& lines, const Row& pod, const Sample& before,
                       const Sample& now, PodNames& names) {
  if (!pod.watched) {
    lines.push_back(std::string("preemptions: ") + kNotYet);
    return;
  }
  const auto pairs = PreemptionsOf(pod.uid, before, now);
  for (const PreemptionRates& pair : pairs) {
    lines.push_back("preempted by " +
                    (pair.offender.empty() ? "the system" : names.NameOf(pair.offender)) + ": " +
                    ShortCount(pair.per_second) + "/s, which then ran " +
                    ShortCores(pair.offender_cores));
  }
  if (pairs.empty()) lines.push_back("not preempted in this interval");
}

}  // namespace

std::vector<std::string> HeadLines(const Sample& before, const Sample& now) {
  const NodeRates node = NodeRow(before, now);
  const auto bytes = [](uint64_t value) { return ShortBytes(static_cast<double>(value)); };
  std::vector<std::string> lines;
  lines.push_back("node: " + std::to_string(now.pods.size()) + " pods use " +
                  ShortCores(node.pods.cpu_cores) + " of " + ShortCores(node.capacity_cores) +
                  " CPU and wait " + ShortCores(node.pods.wait_cores) + "; others " +
                  ShortCores(node.system_cores) + ", idle " + ShortCores(node.idle_cores) +
                  ", interrupts " + ShortCores(node.interrupt_cores) + ", steal " +
                  ShortCores(node.steal_cores));
  lines.push_back("memory: " + bytes(now.node.memory_available_bytes) + " of " +
                  bytes(now.node.memory_capacity_bytes) + " available, dirty " +
                  bytes(now.node.dirty_bytes) + ", refaults " + ShortCount(node.refaults) + "/s");
  lines.push_back("pressure below the cgroup root: " + PressureText(node.pressure));
  for (const NodeDeviceRates& device : node.devices) {
    if (device.rates.Idle()) continue;
    lines.push_back("device " + now.node.NameOf(device.id) +
                    (device.stacked ? " (on another): " : ": ") +
                    DeviceText(device.rates, /*of_node=*/true) + "  in flight " +
                    (device.in_flight ? std::to_string(*device.in_flight) : "-"));
  }
  for (const InterfaceRates& nic : node.interfaces) {
    if (nic.receive_bytes + nic.send_bytes + nic.drops == 0) continue;
    lines.push_back("network " + nic.name + ": received " + ShortBytes(nic.receive_bytes) +
                    "/s  sent " + ShortBytes(nic.send_bytes) + "/s  drops " +
                    ShortCount(nic.drops) + "/s");
  }
  std::string lost = "lost updates: " + std::to_string(now.lost.Total() + now.uncounted_cgroups);
  if (now.unknown_pods > 0) {
    lost += "; pods that are not shown, for want of a place in the tables (--max-cgroups): " +
            std::to_string(now.unknown_pods);
  }
  lines.push_back(std::move(lost));
  return lines;
}

Table MakeTable(const Sample& before, const Sample& now, const TableOptions& options,
                PodNames& names) {
  Table table;
  table.rows = options.containers ? ContainerRows(before, now) : PodRows(before, now);
  SortRows(table.rows, Columns()[options.sort], options.reverse);
  const Widths widths = Fit(options, LongestName(table.rows, names));
  table.title = Padded(options.containers ? "CONTAINER" : "POD", widths.name);
  for (const size_t i : widths.columns) {
    const Column& column = Columns()[i];
    // A mark would need a place that a full title hasn't: the column that sorts is in brackets.
    const std::string title =
        i == options.sort ? "[" + std::string(column.title) + "]" : column.title;
    table.title += RightAligned(title, column.width + 1);
  }
  for (const Row& row : table.rows) {
    const int width = widths.name - (row.final ? static_cast<int>(kGone.size()) : 0);
    const std::string name = Shortened(RowName(row, names), std::max(width, 1));
    std::string line = Padded(row.final ? std::string(kGone) + name : name, widths.name);
    for (const size_t i : widths.columns) {
      const Column& column = Columns()[i];
      line += " " + RightAligned(column.text(row), column.width);
    }
    table.lines.push_back(std::move(line));
  }
  return table;
}

std::vector<std::string> PodLines(const std::string& uid, const Sample& before, const Sample& now,
                                  PodNames& names) {
  const std::vector<Row> pods = PodRows(before, now);
  const auto pod =
      std::find_if(pods.begin(), pods.end(), [&](const Row& row) { return row.uid == uid; });
  if (pod == pods.end()) return {"pod " + names.NameOf(uid) + " is not on this node"};
  const std::string name = names.NameOf(uid);
  std::vector<std::string> lines{"pod " + name + (name == uid ? "" : " (" + uid + ")") +
                                 (pod->final ? ": gone" : "")};
  AppendUsage(lines, *pod);
  AppendDevices(lines, *pod, pods, now, names);
  AppendPreemptions(lines, *pod, before, now, names);
  for (const Row& container : ContainerRows(before, now)) {
    if (container.uid != uid) continue;
    lines.push_back("container " + container.container.substr(0, 12));
    AppendUsage(lines, container);
  }
  return lines;
}

Result<std::string> FindPod(const std::string& meant, const Sample& now, PodNames& names) {
  std::vector<std::string> found;
  for (const PodSample& pod : now.pods) {
    if (pod.uid == meant || names.NameOf(pod.uid) == meant) return pod.uid;
    if (pod.uid.starts_with(meant)) found.push_back(pod.uid);
  }
  if (found.empty()) return NotFound("no such pod on this node: " + meant);
  if (found.size() > 1) {
    return InvalidArgument("the UIDs of several pods begin with " + meant + ": " +
                           Join(found, ", "));
  }
  return found.front();
}

}  // namespace longshore::nodeagent::top
