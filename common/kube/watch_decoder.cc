// SPDX-License-Identifier: Apache-2.0
#include "common/kube/watch_decoder.h"

#include <map>
#include <optional>

#include "common/base/log.h"
#include "common/base/strings.h"

namespace longshore::kube {
namespace {

using api::Json;

// Empty: an event of a type that we don't know.
Result<std::optional<WatchEvent>> ParseEvent(std::string_view line) {
  static const std::map<std::string, WatchEventType, std::less<>> kTypes = {
      {"ADDED", WatchEventType::kAdded},
      {"MODIFIED", WatchEventType::kModified},
      {"DELETED", WatchEventType::kDeleted},
      {"BOOKMARK", WatchEventType::kBookmark},
      {"ERROR", WatchEventType::kError}};
  Result<Json> json = api::ParseJson(line);
  if (!json.has_value()) return Error{Code::kDataLoss, "watch event: " + json.error().message};
  const bool is_event = json->is_object() && json->contains("type") &&
                        (*json)["type"].is_string() && json->contains("object") &&
                        (*json)["object"].is_object();
  if (!is_event) return Error{Code::kDataLoss, "watch event: neither type nor object"};
  const auto type = kTypes.find((*json)["type"].get_ref<const std::string&>());
  if (type == kTypes.end()) return std::optional<WatchEvent>();
  return std::optional<WatchEvent>(WatchEvent{type->second, std::move((*json)["object"])});
}

}  // namespace

Status WatchDecoder::Feed(std::string_view piece, const std::function<bool(WatchEvent)>& on_event) {
  while (!piece.empty()) {
    const size_t newline = piece.find('\n');
    const std::string_view part = piece.substr(0, newline);
    if (pending_.size() + part.size() > max_line_bytes_) {
      return Error{Code::kDataLoss,
                   "watch event: longer than " + std::to_string(max_line_bytes_) + " bytes"};
    }
    pending_ += part;
    if (newline == std::string_view::npos) return {};
    piece.remove_prefix(newline + 1);
    const std::string line = std::exchange(pending_, {});
    if (Trim(line).empty()) continue;
    LS_ASSIGN_OR_RETURN(std::optional<WatchEvent> event, ParseEvent(line));
    if (!event.has_value()) {
      LogDebug("watch event of an unknown type", {});
    } else if (!on_event(*std::move(event))) {
      return {};
    }
  }
  return {};
}

}  // namespace longshore::kube
