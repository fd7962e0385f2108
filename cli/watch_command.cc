// SPDX-License-Identifier: Apache-2.0
//
// longshore watch: the crews, their load beside the thresholds, what they work on and what is
// decided, as it happens. A page that is redrawn on a terminal; elsewhere a page for each change.
#include <CLI/CLI.hpp>
#include <ostream>

#include "cli/session.h"
#include "cli/watch_frame.h"
#include "common/base/strings.h"

namespace longshore::cli {
namespace {

constexpr std::chrono::milliseconds kEvery{1000};
constexpr size_t kEventsKept = 200;
constexpr size_t kMostScalings = 50;  // requests whose load is asked for, one call each

struct WatchFlags {
  std::string request;
  bool once = false;
};

bool Of(const Json& item, const std::string& request) {
  return request.empty() || Text(item, "/request") == request ||
         Text(item, "/spec/requestRef/name") == request;
}

class Watcher {
 public:
  Watcher(Session& session, ApiClient& api, std::string ns, std::string request,
          std::chrono::seconds patience)
      : session_(session),
        api_(api),
        ns_(std::move(ns)),
        request_(std::move(request)),
        patience_(patience) {}

  // Reads all anew. What is away for now leaves the last scene, and says so in it.
  Status Look() {
    const auto read = ReadAll();
    scene_.time = FormatTime(session_.io.clock.Now());
    if (!read && !IsTransient(read.error())) return read.error();
    scene_.trouble = read ? "" : read.error().message;
    return {};
  }
  const Scene& scene() const { return scene_; }
  // As one line of JSON, with the events since the last.
  std::string Line() {
    const Json line = {
        {"time", scene_.time},       {"requests", scene_.requests},
        {"pods", scene_.pods},       {"operations", scene_.operations},
        {"scaling", scene_.scaling}, {"events", std::exchange(fresh_, Json::array())},
        {"trouble", scene_.trouble}};
    return line.dump(-1, ' ', false, Json::error_handler_t::replace);
  }

 private:
  Result<Json> Get(const std::string& path) { return api_.Get(path, patience_); }
  // The items of a list that belong to the request.
  Result<Json> Read(const std::string& path, const std::function<bool(const Json&)>& wanted) {
    LS_ASSIGN_OR_RETURN(const Json list, Get(WithQuery(path, {{"namespace", ns_}})));
    Json kept = Json::array();
    for (const Json& item : Items(list)) {
      if (wanted(item)) kept.push_back(item);
    }
    return kept;
  }
  Status ReadAll() {
    LS_ASSIGN_OR_RETURN(Json requests, Read("/v1/requests", [&](const Json& item) {
                          return request_.empty() || Text(item, "/name") == request_;
                        }));
    if (!request_.empty() && requests.empty()) {
      return NotFound("there is no request " + request_ + " in namespace " + ns_ +
                      "; longshore request list shows those that there are");
    }
    const auto of = [&](const Json& item) { return Of(item, request_); };
    LS_ASSIGN_OR_RETURN(Json pods, Read("/v1/pods", of));
    LS_ASSIGN_OR_RETURN(Json operations, Read("/v1/operations", [&](const Json& item) {
                          return of(item) && Text(item, "/status/completionTime").empty();
                        }));
    Json scaling = Json::array();
    for (const Json& request : requests) {
      if (scaling.size() == kMostScalings) break;
      auto one = Get(RequestPath(Text(request, "/namespace"), Text(request, "/name")) + "/scaling");
      if (one) {
        scaling.push_back(*std::move(one));
      } else if (one.error().code != Code::kNotFound) {  // it may have gone since it was listed
        return one.error();
      }
    }
    LS_RETURN_IF_ERROR(ReadEvents());
    scene_.requests = std::move(requests);
    scene_.pods = std::move(pods);
    scene_.operations = std::move(operations);
    scene_.scaling = std::move(scaling);
    return {};
  }

