// SPDX-License-Identifier: Apache-2.0
//
// ComputeRequest (what the storage manager asks for) and BackupPod (a row of the pod database).
#pragma once

#include <memory>
#include <string_view>

#include "common/api/meta.h"

namespace longshore::api {

// Signals the node agents measure and scaling may use. cpu in cores, memory in bytes (anon + what
// cannot be reclaimed), readBytes, writeBytes and ioOperations of block I/O and networkBytes (both
// ways) a second, ioLatency in seconds an operation; throttling by the pod's own CPU limit and
// pressure (at least one task stalls) as shares of the time.
inline constexpr char kSignalCpu[] = "cpu";
inline constexpr char kSignalMemory[] = "memory";
inline constexpr char kSignalReadBytes[] = "readBytes";
inline constexpr char kSignalWriteBytes[] = "writeBytes";
inline constexpr char kSignalIoOperations[] = "ioOperations";
inline constexpr char kSignalNetworkBytes[] = "networkBytes";
inline constexpr char kSignalIoLatency[] = "ioLatency";
inline constexpr char kSignalCpuThrottling[] = "cpuThrottling";
inline constexpr char kSignalCpuPressure[] = "cpuPressure";
inline constexpr char kSignalIoPressure[] = "ioPressure";
inline constexpr char kSignalMemoryPressure[] = "memoryPressure";

// Exactly one is set: percent of the pod's resource request (cpu, memory) or of the time
// (throttling, pressure), or an absolute value.
struct Threshold {
  std::optional<int> utilization_percent;
  std::string value;  // quantity
};
template <class A>
void Describe(A& a, Threshold& v) {
  a("utilizationPercent", v.utilization_percent);
  a("value", v.value);
}

struct ScalingSignal {
  std::string name;
  Threshold up, down;      // down < up
  int window_seconds = 3;  // how long it must be over `up` to grow (common/scaling/evidence.h)
};
template <class A>
void Describe(A& a, ScalingSignal& v) {
  a("name", v.name);
  a("up", v.up);
  a("down", v.down);
  a("windowSeconds", v.window_seconds);
}

struct Scaling {
  std::vector<ScalingSignal> signals;
  int idle_seconds = 120;  // every signal under `down` for so long: the pod is deconstructed
  // What a container does with the CPU in its first seconds does not count.
  int startup_grace_seconds = 5;
  // "Ignore", "Follow": a pod for each operation that waits or is announced by spec.demand, or
  // "Require": usage adds none beyond those.
  std::string demand_policy = "Ignore";
  int warm_pods = 0;  // kept free beside those that work
};
template <class A>
void Describe(A& a, Scaling& v) {
  a("signals", v.signals);
  a("idleSeconds", v.idle_seconds);
  a("startupGraceSeconds", v.startup_grace_seconds);
  a("demandPolicy", v.demand_policy);
  a("warmPods", v.warm_pods);
}

struct PodCounts {
  int min = 0;
  int initial = 1;
  int max = 1;
};
template <class A>
void Describe(A& a, PodCounts& v) {
  a("min", v.min);
  a("initial", v.initial);
  a("max", v.max);
}

struct ComputeRequestSpec {
  NamespacedRef source_ref;
  std::string purpose = "Backup";  // "Backup", "Restore", "Verify"
  NameRef policy_ref;
  PodCounts pods;
  Scaling scaling;
  std::optional<int> demand;                // operations the manager says are still to come
  std::string deadline;                     // RFC 3339
  std::string daily_deadline;               // "06:00Z" or "06:00+02:00": on each day
  std::optional<int64_t> lifetime_seconds;  // ends by itself after this
};
template <class A>
void Describe(A& a, ComputeRequestSpec& v) {
  a("sourceRef", v.source_ref);
  a("purpose", v.purpose);
  a("policyRef", v.policy_ref);
  a("pods", v.pods);
  a("scaling", v.scaling);
  a("demand", v.demand);
  a("deadline", v.deadline);
  a("dailyDeadline", v.daily_deadline);
  a("lifetimeSeconds", v.lifetime_seconds);
}

struct ImageCandidate {
  std::string name;
  bool chosen = false;
  std::string reason;  // why or why not

  bool operator==(const ImageCandidate&) const = default;
};
template <class A>
void Describe(A& a, ImageCandidate& v) {
  a("name", v.name);
  a("chosen", v.chosen);
  a("reason", v.reason);
}

struct ImageChoice {
  std::string name;   // SourceImage
  std::string image;  // reference by digest
  std::string reason;
  std::vector<ImageCandidate> candidates;

