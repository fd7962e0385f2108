// SPDX-License-Identifier: Apache-2.0
#include "common/scaling/rules.h"

#include "common/base/strings.h"

namespace longshore::scaling {
namespace {

using std::chrono::seconds;

// Of cpu and latency the samples hold thousandths, as quantities are parsed.
bool InThousandths(Signal signal) { return signal == Signal::kCpu || signal == Signal::kIoLatency; }

Result<double> OfRequest(int percent, Signal signal, const std::string& path,
                         const api::ResourceRequirements& resources) {
  const std::string name = SignalName(signal);
  if (signal != Signal::kCpu && signal != Signal::kMemory) {
    return InvalidArgument(path + ".utilizationPercent: " + name + " has no such; use a value");
  }
  const auto request = resources.requests.find(name);
  if (request == resources.requests.end()) {
    return InvalidArgument(path + ".utilizationPercent: the pod has no request for " + name +
                           "; set one in the SourceImage or PodPolicy, or use a value");
  }
  LS_ASSIGN_OR_RETURN(const int64_t milli, ParseQuantityMilli(request->second));
  // Of nothing every percentage is nothing, and every sample would be over it.
  if (milli <= 0) {
    return InvalidArgument(path + ".utilizationPercent: the pod's request for " + name + " is " +
                           request->second +
                           "; set one over 0 in the SourceImage or PodPolicy, or use a value");
  }
  const auto base = static_cast<double>(milli);
  return (InThousandths(signal) ? base : base / 1000) * percent / 100;
}

Result<double> Resolve(const api::Threshold& threshold, Signal signal, const std::string& path,
                       const api::ResourceRequirements& resources) {
  if (threshold.utilization_percent) {
    const int percent = *threshold.utilization_percent;
    if (IsTimeShare(signal)) return static_cast<double>(percent);
    return OfRequest(percent, signal, path, resources);
  }
  if (IsTimeShare(signal)) {
    return InvalidArgument(path + ": " + SignalName(signal) +
                           " is a share of the time: use utilizationPercent");
  }
  auto milli = ParseQuantityMilli(threshold.value);
  if (!milli) return Annotate(milli.error(), path + ".value");
  const auto value = static_cast<double>(*milli);
  return InThousandths(signal) ? value : value / 1000;
}

}  // namespace

Result<Policy> ResolvePolicy(const api::Scaling& scaling,
                             const api::ResourceRequirements& resources) {
  Policy policy;
  policy.idle = seconds(scaling.idle_seconds);
  policy.startup_grace = seconds(scaling.startup_grace_seconds);
  policy.follow_demand = scaling.demand_policy == "Follow";
  policy.require_demand = scaling.demand_policy == "Require";
  policy.warm_pods = scaling.warm_pods;
  if (const auto cpu = resources.limits.find("cpu"); cpu != resources.limits.end()) {
    policy.cpu_limit_milli = static_cast<double>(ParseQuantityMilli(cpu->second).value_or(0));
  }
  for (const api::ScalingSignal& wanted : scaling.signals) {
    const std::string path = "spec.scaling.signals[" + wanted.name + "]";
    const auto signal = SignalByName(wanted.name);
    if (!signal) return InvalidArgument(path + ".name: no such signal");
    SignalRule rule{*signal, 0, 0, seconds(wanted.window_seconds)};
    LS_ASSIGN_OR_RETURN(rule.up, Resolve(wanted.up, *signal, path + ".up", resources));
    LS_ASSIGN_OR_RETURN(rule.down, Resolve(wanted.down, *signal, path + ".down", resources));
    policy.rules.push_back(rule);
  }
  return policy;
}

}  // namespace longshore::scaling
