// SPDX-License-Identifier: Apache-2.0
#include "extender/replay_command.h"

#include <algorithm>
#include <optional>
#include <ostream>

#include "common/base/files.h"
#include "common/base/strings.h"
#include "common/base/table.h"
#include "extender/replay.h"
#include "extender/verdict.h"

namespace longshore::extender {
namespace {

using api::Json;
using placement::Change;
using placement::Counterfactual;

// As long as a call may be, and what is looked at of the cluster.
constexpr size_t kMaxFileBytes = size_t{512} << 20;
constexpr size_t kContextBytes = 40;
constexpr int kNodesShown = 20;

struct Difference {
  size_t byte;
  std::string recorded, replayed;  // around it
};

std::optional<Difference> FirstDifference(const std::string& recorded,
                                          const std::string& replayed) {
  if (recorded == replayed) return std::nullopt;
  const auto [a, b] =
      std::mismatch(recorded.begin(), recorded.end(), replayed.begin(), replayed.end());
  const auto byte = static_cast<size_t>(a - recorded.begin());
  const size_t start = byte - std::min(byte, kContextBytes / 2);
  const auto around = [&](const std::string& text) {
    return ToValidUtf8(text.substr(start, kContextBytes));
  };
  return Difference{byte, around(recorded), around(replayed)};
}

struct Examined {
  Recording recording;
  Replay replay;
  std::optional<Difference> difference;  // none: the replies are the same
  std::optional<Counterfactual> asked;
};

Result<Examined> Examine(const ReplayOptions& options) {
  LS_ASSIGN_OR_RETURN(const std::string file, ReadFile(options.file, kMaxFileBytes));
  auto recording = ReadRecording(file);
  if (!recording.has_value()) return Annotate(recording.error(), options.file);
  Examined examined{
      .recording = *std::move(recording), .replay = {}, .difference = {}, .asked = {}};
  LS_ASSIGN_OR_RETURN(examined.replay, AnswerAgain(examined.recording));
  examined.difference = FirstDifference(examined.recording.reply, examined.replay.reply);
  if (!options.node.empty()) {
    LS_ASSIGN_OR_RETURN(examined.asked, WhatWouldChange(examined.recording, options.node));
  }
  return examined;
}

std::string SourceOf(const Recording& recording) {
  return recording.source ? recording.source->metadata.Key() : "";
}

Json ToJson(const Examined& examined, const std::string& node) {
  Json verdict = VerdictJson(examined.replay.verdict);
  verdict["time"] = examined.recording.time;
  Json result = {{"version", examined.recording.version},
                 {"source", SourceOf(examined.recording)},
                 {"replyBytes", examined.recording.reply.size()},
                 {"same", !examined.difference},
                 {"difference", nullptr},
                 {"unanswered", examined.replay.unanswered},
                 {"verdict", std::move(verdict)}};
  if (const auto& difference = examined.difference) {
    result["difference"] = {{"byte", difference->byte},
                            {"recorded", difference->recorded},
                            {"replayed", difference->replayed}};
  }
  if (examined.asked) result["counterfactual"] = CounterfactualView(node, *examined.asked);
  return result;
}

std::string NodeTableText(const messages::PlacementVerdict& verdict) {
  Table table{{"NODE", "TIER", "SCORE", "LOCALITY", "PRESSURE", "ROOM", "IMAGE", "WHY"}, {}};
  for (const auto& node : verdict.nodes()) {
    if (table.rows.size() == kNodesShown) break;
    table.rows.push_back(
        {node.node(), node.tier(), node.passed() ? std::to_string(node.score()) : "no",
         std::to_string(node.locality_points()), std::to_string(node.pressure_points()),
         std::to_string(node.room_points()), std::to_string(node.image_points()),
         Join({node.reasons().begin(), node.reasons().end()}, "; ")});
  }
  return Indented(RenderTable(table));
}

std::string AnswerText(const std::string& node, const Counterfactual& asked) {
  if (asked.standing.wins) return "\nNothing would have had to change for " + node + ".\n";
  std::string text = "\nWhat would have changed it for " + node + ":\n";
  for (const Change& change : asked.changes) text += "  " + Printable(change.text) + "\n";
  return text;
}

std::string ToText(const Examined& examined, const std::string& node) {
  const auto& [recording, replay, difference, asked] = examined;
  const messages::PlacementVerdict& verdict = replay.verdict;
  std::string text = RenderTable(
      {{"pod", Printable(verdict.pod_namespace() + "/" + verdict.pod_name())},
       {{"call", verdict.verb() + " of " + std::to_string(verdict.nodes_offered()) + " nodes, " +
                     recording.time},
        {"recorded by", "longshore-extender " + recording.version},
        {"source", SourceOf(recording)},
        {"data", verdict.location()},
        {"reply", difference ? "DIFFERENT"
                             : "the same " + std::to_string(recording.reply.size()) + " bytes"}}});
  if (difference) {
    text += "\nThe first difference, around byte " + std::to_string(difference->byte) + ":\n" +
            Indented(RenderTable({{"recorded", Printable(difference->recorded)},
                                  {{"replayed", difference->replayed}}}));
  }
  for (const std::string& question : replay.unanswered) {
    text += Printable("This version looks at what was not recorded: " + question) + "\n";
  }
  if (verdict.nodes_size() > 0) text += "\nHow the nodes ranked:\n" + NodeTableText(verdict);
  if (asked) text += AnswerText(Printable(node), *asked);
  return text;
}

}  // namespace

int RunReplay(const ReplayOptions& options, std::ostream& out, std::ostream& err) {
  const auto examined = Examine(options);
  if (!examined.has_value()) {
    err << "longshore-extender: " << Printable(examined.error().message) << std::endl;
    return 2;
  }
  if (options.json) {
    const Json result = ToJson(*examined, options.node);
    out << result.dump(2, ' ', false, Json::error_handler_t::replace) << std::endl;
  } else {
    out << ToText(*examined, options.node) << std::flush;
  }
  return examined->difference ? 1 : 0;
}

}  // namespace longshore::extender