  bool operator==(const ImageChoice&) const = default;
};
template <class A>
void Describe(A& a, ImageChoice& v) {
  a("name", v.name);
  a("image", v.image);
  a("reason", v.reason);
  a("candidates", v.candidates);
}

// One measured input of a scaling decision, as it was when it decided.
struct DecisionInput {
  std::string pod;
  std::string signal;
  std::string value;      // e.g. "412m", "31457280"
  std::string threshold;  // e.g. "120m"
  int64_t samples = 0;    // how many samples said so

  bool operator==(const DecisionInput&) const = default;
};
template <class A>
void Describe(A& a, DecisionInput& v) {
  a("pod", v.pod);
  a("signal", v.signal);
  a("value", v.value);
  a("threshold", v.threshold);
  a("samples", v.samples);
}

// Why the number of pods changed: ScalingDecision.cause, and BackupPodSpec.cause.
inline constexpr char kCauseRequested[] = "Requested";
inline constexpr char kCauseThreshold[] = "ThresholdExceeded";
inline constexpr char kCauseIdle[] = "Idle";
inline constexpr char kCauseReplaced[] = "Replaced";
inline constexpr char kCauseResized[] = "Resized";
inline constexpr char kCauseReleased[] = "Released";
inline constexpr char kCausePodBusy[] = "PodBusy";
inline constexpr char kCauseDemand[] = "DemandWaiting";
inline constexpr char kCauseWarmPods[] = "WarmPods";
inline constexpr char kCauseDeadline[] = "DeadlineAtRisk";
inline constexpr char kCauseFutile[] = "GrowthFutile";

// What keeps a crew from growing: ScalingLimit.reason, and of condition ScalingLimited.
inline constexpr char kLimitMaxPods[] = "MaxPods";
inline constexpr char kLimitSource[] = "SourceCap";
inline constexpr char kLimitRepository[] = "RepositoryCap";
inline constexpr char kLimitNamespace[] = "NamespaceCap";
inline constexpr char kLimitNode[] = "NodeCap";
inline constexpr char kLimitDemand[] = "NoDemand";
inline constexpr const char* kLimitFutile = kCauseFutile;
inline constexpr const char* kLimits[] = {kLimitMaxPods,   kLimitSource, kLimitRepository,
                                          kLimitNamespace, kLimitNode,   kLimitDemand,
                                          kLimitFutile};

// What has a say in how many pods there should be: ScalingCandidate.name.
inline constexpr char kCandidateUsage[] = "Usage";
inline constexpr char kCandidateSaturation[] = "Saturation";
inline constexpr char kCandidateDemand[] = "Demand";
inline constexpr char kCandidateWarmPods[] = "WarmPods";
inline constexpr char kCandidateDeadline[] = "Deadline";

struct ScalingCandidate {
  std::string name;
  int pods = 0;         // that it wants
  bool chosen = false;  // it wants most
  std::string message;

  bool operator==(const ScalingCandidate&) const = default;
};
template <class A>
void Describe(A& a, ScalingCandidate& v) {
  a("name", v.name);
  a("pods", v.pods);
  a("chosen", v.chosen);
  a("message", v.message);
}

// What kept the chosen candidate from getting all it wants.
struct ScalingLimit {
  std::string reason;  // kLimitMaxPods, …
  int pods = 0;        // no more than these
  std::string message;

  bool operator==(const ScalingLimit&) const = default;
};
template <class A>
void Describe(A& a, ScalingLimit& v) {
  a("reason", v.reason);
  a("pods", v.pods);
  a("message", v.message);
}

struct ScalingDecision {
  std::string time;  // RFC 3339 with microseconds
  int from = 0, to = 0;
  std::string cause;  // kCauseRequested, …
  std::string message;
  std::string crossing_time;  // end of the first sample over `up`, when cause is ThresholdExceeded
  std::vector<DecisionInput> inputs;
  std::vector<ScalingCandidate> candidates;  // all who had a say
  std::optional<ScalingLimit> limit;         // empty: nothing was in the way

  bool operator==(const ScalingDecision&) const = default;
};
template <class A>
void Describe(A& a, ScalingDecision& v) {
  a("time", v.time);
  a("from", v.from);
  a("to", v.to);
  a("cause", v.cause);
  a("message", v.message);
  a("crossingTime", v.crossing_time);
  a("inputs", v.inputs);
  a("candidates", v.candidates);
  a("limit", v.limit);
}

struct PodStateCounts {
  int planned = 0, provisioning = 0, available = 0, assigned = 0, draining = 0, failed = 0;

  bool operator==(const PodStateCounts&) const = default;
};
template <class A>
void Describe(A& a, PodStateCounts& v) {
  a("planned", v.planned);
  a("provisioning", v.provisioning);
  a("available", v.available);
  a("assigned", v.assigned);
  a("draining", v.draining);
  a("failed", v.failed);
}

struct ComputeRequestStatus {
  int64_t observed_generation = 0;
  int desired_pods = 0;
  std::optional<int> initial_pods;  // the spec.pods.initial that desired_pods has followed
  std::string ready_time;           // RFC 3339: when so many worked for the first time
  PodStateCounts pods;
  ImageChoice image;
  ScalingDecision last_decision;
  std::string predicted_finish_time;  // RFC 3339; empty: no deadline, or no estimate
  std::string location;               // where the data is and how we know, one line
  std::optional<OutOfMemory> out_of_memory;
  std::vector<Condition> conditions;

