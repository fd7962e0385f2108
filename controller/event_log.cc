// SPDX-License-Identifier: Apache-2.0
#include "controller/event_log.h"

#include <algorithm>

#include "common/base/strings.h"

namespace longshore::controller {
namespace {

// How often a waiting reader looks whether its server stops.
constexpr std::chrono::milliseconds kStopCheck{200};

struct Cursor {
  std::string log_id;
  uint64_t revision = 0;  // the last one that its holder has seen
};

std::string FormatCursor(const std::string& log_id, uint64_t revision) {
  return log_id + "-" + std::to_string(revision);
}

Result<Cursor> ParseCursor(const std::string& text) {
  const size_t dash = text.find('-');
  if (dash == std::string::npos) return InvalidArgument("cursor: not one of this API's cursors");
  const auto revision = ParseInt(std::string_view(text).substr(dash + 1));
  if (!revision || *revision < 0) return InvalidArgument("cursor: not one of this API's cursors");
  return Cursor{text.substr(0, dash), static_cast<uint64_t>(*revision)};
}

}  // namespace

EventLog::EventLog(const Clock& clock, size_t capacity)
    : clock_(clock), capacity_(capacity), log_id_(RandomId(8)) {}

void EventLog::Append(std::string type, std::string ns, std::string request, std::string source,
                      api::Json data) {
  Announcement made;
  made.time = FormatTime(clock_.Now());
  made.type = std::move(type);
  made.ns = std::move(ns);
  made.request = std::move(request);
  made.source = std::move(source);
  made.data = std::move(data);
  {
    MutexLock lock(mutex_);
    made.revision = next_revision_++;
    kept_.push_back(std::move(made));
    while (kept_.size() > capacity_) kept_.pop_front();
  }
  appended_.notify_all();
}

Result<EventLog::Page> EventLog::Read(const std::string& cursor, std::chrono::milliseconds wait,
                                      const std::function<bool()>& stopping) const {
  const MonotonicTime deadline = clock_.Monotonic() + wait;
  uint64_t after = 0;
  MutexLock lock(mutex_);
  const uint64_t oldest = kept_.empty() ? next_revision_ : kept_.front().revision;
  if (cursor.empty()) {
    after = oldest - 1;
  } else if (cursor == "now") {
    after = next_revision_ - 1;
  } else {
    LS_ASSIGN_OR_RETURN(const Cursor parsed, ParseCursor(cursor));
    if (parsed.log_id != log_id_ || parsed.revision + 1 < oldest) {
      return Error{Code::kGone, "cursor: too old; list the objects again and start from now"};
    }
    if (parsed.revision >= next_revision_) {
      return InvalidArgument("cursor: not one of this API's cursors");
    }
    after = parsed.revision;
  }
  while (next_revision_ == after + 1) {
    const MonotonicTime now = clock_.Monotonic();
    if (now >= deadline || (stopping && stopping())) break;
    appended_.wait_for(mutex_, std::min<std::chrono::nanoseconds>(kStopCheck, deadline - now));
  }
  Page page;
  const auto first = std::find_if(kept_.begin(), kept_.end(),
                                  [&](const Announcement& a) { return a.revision > after; });
  page.announcements.assign(first, kept_.end());
  page.cursor = FormatCursor(log_id_, next_revision_ - 1);
  return page;
}

}  // namespace longshore::controller
