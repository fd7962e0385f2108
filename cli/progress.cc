// SPDX-License-Identifier: Apache-2.0
#include "cli/progress.h"

#include <algorithm>
#include <map>
#include <ostream>
#include <set>
#include <utility>

#include "cli/fields.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

using std::chrono::seconds;

constexpr std::chrono::milliseconds kPoll{1000};
constexpr seconds kLineEvery{10};  // of a state that goes on, where lines are printed

// The part that is read or, of a restore under another name, written.
std::string What(const Json& operation) {
  std::string part = Text(operation, "/spec/target/part");
  if (part.empty()) part = Text(operation, "/spec/part");
  const std::string source = Text(operation, "/spec/sourceRef/name");
  return part.empty() ? source : source + "/" + part;
}

std::string Left(const Json& operation) {
  if (HasEnded(operation)) return "";
  const int64_t eta = Number(operation, "/status/progress/etaSeconds", -1);
  return eta < 0 ? "" : FormatSeconds(eta) + " left";
}

// What has been done: of an ended backup the copy's size, otherwise what is reported.
std::string Done(const Json& operation) {
  if (Text(operation, "/status/state") == "Succeeded") {
    const int64_t bytes = Number(operation, "/status/copy/bytes");
    return bytes > 0 ? FormatBytes(static_cast<double>(bytes)) : "";
  }
  return FormatDone(Number(operation, "/status/progress/bytesDone"),
                    Number(operation, "/status/progress/bytesTotal"));
}

std::string Rate(const Json& operation) {
  return HasEnded(operation) ? ""
                             : FormatRate(Number(operation, "/status/progress/bytesPerSecond"));
}

std::string PhaseOrError(const Json& operation) {
  const std::string failure = Text(operation, "/status/error/message");
  const std::string state = Text(operation, "/status/state");
  if (!failure.empty() && (state == "Failed" || state == "Interrupted")) {
    return Text(operation, "/status/error/class") + ": " + failure;
  }
  if (HasEnded(operation)) return Text(operation, "/status/copy/id");
  // What it waits for, or why it is tried again.
  if (state == "Queued") return Text(Condition(operation, "Succeeded"), "/message");
  const std::string phase = Text(operation, "/status/progress/phase");
  return phase == state ? "" : phase;  // "Committing, Committing" says it twice
}

class Screen {
 public:
  explicit Screen(Surroundings& io) : io_(io) {}

  void Show(const Json& operations) {
    away_ = false;
    if (io_.err_is_terminal) return Redraw(operations);
    for (const Json& operation : operations) Line(operation);
  }
  // Said once, until there is something to show again.
  void ShowThatNobodyAnswers(const Error& error) {
    if (std::exchange(away_, true)) return;
    io_.err << Printable("the controller does not answer (" + error.message + "); waiting for it")
            << std::endl;
    drawn_ = 0;  // the next table goes below
  }

 private:
  // The cursor goes back up over what was drawn last; lines are cut to one row each.
  void Redraw(const Json& operations) {
    if (drawn_ > 0) io_.err << "\x1b[" << drawn_ << "A\x1b[J";
    const std::string text = RenderTable(ProgressTable(operations));
    for (const std::string& line : Split(text.substr(0, text.size() - 1), '\n')) {
      io_.err << Shorten(line, 118) << "\n";
    }
    io_.err.flush();
    drawn_ = std::count(text.begin(), text.end(), '\n');
  }

  void Line(const Json& operation) {
    const MonotonicTime now = io_.clock.Monotonic();
    const std::string state = Text(operation, "/status/state") + PhaseOrError(operation);
    auto& last = last_[Text(operation, "/name")];
    const bool changed = last.state != state;
    const std::string line = ProgressLine(operation);
    if (!changed && (line == last.line || now - last.time < kLineEvery)) return;
    last = {state, line, now};
    io_.err << line << std::endl;
  }

  struct Last {
    std::string state, line;
    MonotonicTime time;
  };
  Surroundings& io_;
  long drawn_ = 0;
  bool away_ = false;
  std::map<std::string, Last> last_;
};

std::string LookAgain(const FollowOptions& options) {
  const bool one = options.names.size() == 1;
  return std::string(one ? "it goes on" : "they go on") +
         " without us; look again: longshore operations " +
         (one ? "get " + options.names.front() : "list") + " -n " + options.ns;
}

