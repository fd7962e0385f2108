// SPDX-License-Identifier: Apache-2.0
#include "controller/live_state.h"

#include "controller/operation_moves.h"

namespace longshore::controller {

LiveState::LiveState(const Cluster& cluster, const UsageStore& usage, const PressureStore& pressure,
                     const VerdictStore& verdicts, const WorkerTable& workers,
                     const ScalingBoard& scaling, SampleGate& gate, const Clock& clock)
    : cluster_(cluster),
      usage_(usage),
      pressure_(pressure),
      verdicts_(verdicts),
      workers_(workers),
      scaling_(scaling),
      gate_(gate),
      clock_(clock) {}

std::vector<UsageSample> LiveState::Usage(const std::string& pod_uid, size_t limit) const {
  const auto samples = usage_.Newest(pod_uid, limit);
  const MonotonicTime now = clock_.Monotonic();
  std::vector<UsageSample> shown;
  for (const scaling::Sample& each : samples) {
    UsageSample sample;
    sample.time = FormatTime(each.end);
    sample.age_ms =
        std::chrono::duration_cast<std::chrono::milliseconds>(now - each.received).count();
    for (size_t index = 0; index < scaling::kSignals; ++index) {
      const auto signal = static_cast<Signal>(index);
      if (const auto value = each.value(signal)) {
        sample.signals[scaling::SignalName(signal)] = *value;
      }
    }
    shown.push_back(std::move(sample));
  }
  return shown;
}

std::optional<api::OperationProgress> LiveState::Progress(const std::string& operation_ns,
                                                          const std::string& name) const {
  const auto operation = Find<api::Operation>(cluster_, operation_ns, name);
  if (!operation || !Active(*operation)) return std::nullopt;
  const auto row = Find<api::BackupPod>(cluster_, operation_ns, operation->status.pod);
  if (!row) return std::nullopt;
  const auto worker = workers_.Facts(row->status.pod_uid);
  if (!worker || !worker->progress ||
      static_cast<int64_t>(worker->progress->epoch()) != operation->status.epoch) {
    return std::nullopt;
  }
  return FromMessage(*worker->progress, FormatTime(worker->progress_time));
}

std::vector<Verdict> LiveState::Verdicts(const std::string& pod_uid) const {
  return verdicts_.Get(pod_uid);
}

placement::PressureMap LiveState::NodePressure() const { return pressure_.Get(); }

std::optional<ScalingNotes> LiveState::Scaling(const std::string& request_uid) const {
  gate_.Watch(request_uid);  // what is looked at is kept fresh
  return scaling_.Get(request_uid);
}

int64_t LiveState::WorkerAgeMs(const std::string& pod_uid) const {
  const auto worker = workers_.Facts(pod_uid);
  if (!worker) return -1;
  return std::chrono::duration_cast<std::chrono::milliseconds>(clock_.Monotonic() - worker->heard)
      .count();
}

}  // namespace longshore::controller
