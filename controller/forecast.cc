// SPDX-License-Identifier: Apache-2.0
#include "controller/forecast.h"

#include <algorithm>
#include <map>
#include <set>

#include "controller/acceptance.h"
#include "controller/known_copy.h"
#include "controller/operation_moves.h"

namespace longshore::controller {
namespace {

constexpr std::chrono::seconds kMeasured{10};  // a rate over less is not worth much
constexpr size_t kPastOperations = 5;          // that say how fast it was before

// What the worker said last, else what was written.
api::OperationProgress ProgressOf(const Environment& env, const api::Operation& operation,
                                  const Crew& crew) {
  for (const CrewMember& member : crew.members) {
    if (member.row->metadata.name != operation.status.pod) continue;
    const auto worker = env.workers.Facts(member.row->status.pod_uid);
    if (worker && worker->progress &&
        static_cast<int64_t>(worker->progress->epoch()) == operation.status.epoch) {
      return FromMessage(*worker->progress, FormatTime(worker->progress_time));
    }
  }
  return operation.status.progress;
}

// Bytes of the last copy of each part of the sources that some operations are of:
// "NS/SOURCE/PART".
class CopySizes {
 public:
  CopySizes(const Cluster& cluster, const std::vector<api::Operation>& operations)
      : cluster_(cluster) {
    std::set<std::string, std::less<>> names;  // of sources; objects of others are not parsed
    for (const api::Operation& each : operations) names.insert(each.spec.source_ref.name);
    for (const kube::ObjectPtr& object : cluster.List(kube::kOperations)) {
      if (kube::StringAt(*object, "/spec/type") != api::kBackup ||
          kube::StringAt(*object, "/status/state") != api::kSucceeded ||
          !names.contains(kube::StringAt(*object, "/spec/sourceRef/name"))) {
        continue;
      }
      const auto operation = ReadObject<api::Operation>(object);
      if (!operation || !operation->status.copy) continue;
      Copy& last = last_[KeyOf(*operation)];
      if (operation->status.completion_time <= last.time) continue;
      last = {operation->status.completion_time,
              static_cast<double>(operation->status.copy->bytes)};
    }
  }

  std::optional<double> Of(const api::Operation& operation) const {
    if (operation.spec.type != api::kBackup) {
      const auto copy = KnownCopy(cluster_, operation);
      return copy ? std::optional(static_cast<double>(copy->bytes)) : std::nullopt;
    }
    const auto last = last_.find(KeyOf(operation));
    return last == last_.end() ? std::nullopt : std::optional(last->second.bytes);
  }

 private:
  struct Copy {
    std::string time;
    double bytes = 0;
  };
  static std::string KeyOf(const api::Operation& operation) {
    return SourceKey(operation) + "/" + operation.spec.part;
  }

  const Cluster& cluster_;
  std::map<std::string, Copy> last_;
};

// Of a whole operation, its preparation included; what it copies now only before that is known.
std::optional<double> RateOf(const api::Operation& operation,
                             const api::OperationProgress& progress, WallTime now) {
  const auto took = std::chrono::duration<double>(Since(operation.status.start_time, now));
  if (took >= kMeasured && progress.bytes_done > 0) {
    return static_cast<double>(progress.bytes_done) / took.count();
  }
  if (progress.bytes_per_second > 0) return static_cast<double>(progress.bytes_per_second);
  return std::nullopt;
}

std::optional<double> PastRate(const std::vector<api::Operation>& operations) {
  std::vector<std::pair<std::string, double>> ended;  // by time
  for (const api::Operation& operation : operations) {
    const api::OperationStatus& status = operation.status;
    const auto start = ParseTime(status.start_time), end = ParseTime(status.completion_time);
    if (status.state != api::kSucceeded || !status.copy || status.copy->bytes <= 0 || !start ||
        !end || *end <= *start) {
      continue;
    }
    ended.emplace_back(status.completion_time,
                       static_cast<double>(status.copy->bytes) /
                           std::chrono::duration<double>(*end - *start).count());
  }
  if (ended.empty()) return std::nullopt;
  std::sort(ended.rbegin(), ended.rend());
  ended.resize(std::min(ended.size(), kPastOperations));
  double sum = 0;
  for (const auto& [time, rate] : ended) sum += rate;
  return sum / static_cast<double>(ended.size());
}

// Of what has to be done in time.
bool IsLeft(const api::Operation& operation) {
  return !api::Terminal(operation.status.state) && !operation.spec.cancel &&
         operation.spec.type != api::kCheck;
}

}  // namespace

std::optional<WallTime> DeadlineOf(const api::ComputeRequestSpec& spec,
                                   const std::vector<api::Operation>& operations, WallTime now) {
  if (!spec.deadline.empty()) {
    const auto deadline = ParseTime(spec.deadline);
    return deadline ? std::optional(*deadline) : std::nullopt;
  }
  WallTime since = now;
  for (const api::Operation& operation : operations) {
    const auto made = ParseTime(operation.metadata.creation_timestamp);
    if (made && IsLeft(operation)) since = std::min(since, *made);
  }
  return scaling::NextDaily(spec.daily_deadline, since);
}

int OperationsLeft(const std::vector<api::Operation>& operations) {
  return static_cast<int>(std::ranges::count_if(operations, IsLeft));
}

scaling::DeadlineInput RemainingWork(const Environment& env, const api::ComputeRequest& request,
                                     const std::vector<api::Operation>& operations,
                                     const Crew& crew, const api::ScalingLimit& limit) {
  scaling::DeadlineInput in;
  in.now = env.clock.Now();
  in.deadline = DeadlineOf(request.spec, operations, in.now).value_or(in.now);
  in.pods = crew.Counting();
  in.limit = limit.pods;
  in.limit_message = limit.message;
  in.past_rate = PastRate(operations);
  if (OperationsLeft(operations) == 0) return in;
  const CopySizes sizes(env.cluster, operations);
  for (const api::Operation& operation : operations) {
    if (!IsLeft(operation)) continue;
    scaling::Work work{operation.metadata.name, Active(operation), sizes.Of(operation), {}};
    if (work.running) {
      const api::OperationProgress progress = ProgressOf(env, operation, crew);
      if (progress.bytes_total > 0) work.bytes_left = static_cast<double>(progress.bytes_total);
      if (work.bytes_left) {
        work.bytes_left =
            std::max(0.0, *work.bytes_left - static_cast<double>(progress.bytes_done));
      }
      work.rate = RateOf(operation, progress, in.now);
    }
    in.work.push_back(std::move(work));
  }
  return in;
}

}  // namespace longshore::controller