  bool operator==(const ComputeRequestStatus&) const = default;
};
template <class A>
void Describe(A& a, ComputeRequestStatus& v) {
  a("observedGeneration", v.observed_generation);
  a("desiredPods", v.desired_pods);
  a("initialPods", v.initial_pods);
  a("readyTime", v.ready_time);
  a("pods", v.pods);
  a("image", v.image);
  a("lastDecision", v.last_decision);
  a("predictedFinishTime", v.predicted_finish_time);
  a("location", v.location);
  a("outOfMemory", v.out_of_memory);
  a("conditions", v.conditions);
}
using ComputeRequest = Object<ComputeRequestSpec, ComputeRequestStatus>;

// States of a backup pod; see docs/pod-states.md.
inline constexpr char kPlanned[] = "Planned";
inline constexpr char kProvisioning[] = "Provisioning";
inline constexpr char kAvailable[] = "Available";
inline constexpr char kAssigned[] = "Assigned";
inline constexpr char kDraining[] = "Draining";
inline constexpr char kDeconstructed[] = "Deconstructed";
inline constexpr char kFailed[] = "Failed";
inline constexpr char kLost[] = "Lost";
// Whether nothing more becomes of a backup pod in that state.
inline bool Ended(std::string_view state) {
  return state == kDeconstructed || state == kFailed || state == kLost;
}

struct BackupPodSpec {
  NameRef request_ref;
  NamespacedRef source_ref;
  int slot = 0;
  int attempt = 0;
  std::string image;
  std::vector<std::string> candidate_nodes;  // steering: best first; empty: anywhere
  std::string cause;                         // why it was provisioned, as in ScalingDecision.cause
  std::string placement_mode;  // "Prefer": its source requires nearness, which has timed out
};
template <class A>
void Describe(A& a, BackupPodSpec& v) {
  a("requestRef", v.request_ref);
  a("sourceRef", v.source_ref);
  a("slot", v.slot);
  a("attempt", v.attempt);
  a("image", v.image);
  a("candidateNodes", v.candidate_nodes);
  a("cause", v.cause);
  a("placementMode", v.placement_mode);
}

// Who may use an assigned pod. `operation` is empty between acquire and the first operation.
struct PodLease {
  std::string holder;     // authenticated user, or "longshore" for the controller's own dispatch
  std::string operation;  // name of the Operation
  int64_t epoch = 0;      // fencing: larger for each assignment of this pod
  std::string expires;    // RFC 3339; only for acquired pods without an operation
  std::string key;        // idempotency key of the acquire
};
template <class A>
void Describe(A& a, PodLease& v) {
  a("holder", v.holder);
  a("operation", v.operation);
  a("epoch", v.epoch);
  a("expires", v.expires);
  a("key", v.key);
}

struct BackupPodStatus {
  std::string state;  // empty: Planned
  int64_t epoch = 0;  // the last one given out
  std::string node_name, pod_uid, pod_ip;
  std::string tier;     // reached nearness: "Node", "Rack", "Zone", "Region", "None", "Unknown"
  std::string vetting;  // of the placement: "Extender", "WithoutExtender"; empty: not placed yet
  std::optional<PodLease> lease;
  std::string reason;                          // CamelCase, of the last change
  std::string message;                         // one line for people
  std::string last_transition_time;            // RFC 3339 with microseconds
  std::optional<bool> out_of_memory;           // work of its was killed for memory
  std::vector<DecisionInput> decision_inputs;  // samples that decided its end
};
template <class A>
void Describe(A& a, BackupPodStatus& v) {
  a("state", v.state);
  a("epoch", v.epoch);
  a("nodeName", v.node_name);
  a("podUID", v.pod_uid);
  a("podIP", v.pod_ip);
  a("tier", v.tier);
  a("vetting", v.vetting);
  a("lease", v.lease);
  a("reason", v.reason);
  a("message", v.message);
  a("lastTransitionTime", v.last_transition_time);
  a("outOfMemory", v.out_of_memory);
  a("decisionInputs", v.decision_inputs);
}
using BackupPod = Object<BackupPodSpec, BackupPodStatus>;

// Its first one while nobody has written any.
inline std::string StateOf(const BackupPod& row) {
  return row.status.state.empty() ? kPlanned : row.status.state;
}
using BackupPodPtr = std::shared_ptr<const BackupPod>;  // as caches share it

}  // namespace longshore::api