  // A new leader begins a new log; the old cursor is then gone, and the new one is read from its
  // start.
  Status ReadEvents() {
    auto page = Get(WithQuery("/v1/events", {{"namespace", ns_}, {"after", cursor_}}));
    if (!page && page.error().code == Code::kGone) {
      cursor_.clear();
      page = Get(WithQuery("/v1/events", {{"namespace", ns_}}));
    }
    if (!page) return page.error();
    cursor_ = Text(*page, "/cursor");
    for (const Json& event : Items(*page, "/events")) {
      if (!Of(event, request_) || Text(event, "/type") == "OperationProgress") continue;
      scene_.events.push_back(event);
      fresh_.push_back(event);
    }
    while (scene_.events.size() > kEventsKept) scene_.events.erase(scene_.events.begin());
    return {};
  }

  Session& session_;
  ApiClient& api_;
  const std::string ns_, request_;
  const std::chrono::seconds patience_;
  std::string cursor_;
  Scene scene_;
  Json fresh_ = Json::array();
};

// A terminal's second page with the cursor out of the way; the first one is as it was afterwards.
class Page {
 public:
  explicit Page(Surroundings& io) : io_(io), drawn_(io.out_is_terminal) {
    if (drawn_) io_.out << "\x1b[?1049h\x1b[?25l";
  }
  ~Page() {
    if (drawn_) io_.out << "\x1b[?25h\x1b[?1049l" << std::flush;
  }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;

  void Show(const Scene& scene) {
    if (drawn_) {
      const auto [columns, rows] = io_.terminal_size();
      io_.out << "\x1b[H";
      for (const std::string& line : RenderFrame(scene, {columns, rows})) {
        io_.out << line << "\x1b[K\r\n";
      }
      io_.out << "\x1b[J" << std::flush;
      return;
    }
    std::vector<std::string> lines = RenderFrame(scene, {});
    const std::vector<std::string> body(lines.begin() + 1, lines.end());  // the clock is no news
    if (body == last_) return;
    io_.out << (last_.empty() ? "" : "\n") << Join(lines, "\n") << std::endl;
    last_ = body;
  }

 private:
  Surroundings& io_;
  const bool drawn_;
  std::vector<std::string> last_;
};

Status Watch(Session& session, const WatchFlags& flags) {
  LS_ASSIGN_OR_RETURN(ApiClient* const api, session.Api());
  LS_ASSIGN_OR_RETURN(std::string ns, session.ListNamespace());
  std::string name;
  if (!flags.request.empty()) {
    LS_ASSIGN_OR_RETURN(const auto parsed, session.ParseName(flags.request));
    ns = parsed.ns;
    name = parsed.name;
  }
  // A page that is drawn again says by itself what is away.
  Watcher watcher(session, *api, ns, name, flags.once ? kPatience : kOnce);
  LS_RETURN_IF_ERROR(watcher.Look());
  if (flags.once && !session.json()) {
    if (!watcher.scene().trouble.empty()) return Unavailable(watcher.scene().trouble);
    session.io.out << Join(RenderFrame(watcher.scene(), {}), "\n") << std::endl;
    return {};
  }
  if (session.json()) {
    do {
      session.io.out << watcher.Line() << std::endl;
      if (flags.once) return {};
      if (!session.io.sleep(kEvery)) return {};
      LS_RETURN_IF_ERROR(watcher.Look());
    } while (session.io.out);
    return {};
  }
  Page page(session.io);
  do {
    page.Show(watcher.scene());
    if (!session.io.sleep(kEvery)) return {};  // Ctrl-C is how it ends
    LS_RETURN_IF_ERROR(watcher.Look());
  } while (session.io.out);
  return {};
}

}  // namespace

void AddWatchCommand(CLI::App& app, Session& session) {
  const auto flags = std::make_shared<WatchFlags>();
  auto* watch = app.add_subcommand(
      "watch", "Crews, their load beside thresholds, their work and each decision, live");
  watch->add_option("request", flags->request, "Only this ComputeRequest");
  watch->add_flag("--once", flags->once, "One page, then end");
  watch->callback(
      [&session, flags] { session.action = [&session, flags] { return Watch(session, *flags); }; });
}

}  // namespace longshore::cli