// Those of the namespace's operations that are followed, in the order they were given. Errors:
// kNotFound when one is gone.
Result<Json> ReadFollowed(ApiClient& api, const FollowOptions& options) {
  Json found = Json::array();
  if (options.names.size() <= 2) {
    for (const std::string& name : options.names) {
      LS_ASSIGN_OR_RETURN(Json operation,
                          api.Get("/v1/operations/" + options.ns + "/" + name, kOnce));
      found.push_back(std::move(operation));
    }
    return found;
  }
  LS_ASSIGN_OR_RETURN(const Json list,
                      api.Get(WithQuery("/v1/operations", {{"namespace", options.ns}}), kOnce));
  std::map<std::string, const Json*> by_name;
  for (const Json& item : Items(list)) by_name[Text(item, "/name")] = &item;
  for (const std::string& name : options.names) {
    const auto item = by_name.find(name);
    if (item == by_name.end()) return NotFound("operation " + options.ns + "/" + name + " is gone");
    found.push_back(*item->second);
  }
  return found;
}

}  // namespace

bool HasEnded(const Json& operation) {
  const std::string state = Text(operation, "/status/state");
  return state == "Succeeded" || state == "Failed" || state == "Cancelled";
}

Table ProgressTable(const Json& operations) {
  Table table{{"OPERATION", "WHAT", "STATE", "DETAIL", "DONE", "RATE", "LEFT", "POD"}, {}};
  for (const Json& operation : operations) {
    table.rows.push_back({Text(operation, "/name"), What(operation),
                          Text(operation, "/status/state"), Shorten(PhaseOrError(operation), 48),
                          Done(operation), Rate(operation), Left(operation),
                          Text(operation, "/status/pod")});
  }
  return table;
}

std::string ProgressLine(const Json& operation) {
  std::string line = What(operation) + ": " + Text(operation, "/status/state");
  std::vector<std::string> rest;
  for (const std::string& text :
       {PhaseOrError(operation), Done(operation), Rate(operation), Left(operation)}) {
    if (!text.empty()) rest.push_back(text);
  }
  if (!rest.empty()) line += ", " + Join(rest, ", ");
  return Printable(line);
}

std::string ProgressText(const Json& progress) {
  const int64_t eta = Number(progress, "/etaSeconds", -1);
  std::vector<std::string> texts;
  for (const std::string& text :
       {Text(progress, "/phase"),
        FormatDone(Number(progress, "/bytesDone"), Number(progress, "/bytesTotal")),
        FormatRate(Number(progress, "/bytesPerSecond")),
        eta < 0 ? std::string() : FormatSeconds(eta) + " left"}) {
    if (!text.empty()) texts.push_back(text);
  }
  return Join(texts, ", ");
}

Result<Json> Follow(Session& session, ApiClient& api, const FollowOptions& options) {
  const MonotonicTime start = session.io.clock.Monotonic();
  Screen screen(session.io);
  while (true) {
    auto operations = ReadFollowed(api, options);
    // A restart of the controller is no reason to stop following.
    if (!operations && !IsTransient(operations.error())) return operations.error();
    if (!operations) screen.ShowThatNobodyAnswers(operations.error());
    if (operations) {
      screen.Show(*operations);
      if (std::all_of(operations->begin(), operations->end(), HasEnded)) {
        return Json{{"items", *std::move(operations)}};
      }
    }
    const auto elapsed = session.io.clock.Monotonic() - start;
    if (options.timeout.count() > 0 && elapsed >= options.timeout) {
      if (!operations) return operations.error();
      return Error{Code::kDeadlineExceeded, "not done in time; " + LookAgain(options)};
    }
    if (!session.io.sleep(kPoll)) return Error{Code::kCancelled, LookAgain(options)};
  }
}

Status CheckSucceeded(const Json& operations) {
  const Json& items = Items(operations);
  std::vector<std::string> failures;
  for (const Json& operation : items) {
    if (Text(operation, "/status/state") == "Succeeded") continue;
    failures.push_back(Printable(ProgressLine(operation)));
  }
  if (failures.empty()) return {};
  return Internal(std::to_string(failures.size()) + " of " + std::to_string(items.size()) +
                  " operations did not succeed: " + Join(failures, "; "));
}

}  // namespace longshore::cli
