// SPDX-License-Identifier: Apache-2.0
#include "extender/recording.h"

#include <algorithm>
#include <utility>

// Structured bindings name every member, so that one that is added does not compile until it is
// recorded too.
namespace longshore::placement {

template <class A>
void Describe(A& a, Taint& v) {
  auto& [key, value, effect] = v;
  a("key", key);
  a("value", value);
  a("effect", effect);
}

template <class A>
void Describe(A& a, NodeInfo& v) {
  auto& [name, rack, zone, region, ready, schedulable, taints, labels, cpu_allocatable,
         memory_allocatable, cpu_requested, memory_requested, pods, max_pods, backup_pods, images] =
      v;
  a("name", name);
  a("rack", rack);
  a("zone", zone);
  a("region", region);
  a("ready", ready);
  a("schedulable", schedulable);
  a("taints", taints);
  a("labels", labels);
  a("cpuAllocatableMilli", cpu_allocatable);
  a("memoryAllocatableBytes", memory_allocatable);
  a("cpuRequestedMilli", cpu_requested);
  a("memoryRequestedBytes", memory_requested);
  a("pods", pods);
  a("maxPods", max_pods);
  a("backupPods", backup_pods);
  (void)images;  // of many only the pod's own matters: SeenCluster::with_image
}

template <class A>
void Describe(A& a, View::PodPlace& v) {
  auto& [pod, node, ready, zone, agent_uid, witness, leads] = v;
  a("pod", pod);
  a("node", node);
  a("ready", ready);
  a("zone", zone);
  a("agentUID", agent_uid);
  a("witness", witness);
  a("leads", leads);
}

template <class A>
void Describe(A& a, Pressure& v) {
  auto& [used, capacity, psi_cpu, psi_io, psi_memory, psi_valid, age] = v;
  a("cpuUsedMilli", used);
  a("cpuCapacityMilli", capacity);
  a("psiCpuPermille", psi_cpu);
  a("psiIoPermille", psi_io);
  a("psiMemoryPermille", psi_memory);
  a("psiValid", psi_valid);
  a("ageMs", age);
}

}  // namespace longshore::placement

