// SPDX-License-Identifier: Apache-2.0
#include "cli/watch_frame.h"

#include <algorithm>
#include <map>

#include "cli/table.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

constexpr size_t kEventsShown = 10;  // where there is no end to the page

bool Ended(const Json& pod) {
  const std::string state = Text(pod, "/state");
  return state == "Deconstructed" || state == "Failed" || state == "Lost";
}

std::string Key(const Json& object) {
  return Text(object, "/namespace") + "/" + Text(object, "/name");
}

// The one sentence that matters most: why nothing happens, or what is about to.
std::string Says(const Json& request) {
  if (!Text(request, "/deletedAt").empty()) return "is being deleted";
  const auto when = [&](const char* type, const char* status) -> std::string {
    const Json& condition = Condition(request, type);
    if (Text(condition, "/status") != status) return "";
    const std::string message = Text(condition, "/message");
    return Text(condition, "/reason") + (message.empty() ? "" : ": " + message);
  };
  for (const auto& [type, status] :
       {std::pair("Accepted", "False"), std::pair("PodsProvisioned", "False"),
        std::pair("DeadlineAtRisk", "True"), std::pair("ScalingActive", "False"),
        std::pair("ScalingLimited", "True")}) {
    std::string text = when(type, status);
    const bool of_interest = !text.empty() && !text.starts_with("NotConfigured");
    if (of_interest) return text;
  }
  return "";
}

std::vector<std::string> Requests(const Scene& scene) {
  Table table{{"REQUEST", "SOURCE", "WORKING", "FREE", "WANTED", "MAX", "LAST DECISION", "SAYS"},
              {}};
  for (const Json& request : scene.requests) {
    std::string decision = Text(request, "/status/lastDecision/cause");
    if (!decision.empty()) {
      decision = Text(request, "/status/lastDecision/from") + " to " +
                 Text(request, "/status/lastDecision/to") + " " + decision;
    }
    table.rows.push_back({Text(request, "/name"), Text(request, "/spec/sourceRef/name"),
                          Text(request, "/status/pods/assigned"),
                          Text(request, "/status/pods/available"),
                          Text(request, "/status/desiredPods"), Text(request, "/spec/pods/max"),
                          decision, Says(request)});
  }
  if (table.rows.empty()) return {"no requests"};
  return Split(RenderTable(table), '\n');
}

// "cpu 180m of 120m for 2s of 2s, networkBytes 5Mi of 50Mi": now beside what would add a pod.
std::string Load(const Json& pod) {
  std::vector<std::string> texts;
  for (const Json& signal : Items(pod, "/signals")) {
    const std::string value = Text(signal, "/value");
    std::string text = Text(signal, "/signal") + " " + (value.empty() ? "unknown" : value);
    if (const std::string up = Text(signal, "/up"); !up.empty()) text += " of " + up;
    if (Number(signal, "/overSeconds") > 0) {
      text +=
          " for " + Text(signal, "/overSeconds") + "s of " + Text(signal, "/windowSeconds") + "s";
    }
    texts.push_back(text);
  }
  return Join(texts, ", ");
}

std::string Idle(const Json& scaling, const Json& pod) {
  const int64_t idle = Number(pod, "/idleSeconds");
  if (idle == 0 || At(pod, "/busy") == Json(true)) return "";
  return FormatSeconds(idle) + " of " + FormatSeconds(Number(scaling, "/now/idleSeconds"));
}

std::vector<std::string> Pods(const Scene& scene) {
  std::map<std::string, const Json*> operations, loads, scalings;
  for (const Json& operation : scene.operations) operations[Key(operation)] = &operation;
  for (const Json& scaling : scene.scaling) {
    for (const Json& pod : Items(scaling, "/now/pods")) {
      const std::string key = Text(scaling, "/namespace") + "/" + Text(pod, "/name");
      loads[key] = &pod;
      scalings[key] = &scaling;
    }
  }
  Table table{
      {"POD", "REQUEST", "STATE", "NODE", "WORKS ON", "DONE", "RATE", "LEFT", "IDLE FOR", "LOAD"},
      {}};
  for (const Json& pod : scene.pods) {
    if (Ended(pod)) continue;
    const auto load = loads.find(Key(pod));
    const auto operation =
        operations.find(Text(pod, "/namespace") + "/" + Text(pod, "/lease/operation"));
    std::string works, done, rate, left;
    if (operation != operations.end()) {
      const Json& found = *operation->second;
      works = Text(found, "/spec/type") + " " + Text(found, "/spec/part");
      done = FormatDone(Number(found, "/status/progress/bytesDone"),
                        Number(found, "/status/progress/bytesTotal"));
      rate = FormatRate(Number(found, "/status/progress/bytesPerSecond"));
      const int64_t eta = Number(found, "/status/progress/etaSeconds", -1);
      if (eta >= 0) left = FormatSeconds(eta);
    }
    const bool known = load != loads.end();
    table.rows.push_back({Text(pod, "/name"), Text(pod, "/request"), Text(pod, "/state"),
                          Text(pod, "/node"), works, done, rate, left,
                          known ? Idle(*scalings[Key(pod)], *load->second) : "",
                          known ? Load(*load->second) : ""});
  }
  if (table.rows.empty()) return {"no pods"};
  return Split(RenderTable(table), '\n');
}

std::string Head(const Scene& scene) {
  std::map<std::string, int> waiting;
  for (const Json& operation : scene.operations) ++waiting[Text(operation, "/status/state")];
  std::vector<std::string> texts = {scene.time.substr(0, 19) + "Z",
                                    std::to_string(scene.requests.size()) + " requests"};
  for (const char* state : {"Queued", "Preparing", "Running", "Committing", "Interrupted"}) {
    if (waiting[state] > 0) texts.push_back(std::to_string(waiting[state]) + " " + state);
  }
  return Join(texts, "  ");
}

void Append(std::vector<std::string>& lines, const std::vector<std::string>& more) {
  for (const std::string& line : more) {
    if (!line.empty()) lines.push_back(line);
  }
}

}  // namespace

std::vector<std::string> RenderFrame(const Scene& scene, FrameSize size) {
  std::vector<std::string> lines = {Head(scene)};
  if (!scene.trouble.empty()) lines.push_back(Printable("not of now: " + scene.trouble));
  lines.emplace_back();
  Append(lines, Requests(scene));
  lines.emplace_back();
  Append(lines, Pods(scene));
  // The newest events at the end of the page; of the rest as much as there is room for.
  const size_t shown = size.rows == 0
                           ? kEventsShown
                           : (size.rows > lines.size() + 2 ? size.rows - lines.size() - 2 : 0);
  const size_t from = scene.events.size() - std::min(scene.events.size(), shown);
  if (from < scene.events.size()) {
    lines.emplace_back();
    for (size_t i = from; i < scene.events.size(); ++i) lines.push_back(EventLine(scene.events[i]));
  }
  if (size.rows > 1 && lines.size() >= size.rows) {
    const size_t cut = lines.size() - size.rows + 2;
    lines.resize(size.rows - 2);
    lines.push_back(std::to_string(cut) +
                    " more lines: make the terminal higher, or name a request");
  }
  if (size.columns > 0) {
    for (std::string& line : lines) line = Shorten(line, size.columns);
  }
  return lines;
}

}  // namespace longshore::cli
