// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/events: announcements after a cursor, as one JSON page (waiting for it, if asked) or as
// server-sent events. Callers get what happened in the namespaces where they may list
// computerequests; what they may not see moves their cursor, nothing else.
#include <algorithm>
#include <map>
#include <optional>

#include "controller/api/objects.h"
#include "controller/api/view.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr seconds kKeepAlive{15};       // a comment, so that proxies don't close the stream
constexpr seconds kLongestStream{600};  // then the client reconnects with its last id

Json EventView(const Announcement& event) {
  return {{"revision", event.revision}, {"time", event.time},       {"type", event.type},
          {"namespace", event.ns},      {"request", event.request}, {"source", event.source},
          {"data", event.data}};
}

kube::Access ListRequestsIn(const std::string& ns) {
  return {.verb = "list", .ns = ns, .resource = kube::kComputeRequests};
}

// What this caller may see. Errors only when the API server can't be asked.
class Filter {
 public:
  Filter(ApiContext& api, const Caller& caller, std::string ns)
      : api_(api), caller_(caller), ns_(std::move(ns)) {}

  Result<bool> Visible(const Announcement& event) {
    if (!ns_.empty() && event.ns != ns_) return false;
    if (const auto known = decided_.find(event.ns); known != decided_.end()) return known->second;
    Status allowed = api_.auth.Allow(caller_, ListRequestsIn(""));
    if (!allowed && allowed.error().code == Code::kPermissionDenied) {
      allowed = api_.auth.Allow(caller_, ListRequestsIn(event.ns));
    }
    if (!allowed && allowed.error().code != Code::kPermissionDenied) return allowed.error();
    return decided_[event.ns] = allowed.has_value();
  }

 private:
  ApiContext& api_;
  const Caller& caller_;
  const std::string ns_;
  std::map<std::string, bool> decided_;
};

struct Page {
  std::vector<Json> events;
  std::string cursor;
};

// The next page with something visible in it, or what there is when `until` has come.
Result<Page> ReadVisible(ApiContext& api, const Caller& caller, const std::string& ns,
                         const std::string& after, MonotonicTime until) {
  Page page{{}, after};
  const auto stopping = [&] { return api.pods_changed.closed(); };
  while (true) {
    const auto left = std::chrono::duration_cast<milliseconds>(until - api.clock.Monotonic());
    // Slices of a second: the server's stop must not wait for the caller's patience.
    const auto wait = std::clamp(left, milliseconds(0), milliseconds(1000));
    LS_ASSIGN_OR_RETURN(const EventLog::Page read, api.events.Read(page.cursor, wait, stopping));
    page.cursor = read.cursor;
    Filter filter(api, caller, ns);  // rights are looked at anew for each page
    for (const Announcement& event : read.announcements) {
      LS_ASSIGN_OR_RETURN(const bool visible, filter.Visible(event));
      if (visible) page.events.push_back(EventView(event));
    }
    if (!page.events.empty() || left.count() <= 0 || stopping()) return page;
  }
}

// One event of text/event-stream; the cursor stands at the last one of its page, so a client that
// was cut off in between gets the page again: at least once.
std::string SseEvent(const Json& event, const std::string& cursor) {
  std::string text = "event: " + event.at("type").get<std::string>() + "\n";
  if (!cursor.empty()) text += "id: " + cursor + "\n";
  return text + "data: " + event.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n\n";
}

bool WritePage(const http::StreamWriter& write, const Page& page) {
  for (size_t i = 0; i < page.events.size(); ++i) {
    const bool last = i + 1 == page.events.size();
    if (!write(SseEvent(page.events[i], last ? page.cursor : ""))) return false;
  }
  return true;
}

// Runs on the connection's thread until the client goes, the token or the right to list ends, or
// the server stops.
void StreamEvents(ApiContext& api, const http::Request& request, const std::string& ns, Page page,
                  const http::StreamWriter& write, const std::function<bool()>& stopping) {
  const MonotonicTime end = api.clock.Monotonic() + kLongestStream;
  MonotonicTime last_write = api.clock.Monotonic();
  if (!write(": longshore events\n\n") || !WritePage(write, page)) return;
  while (!stopping() && !api.pods_changed.closed() && api.clock.Monotonic() < end) {
    const Result<Caller> caller = api.auth.Authenticate(request);
    if (!caller) return;
    Result<Page> next =
        ReadVisible(api, *caller, ns, page.cursor, api.clock.Monotonic() + milliseconds(900));
    if (!next) {
      write("event: Problem\ndata: " + Json{{"detail", next.error().ToString()}}.dump() + "\n\n");
      return;
    }
    page = std::move(*next);
    const MonotonicTime now = api.clock.Monotonic();
    if (!page.events.empty()) {
      if (!WritePage(write, page)) return;
      last_write = now;
    } else if (now - last_write >= kKeepAlive) {
      if (!write("id: " + page.cursor + "\n: keep-alive\n\n")) return;
      last_write = now;
    }
  }
}

http::Response EventStream(ApiContext& api, const http::Request& request, std::string ns,
                           Page first, WaitSlots::Ticket ticket) {
  http::Response response;
  response.content_type = "text/event-stream";
  response.headers["Cache-Control"] = "no-store";
  const auto held = std::make_shared<WaitSlots::Ticket>(std::move(ticket));
  response.stream = [&api, request, ns = std::move(ns), first = std::move(first), held](
                        const http::StreamWriter& write, const std::function<bool()>& stopping) {
    StreamEvents(api, request, ns, first, write, stopping);
  };
  return response;
}

}  // namespace

Result<http::Response> ReadEvents(ApiContext& api, const Caller& caller,
                                  const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {"after", "wait", "namespace"}));
  LS_ASSIGN_OR_RETURN(const std::string ns, QueryNamespace(request));
  LS_ASSIGN_OR_RETURN(const int64_t wait, QueryInt(request, "wait", 0, 0, 60));
  if (!ns.empty()) LS_RETURN_IF_ERROR(api.auth.Allow(caller, ListRequestsIn(ns)));
  const bool stream = request.Header("accept").find("text/event-stream") != std::string::npos;
  std::string after = request.Query("after");
  if (stream && after.empty()) after = request.Header("last-event-id");
  if (after.size() > 200) return InvalidArgument("query parameter after: is not a cursor of ours");

  std::optional<WaitSlots::Ticket> ticket;
  if (stream || wait > 0) ticket.emplace(api.waits.TryEnter(caller.username));
  if (ticket && !*ticket) {
    return Error{Code::kUnavailable, "too many callers are waiting", milliseconds(1000)};
  }
  // The first page is read before the status line goes out, so that a bad cursor gets its 410.
  const MonotonicTime until = api.clock.Monotonic() + (stream ? seconds(0) : seconds(wait));
  LS_ASSIGN_OR_RETURN(Page page, ReadVisible(api, caller, ns, after, until));
  if (stream) return EventStream(api, request, ns, std::move(page), *std::move(ticket));
  return JsonResponse({{"events", std::move(page.events)}, {"cursor", page.cursor}});
}

}  // namespace longshore::controller
