// SPDX-License-Identifier: Apache-2.0
#include "controller/event_log.h"

#include <algorithm>

#include "common/base/strings.h"

namespace longshore::controller {
namespace {

// Revisions of one leader: a year of 500 in a second, which is the most progress that is told (32
// bits would be full in 99 days), and with half a million leaders as much as JSON's numbers hold.
constexpr int kTermBits = 34;
constexpr int64_t kLastTerm = (int64_t{1} << 19) - 1;

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

void EventLog::BeginTerm(int64_t epoch) {
  MutexLock lock(mutex_);
  LS_CHECK(kept_.empty());
  lost_ = static_cast<uint64_t>(std::clamp<int64_t>(epoch, 0, kLastTerm)) << kTermBits;
  next_revision_ = lost_ + 1;
}

void EventLog::Append(std::string type, std::string ns, std::string request, std::string source,
                      api::Json data) {
  {
    MutexLock lock(mutex_);
    Add({{0, "", std::move(type), std::move(ns), std::move(request), std::move(source),
          std::move(data)},
         ""});
  }
  changed_.notify_all();
}

void EventLog::AppendLatest(const std::string& key, std::string type, std::string ns,
                            std::string request, std::string source, api::Json data) {
  {
    MutexLock lock(mutex_);
    if (const auto last = latest_.find(key); last != latest_.end()) {
      const auto kept = std::lower_bound(
          kept_.begin(), kept_.end(), last->second,
          [](const Kept& k, uint64_t revision) { return k.announcement.revision < revision; });
      if (kept->announcement.data == data) return;
      kept_.erase(kept);
    }
    latest_[key] = next_revision_;
    Add({{0, "", std::move(type), std::move(ns), std::move(request), std::move(source),
          std::move(data)},
         key});
  }
  changed_.notify_all();
}

void EventLog::Add(Kept made) {
  made.announcement.revision = next_revision_++;
  made.announcement.time = FormatTime(clock_.Now());
  ++counts_[made.announcement.type];
  kept_.push_back(std::move(made));
  while (kept_.size() > capacity_) {
    lost_ = kept_.front().announcement.revision;
    if (!kept_.front().key.empty()) latest_.erase(kept_.front().key);
    kept_.pop_front();
  }
}

std::map<std::string, uint64_t> EventLog::appended() const {
  MutexLock lock(mutex_);
  return counts_;
}

Result<EventLog::Page> EventLog::Read(const std::string& cursor, std::chrono::milliseconds wait,
                                      const std::function<bool()>& stopping) const {
  const MonotonicTime deadline = clock_.Monotonic() + wait;
  uint64_t after = 0;
  MutexLock lock(mutex_);
  if (cursor.empty()) {
    after = lost_;
  } else if (cursor == "now") {
    after = next_revision_ - 1;
  } else {
    LS_ASSIGN_OR_RETURN(const Cursor parsed, ParseCursor(cursor));
    if (parsed.log_id != log_id_ || parsed.revision < lost_) {
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
    changed_.wait_for(mutex_, std::min<std::chrono::nanoseconds>(kStopCheck, deadline - now));
  }
  Page page;
  for (const Kept& kept : kept_) {
    if (kept.announcement.revision > after) page.announcements.push_back(kept.announcement);
  }
  page.cursor = FormatCursor(log_id_, next_revision_ - 1);
  return page;
}

}  // namespace longshore::controller
