// SPDX-License-Identifier: Apache-2.0
//
// Reading a recorded trace.
#include "common/base/strings.h"
#include "common/scaling/replay.h"

namespace longshore::scaling {
namespace {

// As FormatSignal wrote it.
Result<double> ParseSignal(Signal signal, std::string text) {
  if (IsTimeShare(signal) && text.ends_with('%')) text.pop_back();
  LS_ASSIGN_OR_RETURN(const int64_t milli, ParseQuantityMilli(text));
  const auto value = static_cast<double>(milli);
  return signal == Signal::kCpu || signal == Signal::kIoLatency ? value : value / 1000;
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
  if (const auto queued = line.find("queued"); queued != line.end() && queued->is_number()) {
    step.queued = queued->get<int>();
  }
  const std::string pod = text("pod");
  if (pod.empty()) return {};  // a second without pods
  TraceSample sample{pod, text("state") == api::kAssigned, {}};
  const auto usage = line.find("usage");
  if (usage != line.end() && usage->is_object()) {
    for (const auto& [name, value] : usage->items()) {
      const auto signal = SignalByName(name);
      if (!signal || !value.is_string()) continue;
      auto parsed = ParseSignal(*signal, value.get<std::string>());
      if (!parsed) return Annotate(parsed.error(), name);
      sample.values[*signal] = *parsed;
    }
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
