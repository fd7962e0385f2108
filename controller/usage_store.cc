// SPDX-License-Identifier: Apache-2.0
#include "controller/usage_store.h"

#include <algorithm>
#include <utility>

#include "common/api/request.h"

namespace longshore::controller {
namespace {

constexpr const char* kNames[kSignals] = {api::kSignalCpu, api::kSignalMemory,
                                          api::kSignalReadBytes, api::kSignalWriteBytes};

}  // namespace

std::optional<Signal> SignalByName(const std::string& name) {
  for (size_t i = 0; i < kSignals; ++i) {
    if (name == kNames[i]) return static_cast<Signal>(i);
  }
  return std::nullopt;
}

const char* SignalName(Signal signal) { return kNames[static_cast<size_t>(signal)]; }

UsageStore::UsageStore(const Clock& clock, std::chrono::seconds kept)
    : clock_(clock), kept_(kept) {}

bool UsageStore::AddPod(const Taken& taken, const std::string& uid, const Counters& now) {
  Pod& pod = pods_[uid];
  if (pod.node != taken.from.node) {
    if (const auto old = nodes_.find(pod.node); old != nodes_.end()) old->second.pods.erase(uid);
    pod.node = taken.from.node;
    pod.last.reset();
  }
  const std::optional<Counters> before = std::exchange(pod.last, now);
  taken.node.pods.insert(uid);
  pod.heard = clock_.Monotonic();
  if (taken.verdict != ReportOrder::Verdict::kFollows || !before) return false;
  if (now.cpu_ns < before->cpu_ns || now.read_bytes < before->read_bytes ||
      now.write_bytes < before->write_bytes) {
    return false;  // a counter that began anew
  }
  const std::chrono::nanoseconds length = taken.node.order.length();
  const double seconds = std::chrono::duration<double>(length).count();
  Sample sample;
  sample.received = taken.node.order.made();
  sample.end = taken.end;
  sample.length = length;
  sample.values = {static_cast<double>(now.cpu_ns - before->cpu_ns) / seconds / 1e6,
                   static_cast<double>(now.working_set_bytes),
                   static_cast<double>(now.read_bytes - before->read_bytes) / seconds,
                   static_cast<double>(now.write_bytes - before->write_bytes) / seconds};
  pod.samples.push_back(sample);
  while (pod.samples.front().received + kept_ < pod.heard && pod.samples.size() > 1) {
    pod.samples.pop_front();
  }
  return true;
}

// The pod's next report is a beginning: what it last had says nothing any more.
void UsageStore::Forget(Node& node, const std::string& uid) {
  if (const auto pod = pods_.find(uid); pod != pods_.end()) pod->second.last.reset();
  node.pods.erase(uid);
}

void UsageStore::AddAbsent(const Taken& taken, const std::set<std::string>& present, bool complete,
                           std::vector<std::string>& sampled) {
  const std::set<std::string> known = taken.node.pods;
  for (const std::string& uid : known) {
    if (present.contains(uid)) continue;
    const auto pod = pods_.find(uid);
    if (complete || pod == pods_.end() || !pod->second.last) {
      Forget(taken.node, uid);
    } else if (AddPod(taken, uid, Counters(*pod->second.last))) {
      sampled.push_back(uid);
    }
  }
}

std::vector<std::string> UsageStore::Add(const AgentStream& from,
                                         const messages::UsageReport& report) {
  MutexLock lock(mutex_);
  Node& node = nodes_[from.node];
  node.heard = clock_.Monotonic();
  const auto verdict = node.order.Take(from, report, node.heard);
  if (verdict == ReportOrder::Verdict::kStale) return {};
  if (verdict == ReportOrder::Verdict::kBegin) {
    for (const std::string& uid : std::set<std::string>(node.pods)) Forget(node, uid);
  }
  const Taken taken{from, verdict, node,
                    WallTime(std::chrono::duration_cast<WallTime::duration>(
                        std::chrono::nanoseconds(report.wall_end_ns())))};
  std::vector<std::string> sampled;
  std::set<std::string> present;
  for (const messages::PodCounters& counters : report.pods()) {
    const std::string& uid = counters.pod_uid();
    const messages::Usage& usage = counters.usage();
    if (uid.empty() || !present.insert(uid).second) continue;
    if (AddPod(taken, uid,
               {usage.cpu_ns(), usage.read_bytes(), usage.write_bytes(),
                usage.memory().working_set_bytes()})) {
      sampled.push_back(uid);
    }
    if (counters.final()) Forget(node, uid);
  }
  AddAbsent(taken, present, report.complete(), sampled);
  return sampled;
}

std::vector<Sample> UsageStore::Last(const std::string& pod_uid,
                                     std::chrono::nanoseconds span) const {
  const MonotonicTime since = clock_.Monotonic() - span;
  MutexLock lock(mutex_);
  const auto found = pods_.find(pod_uid);
  if (found == pods_.end()) return {};
  const auto& samples = found->second.samples;
  const auto first = std::find_if(samples.begin(), samples.end(),
                                  [&](const Sample& s) { return s.received >= since; });
  return {first, samples.end()};
}

void UsageStore::KeepAtLeast(std::chrono::seconds span) {
  MutexLock lock(mutex_);
  kept_ = std::max(kept_, span);
}

void UsageStore::Sweep() {
  MutexLock lock(mutex_);
  const MonotonicTime oldest = clock_.Monotonic() - 2 * kept_;
  std::erase_if(pods_, [&](const auto& entry) { return entry.second.heard < oldest; });
  std::erase_if(nodes_, [&](const auto& entry) { return entry.second.heard < oldest; });
}

size_t UsageStore::pods() const {
  MutexLock lock(mutex_);
  return pods_.size();
}

}  // namespace longshore::controller
