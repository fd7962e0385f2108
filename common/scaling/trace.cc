// SPDX-License-Identifier: Apache-2.0
//
// Reading a recorded trace.
#include "common/base/strings.h"
#include "common/scaling/replay.h"

namespace longshore::scaling {
namespace {

constexpr uint64_t kMostQueued = 1'000'000;  // more than there can be in a cluster

// As FormatSignal wrote it.
Result<double> ParseSignal(Signal signal, const api::Json& json) {
  if (!json.is_string()) return InvalidArgument("must be text, such as \"412m\"");
  auto text = json.get<std::string>();
  if (IsTimeShare(signal) && text.ends_with('%')) text.pop_back();
  LS_ASSIGN_OR_RETURN(const int64_t milli, ParseQuantityMilli(text));
  if (milli < 0) return InvalidArgument("must not be negative");
  const auto value = static_cast<double>(milli);
  return signal == Signal::kCpu || signal == Signal::kIoLatency ? value : value / 1000;
}

Result<int> ParseQueued(const api::Json& json) {
  if (json.is_number_unsigned() && json.get<uint64_t>() <= kMostQueued) return json.get<int>();
  return InvalidArgument("queued: must be how many operations waited, a whole number from 0 to " +
                         std::to_string(kMostQueued));
}

// Names that nobody knows are of a newer recorder; null is what was not measured.
Result<std::map<Signal, double>> ParseUsage(const api::Json& usage) {
  if (!usage.is_object()) return InvalidArgument("usage: must be an object, by signal");
  std::map<Signal, double> values;
  for (const auto& [name, value] : usage.items()) {
    const auto signal = SignalByName(name);
    if (!signal || value.is_null()) continue;
    const auto parsed = ParseSignal(*signal, value);
    if (!parsed) return Annotate(parsed.error(), "usage." + name);
    values[*signal] = *parsed;
  }
  return values;
}

Status AddLine(const api::Json& line, std::vector<TraceStep>& steps) {
  if (!line.is_object()) return InvalidArgument("expected an object");
  const auto text = [&](const char* field) {
    const auto found = line.find(field);
    return found != line.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  LS_ASSIGN_OR_RETURN(const WallTime time, ParseTime(text("time")));
  if (!steps.empty() && time < steps.back().time) return InvalidArgument("time goes back");
  if (steps.empty() || steps.back().time != time) steps.push_back({time, 0, {}});
  TraceStep& step = steps.back();
  if (const auto queued = line.find("queued"); queued != line.end()) {
    LS_ASSIGN_OR_RETURN(step.queued, ParseQueued(*queued));
  }
  const std::string pod = text("pod");
  if (pod.empty()) return {};  // a second without pods
  TraceSample sample{pod, text("state") == api::kAssigned, {}};
  if (const auto usage = line.find("usage"); usage != line.end() && !usage->is_null()) {
    LS_ASSIGN_OR_RETURN(sample.values, ParseUsage(*usage));
  }
  step.pods.push_back(std::move(sample));
  return {};
}

}  // namespace

Result<std::vector<TraceStep>> ReadTrace(std::string_view text) {
  std::vector<TraceStep> steps;
  int number = 0;
  for (const std::string& line : Split(text, '\n')) {
    ++number;
    if (Trim(line).empty()) continue;
    const std::string where = "line " + std::to_string(number);
    const auto parsed = api::ParseJson(line);
    if (!parsed) return Annotate(parsed.error(), where);
    if (const Status added = AddLine(*parsed, steps); !added) return Annotate(added.error(), where);
  }
  if (steps.size() < 2) return InvalidArgument("a trace has at least two times");
  return steps;
}

}  // namespace longshore::scaling
