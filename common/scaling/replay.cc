// SPDX-License-Identifier: Apache-2.0
#include "common/scaling/replay.h"

#include <algorithm>
#include <deque>

namespace longshore::scaling {
namespace {

using std::chrono::nanoseconds;
using std::chrono::seconds;

bool Shared(Signal signal) { return signal != Signal::kIoLatency && !IsTimeShare(signal); }

MonotonicTime AsMonotonic(WallTime time) { return MonotonicTime(time.time_since_epoch()); }

struct SimulatedPod {
  int slot = 0;
  bool busy = false;
  WallTime since, started;  // in its state; at all
  std::deque<Sample> samples;
};

// The crew that would have been, second by second.
class Simulation {
 public:
  explicit Simulation(const ReplayInput& input) : in_(input), desired_(input.pods.initial) {}

  ReplayResult Run() {
    const std::vector<TraceStep>& trace = in_.trace;
    now_ = trace.front().time;
    settled_ = now_;
    while (static_cast<int>(pods_.size()) < desired_) AddPod();
    for (size_t i = 1; i < trace.size(); ++i) Step(trace[i], trace[i].time - now_);
    return std::move(result_);
  }

 private:
  void AddPod() {
    int slot = 0;
    const auto taken = [&](int wanted) {
      return std::any_of(pods_.begin(), pods_.end(),
                         [&](const SimulatedPod& pod) { return pod.slot == wanted; });
    };
    while (taken(slot)) ++slot;
    pods_.push_back({slot, false, now_, now_, {}});
  }

  void Step(const TraceStep& step, nanoseconds length) {
    now_ = step.time;
    const double took = std::chrono::duration<double>(length).count();
    result_.pod_seconds += took * static_cast<double>(pods_.size() + starting_.size());
    result_.recorded_pod_seconds += took * static_cast<double>(step.pods.size());
    while (!starting_.empty() && starting_.front() <= now_) {
      starting_.pop_front();
      AddPod();
      settled_ = now_;
    }
    const int queued = GiveWork(step);
    Measure(step, length);
    Decide(queued);
    result_.most_pods =
        std::max(result_.most_pods, static_cast<int>(pods_.size() + starting_.size()));
  }

  // Work that ran or waited goes to as many pods as there are, low slots first. Returns how much
  // waits.
  int GiveWork(const TraceStep& step) {
    const auto running = std::count_if(step.pods.begin(), step.pods.end(),
                                       [](const TraceSample& pod) { return pod.busy; });
    int left = static_cast<int>(running) + step.queued;
    std::sort(pods_.begin(), pods_.end(),
              [](const auto& a, const auto& b) { return a.slot < b.slot; });
    for (SimulatedPod& pod : pods_) {
      const bool busy = left > 0;
      if (busy) --left;
      if (busy != pod.busy) pod.since = now_;
      pod.busy = busy;
    }
    return left;
  }

  void Measure(const TraceStep& step, nanoseconds length) {
    const auto busy =
        std::count_if(pods_.begin(), pods_.end(), [](const SimulatedPod& pod) { return pod.busy; });
    std::map<Signal, double> sum;
    std::map<Signal, int> count;
    for (const TraceSample& pod : step.pods) {
      for (const auto& [signal, value] : pod.values) {
        sum[signal] += value;
        ++count[signal];
      }
    }
    // Without any work the little that was used is everybody's.
    const auto sharers = static_cast<double>(busy > 0 ? busy : static_cast<long>(pods_.size()));
    for (SimulatedPod& pod : pods_) {
      Sample sample;
      sample.received = AsMonotonic(now_);
      sample.end = now_;
      sample.length = length;
      const bool works = pod.busy || busy == 0;
      for (const auto& [signal, total] : sum) {
        const double share = Shared(signal) ? total / sharers : total / count[signal];
        sample.set(signal, works ? share : 0);
      }
      pod.samples.push_back(sample);
      const auto oldest = sample.received - SpanNeeded(in_.policy, true);
      while (pod.samples.front().received < oldest) pod.samples.pop_front();
    }
  }

  void Decide(int queued) {
    ScalingInput in;
    in.now = AsMonotonic(now_);
    in.wall = now_;
    in.settled_since = AsMonotonic(settled_);
    in.desired = desired_;
    in.min = in_.pods.min;
    in.max = in_.pods.max;
    in.pending = static_cast<int>(starting_.size());
    in.work_waiting = queued > 0;
    in.queued = queued;
    in.policy = in_.policy;
    for (const SimulatedPod& pod : pods_) {
      in.pods.push_back({"pod-" + std::to_string(pod.slot),
                         pod.slot,
                         !pod.busy,
                         now_ - pod.since,
                         now_ - pod.started,
                         {pod.samples.begin(), pod.samples.end()}});
    }
    ScalingVerdict verdict = EvaluateScaling(in);
    // As the controller does: usage could never ask for the first pod.
    if (desired_ == 0 && queued > 0 && !verdict.change) {
      verdict.change = true;
      verdict.decision = {FormatTime(now_),
                          0,
                          1,
                          api::kCauseRequested,
                          "operations wait and there is no pod",
                          "",
                          {},
                          {},
                          {}};
    }
    if (!verdict.change) return;
    result_.decisions.push_back(verdict.decision);
    for (int i = desired_; i < verdict.decision.to; ++i) {
      starting_.push_back(now_ + in_.provisioning);
    }
    if (!verdict.victim.empty()) {
      std::erase_if(pods_, [&](const SimulatedPod& pod) {
        return "pod-" + std::to_string(pod.slot) == verdict.victim;
      });
      settled_ = now_;
    }
    desired_ = verdict.decision.to;
  }

  const ReplayInput& in_;
  int desired_;
  WallTime now_, settled_;
  std::vector<SimulatedPod> pods_;
  std::deque<WallTime> starting_;  // when each will work
  ReplayResult result_;
};

}  // namespace

ReplayResult Replay(const ReplayInput& input) {
  if (input.trace.empty()) return {};
  return Simulation(input).Run();
}

}  // namespace longshore::scaling