namespace longshore::extender {

using placement::NodeInfo;
using placement::View;

template <class A>
void Describe(A& a, SeenCluster::Failure& v) {
  a("error", v.error);
  a("message", v.message);
}
template <class A>
void Describe(A& a, SeenCluster::Volume& v) {
  a("error", v.error);
  a("message", v.message);
  a("nodes", v.nodes);
  a("how", v.how);
  a("exists", v.exists);
}
template <class A>
void Describe(A& a, SeenCluster& v) {
  auto& [nodes, all_nodes, places, volumes, attached_nodes, attached_to, unlisted, with_image] = v;
  a("nodes", nodes);
  a("allNodes", all_nodes);
  a("places", places);
  a("volumes", volumes);
  a("attachedNodes", attached_nodes);
  a("attachedTo", attached_to);
  a("unlisted", unlisted);
  a("withImage", with_image);
}
template <class A>
void Describe(A& a, NodePressure& v) {
  a("node", v.node);
  a("pressure", v.pressure);
}
template <class A>
void Describe(A& a, Recording& v) {
  a("version", v.version);
  a("time", v.time);
  a("verb", v.verb);
  a("namespace", v.pod_namespace);
  a("pod", v.pod_name);
  a("uid", v.pod_uid);
  a("source", v.source);
  a("cluster", v.cluster);
  a("snapshotAgeMs", v.snapshot_age_ms);
  a("pressure", v.pressure);
  a("pressureElapsedMs", v.pressure_elapsed_ms);
  a("reserved", v.reserved);
  a("held", v.held);
  a("canHold", v.can_hold);
  a("judged", v.judged);
}

namespace {

// Where `length` bytes end that begin at `at` and have a line break behind them; npos: nowhere.
size_t EndOf(std::string_view file, size_t at, int64_t length) {
  if (length < 0 || static_cast<uint64_t>(length) >= file.size() - at) return std::string::npos;
  const size_t end = at + static_cast<size_t>(length);
  return file[end] == '\n' ? end : std::string::npos;
}

// Within these, no sum or product of what a call was given leaves its type. A file may come from
// anybody.
constexpr int64_t kMostAmount = placement::kMostRequestedOfNode;
constexpr int64_t kMostMs = int64_t{1} << 40;
constexpr int kMostPods = 1'000'000;
constexpr int kMostReserved = 5000;  // by pods that were just placed, on one node

template <class N>
bool Within(N value, N most) {
  return value >= -most && value <= most;
}

bool InRange(const NodeInfo& node) {
  return Within(node.cpu_allocatable_milli, kMostAmount) &&
         Within(node.memory_allocatable_bytes, kMostAmount) &&
         Within(node.cpu_requested_milli, kMostAmount) &&
         Within(node.memory_requested_bytes, kMostAmount) && Within(node.pods, kMostPods) &&
         Within(node.max_pods, kMostPods) && Within(node.backup_pods, kMostPods);
}

bool InRange(const placement::Pressure& pressure) {
  return pressure.cpu_used_milli >= 0 && pressure.cpu_capacity_milli >= 0 &&
         pressure.psi_cpu_permille >= 0 && pressure.psi_io_permille >= 0 &&
         pressure.psi_memory_permille >= 0 && Within(pressure.age_ms, kMostMs);
}

Status CheckRanges(const Recording& recording) {
  const auto count = [](const auto& on_node) { return Within(on_node.second, kMostReserved); };
  const bool sound =
      std::ranges::all_of(recording.cluster.nodes, [](const auto& n) { return InRange(n); }) &&
      std::ranges::all_of(recording.pressure, [](const auto& n) { return InRange(n.pressure); }) &&
      std::ranges::all_of(recording.reserved, count) &&
      std::ranges::all_of(recording.held, count) &&
      Within(recording.pressure_elapsed_ms, kMostMs) && recording.judged >= 0;
  return sound ? Status() : Status(InvalidArgument("a number in it is out of range"));
}

}  // namespace

std::string WriteRecording(const Recording& recording) {
  api::Json head = api::WriteJson(recording);
  head["format"] = Recording::kFormat;
  head["bodyBytes"] = recording.body.size();
  head["replyBytes"] = recording.reply.size();
  std::string file = head.dump(-1, ' ', false, api::Json::error_handler_t::replace);
  file.reserve(file.size() + recording.body.size() + recording.reply.size() + 3);
  for (const std::string* part : {&recording.body, &recording.reply}) {
    file += '\n';
    file += *part;
  }
  return file += '\n';
}

Result<Recording> ReadRecording(std::string_view file) {
  const size_t line = file.find('\n');
  if (line == std::string_view::npos) return InvalidArgument("it has no first line");
  LS_ASSIGN_OR_RETURN(const api::Json head, api::ParseJson(file.substr(0, line)));
  if (!head.is_object() || !head.contains("format")) return InvalidArgument("it has no format");
  if (head.at("format") != Recording::kFormat) {
    return InvalidArgument("format: " + head.at("format").dump() + " is unknown to this version");
  }
  LS_ASSIGN_OR_RETURN(Recording recording, api::ReadJson<Recording>(head));
  if (recording.verb != VerbName(Verb::kFilter) && recording.verb != VerbName(Verb::kPrioritize)) {
    return InvalidArgument("verb: expected filter or prioritize");
  }
  LS_RETURN_IF_ERROR(CheckRanges(recording));
  size_t at = line + 1;
  for (const auto& [name, part] :
       {std::pair("bodyBytes", &recording.body), std::pair("replyBytes", &recording.reply)}) {
    const auto length = head.find(name);
    const size_t end = length != head.end() && length->is_number_integer()
                           ? EndOf(file, at, length->get<int64_t>())
                           : std::string::npos;
    if (end == std::string::npos) {
      return InvalidArgument(std::string(name) + ": the file is cut off, or was changed");
    }
    *part = file.substr(at, end - at);
    at = end + 1;
  }
  return recording;
}

Recording MakeRecording(const RecordedCall& call, const std::string& version) {
  // What is not kept (located, points, demand) follows from what is.
  const auto& [view, source, located, pressure, points, have_image, reserved, held, can_hold,
               demand, scorer, no_opinion, now] = *call.grounds;
  Recording recording;
  recording.version = version;
  recording.time = FormatTime(call.time);
  recording.verb = VerbName(call.verb);
  recording.snapshot_age_ms = call.snapshot_age.count();
  recording.judged = static_cast<int64_t>(call.judged);
  recording.body = call.body;
  recording.reply = call.reply;
  // It was read once already.
  const Arguments arguments = *ReadArguments(recording.body);
  recording.pod_namespace = arguments.pod.ns;
  recording.pod_name = arguments.pod.name;
  recording.pod_uid = arguments.pod.uid;
  if (!scorer) return recording;

  recording.source.emplace();
  recording.source->kind = source->kind;
  recording.source->metadata.ns = source->metadata.ns;
  recording.source->metadata.name = source->metadata.name;
  recording.source->metadata.generation = source->metadata.generation;
  recording.source->spec = source->spec;
  WitnessView witness(*view);
  placement::Locate(*recording.source, witness);
  DemandOf(arguments.pod, witness);
  for (const std::string_view name : arguments.names) {
    witness.Node(name);
    const auto heard = pressure->Of(name, pressure->received());
    if (heard.age_ms >= 0) recording.pressure.push_back({std::string(name), heard});
  }
  recording.cluster = witness.Take();
  for (const NodeInfo& node : recording.cluster.nodes) {
    if (scorer->HasImage(node)) recording.cluster.with_image[demand.image].push_back(node.name);
  }
  recording.pressure_elapsed_ms = pressure->ElapsedMs(now);
  recording.reserved = {reserved.begin(), reserved.end()};
  recording.held = {held.begin(), held.end()};
  recording.can_hold = can_hold;
  return recording;
}

}  // namespace longshore::extender
