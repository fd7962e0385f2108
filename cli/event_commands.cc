// SPDX-License-Identifier: Apache-2.0
//
// longshore events: what the storage manager is told, as it is told.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <ostream>

#include "cli/fields.h"
#include "cli/progress.h"
#include "cli/session.h"
#include "cli/watch_frame.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

struct EventFlags {
  std::string after, wait = "0";
  bool follow = false;
};

// What people want to know of a value that is an object; others as they are.
std::string ValueText(const std::string& name, const Json& value) {
  if (name == "progress") return ProgressText(value);
  if (name == "copy") return Text(value, "/id");
  if (name == "error") return Text(value, "/class") + ": " + Text(value, "/message");
  if (name == "inputs") {
    return Text(value, "/pod") + " " + Text(value, "/signal") + " " + Text(value, "/value") +
           " (threshold " + Text(value, "/threshold") + ", " + Text(value, "/samples") +
           " samples)";
  }
  if (name == "candidates") return Text(value, "/name") + " " + Text(value, "/pods");
  if (name == "limit") return Text(value, "/reason");
  return value.is_string() ? value.get<std::string>() : value.dump();
}

// {"pods":["a","b"],"cause":"Requested"} as "cause=Requested pods=a,b"; long values are cut, and a
// time of their own is left out: the event's is beside it.
std::string Details(const Json& data) {
  std::vector<std::string> words;
  if (!data.is_object()) return "";
  for (const auto& [name, value] : data.items()) {
    if (name == "time") continue;
    std::vector<std::string> texts;
    if (value.is_array()) {
      for (const Json& item : value) texts.push_back(ValueText(name, item));
    } else {
      texts.push_back(ValueText(name, value));
    }
    const std::string text = Join(texts, ",");
    if (!text.empty()) words.push_back(name + "=" + Shorten(text, 100));
  }
  return Join(words, " ");
}

Table EventTable(const Json& events) {
  Table table{{"TIME", "TYPE", "REQUEST", "SOURCE", "DETAILS"}, {}};
  for (const Json& event : events) {
    table.rows.push_back({Text(event, "/time").substr(0, 23), Text(event, "/type"),
                          Text(event, "/request"), Text(event, "/source"),
                          Details(At(event, "/data"))});
  }
  return table;
}

// While following: JSON is one event a line, for people one line without a header each time.
void PrintNew(Session& session, const Json& page) {
  for (const Json& event : Items(page, "/events")) {
    if (session.json()) {
      session.io.out << event.dump(-1, ' ', false, Json::error_handler_t::replace) << "\n";
      continue;
    }
    session.io.out << EventLine(event) << "\n";
  }
  session.io.out.flush();
}

Result<Json> ReadPage(Session& session, ApiClient& api, const std::string& after,
                      std::chrono::seconds wait, std::chrono::seconds patience = kPatience) {
  LS_ASSIGN_OR_RETURN(const std::string ns, session.ListNamespace());
  auto page = api.Get(
      WithQuery("/v1/events",
                {{"namespace", ns}, {"after", after}, {"wait", std::to_string(wait.count())}}),
      patience);
  if (!page && page.error().code == Code::kGone) {
    return Error{Code::kGone,
                 "the cursor is too old, events after it are lost: list requests, pods "
                 "and operations, and go on with --after now"};
  }
  return page;
}

Status FollowEvents(Session& session, ApiClient& api, std::string after) {
  bool answered = false;  // before that it may be no server of ours
  while (true) {
    const auto page = ReadPage(session, api, after, kLongestWait, answered ? kOnce : kPatience);
    if (page) {
      PrintNew(session, *page);
      after = Text(*page, "/cursor");
      answered = true;
    } else if (!answered || !IsTransient(page.error())) {
      return page.error();
    }
    const auto pause = std::chrono::milliseconds(page ? 0 : 1000);
    if (!session.io.sleep(pause)) {
      return Error{Code::kCancelled, "go on with: longshore events --follow --after " + after};
    }
  }
}

Status Events(Session& session, const EventFlags& flags) {
  LS_ASSIGN_OR_RETURN(const int64_t wait, ParseSeconds(flags.wait));
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  if (flags.follow) return FollowEvents(session, *api, flags.after);
  Json page = {{"cursor", flags.after}};
  std::chrono::seconds left(wait);
  do {
    const auto piece = std::min(left, kLongestWait);
    LS_ASSIGN_OR_RETURN(page, ReadPage(session, *api, Text(page, "/cursor"), piece));
    left -= piece;
  } while (Items(page, "/events").empty() && left.count() > 0);
  if (session.json()) {
    session.io.out << page.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
  } else {
    if (Items(page, "/events").empty()) {
      session.io.err << "no events\n";
    } else {
      session.io.out << RenderTable(EventTable(Items(page, "/events")));
    }
    session.io.err << "go on with --after " << Printable(Text(page, "/cursor")) << "\n";
  }
  return {};
}

}  // namespace

std::string EventLine(const Json& event) {
  return Printable(Join(EventTable(Json::array({event})).rows.front(), "  "));
}

void AddEventCommands(CLI::App& app, Session& session) {
  const auto flags = std::make_shared<EventFlags>();
  auto* events = app.add_subcommand("events", "What happened, in order");
  events->add_option("--after", flags->after,
                     "Only after this cursor; now: only what comes (default: all that is kept)");
  events->add_option("--wait", flags->wait, "Wait so long for the first event");
  events->add_flag("-f,--follow", flags->follow, "Go on until interrupted; -o json: one a line");
  events->callback([&session, flags] {
    session.action = [&session, flags] { return Events(session, *flags); };
  });
}

}  // namespace longshore::cli
