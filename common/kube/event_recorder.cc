// SPDX-License-Identifier: Apache-2.0
#include "common/kube/event_recorder.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <deque>
#include <iterator>
#include <map>
#include <optional>
#include <thread>

#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/strings.h"
#include "common/kube/errors.h"
#include "common/kube/informer.h"
#include "common/kube/transport.h"

namespace longshore::kube {
namespace {

using std::chrono::steady_clock;

constexpr size_t kMaxQueued = 1000;
constexpr size_t kMaxSeries = 4096;
// Of one reason on one object at a time: further ones share a series, lest a note that counts make
// an Event each time (client-go's EventAggregator does the same).
constexpr std::ptrdiff_t kMaxNotes = 10;
constexpr size_t kMaxNoteBytes = 1024;  // the API's own limit
constexpr std::chrono::minutes kSeriesSpan{10};
constexpr std::chrono::seconds kSeriesInterval{10};  // at most one write of a series in so long
constexpr std::chrono::seconds kGoodbye{1};
constexpr std::chrono::seconds kTick{1};
constexpr std::chrono::seconds kComplainInterval{60};

struct Occurrence {
  Json regarding;  // an ObjectReference
  std::string type, reason, action, note;
  std::string time;  // RFC 3339 with microseconds

  // Of all notes; each one's own series has the note behind it.
  std::string Key() const {
    std::string key = std::string(StringAt(regarding, "/uid")) + '\n';
    for (const std::string& part : {type, reason, action}) (key += part) += '\n';
    return key;
  }
};

struct Series {
  std::string ns, name;  // of the Event object
  int64_t count = 1;
  std::string last_time;
  bool dirty = false;
  steady_clock::time_point last_seen, written;
};

Json ReferenceTo(const Json& object) {
  Json reference = Json::object();
  const std::pair<const char*, const char*> fields[] = {
      {"apiVersion", "/apiVersion"},
      {"kind", "/kind"},
      {"namespace", "/metadata/namespace"},
      {"name", "/metadata/name"},
      {"uid", "/metadata/uid"},
      {"resourceVersion", "/metadata/resourceVersion"}};
  for (const auto& [field, pointer] : fields) {
    const std::string_view value = StringAt(object, pointer);
    if (!value.empty()) reference[field] = value;
  }
  return reference;
}

// Cut between characters: the API refuses broken UTF-8.
std::string Shortened(const std::string& note) {
  if (note.size() <= kMaxNoteBytes) return note;
  size_t end = kMaxNoteBytes - 3;
  while (end > 0 && (static_cast<unsigned char>(note[end]) & 0xC0) == 0x80) --end;
  return note.substr(0, end) + "...";
}

}  // namespace

class EventRecorder::Impl {
 public:
  Impl(Client& client, std::string controller, std::string instance)
      : controller_(std::move(controller)), instance_(std::move(instance)) {
    // Connections of its own: events never hold up a call that matters, and can be cut off.
    auto transport = Transport::Create(client.config(), client.user_agent(), {.connections = 1});
    if (transport.has_value()) transport_ = *std::move(transport);
    thread_ = std::thread([this] { Run(); });
  }

  ~Impl() {
    const bool through = WaitUntilSent();
    if (!through && transport_ != nullptr) transport_->Cancel();
    thread_.join();
  }

  void Record(Occurrence occurrence) {
    MutexLock lock(mutex_);
    if (queue_.size() >= kMaxQueued || stopping_) {
      ++dropped_;
      return;
    }
    queue_.push_back(std::move(occurrence));
    changed_.notify_all();
  }

  int64_t dropped() {
    MutexLock lock(mutex_);
    return dropped_;
  }

 private:
  void Run() {
    pthread_setname_np(pthread_self(), "ls-events");
    for (;;) {
      const std::optional<Occurrence> next = Next();
      if (next.has_value()) {
        Take(*next);
        continue;
      }
      const bool last = stopping();
      WriteSeries(/*all=*/last);
      if (last) break;
    }
    MutexLock lock(mutex_);
    finished_ = true;
    changed_.notify_all();
  }

  // Asks the thread to end and gives it a while for what is queued; false when it needs longer.
  bool WaitUntilSent() {
    const auto end = steady_clock::now() + kGoodbye;
    MutexLock lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
    while (!finished_ && steady_clock::now() < end) changed_.wait_until(mutex_, end);
    return finished_;
  }

  // The next occurrence; empty after a tick without one, or at the end.
  std::optional<Occurrence> Next() {
    const auto end = steady_clock::now() + kTick;
    MutexLock lock(mutex_);
    while (queue_.empty() && !stopping_ && steady_clock::now() < end) {
      changed_.wait_until(mutex_, end);
    }
    if (queue_.empty()) return std::nullopt;
    Occurrence next = std::move(queue_.front());
    queue_.pop_front();
    return next;
  }

  bool stopping() {
    MutexLock lock(mutex_);
    return stopping_;
  }

  void Take(const Occurrence& occurrence) {
    const std::string shared = occurrence.Key(), own = shared + Shortened(occurrence.note);
    const bool of_many = !series_.contains(own) && HasManyNotes(shared);
    const std::string& key = of_many ? shared : own;
    const steady_clock::time_point now = steady_clock::now();
    const auto found = series_.find(key);
    if (found != series_.end() && now - found->second.last_seen < kSeriesSpan) {
      Series& series = found->second;
      ++series.count;
      series.last_time = occurrence.time;
      series.last_seen = now;
      series.dirty = true;
      WriteOne(series, /*now=*/false);
      return;
    }
    Series series;
    series.ns = StringAt(occurrence.regarding, "/namespace");
    if (series.ns.empty()) series.ns = "default";  // where events of cluster-wide objects live
    series.name = std::string(StringAt(occurrence.regarding, "/name")) + "." + RandomId(12);
    series.last_seen = series.written = now;
    if (!Create(occurrence, of_many ? "several, such as: " : "", series)) return;
    if (series_.size() >= kMaxSeries) WriteSeries(/*all=*/true);
    if (series_.size() >= kMaxSeries) series_.clear();
    series_[key] = std::move(series);
  }

  bool HasManyNotes(const std::string& shared) const {
    const auto first = series_.lower_bound(shared);
    const auto last = std::find_if(first, series_.end(), [&](const auto& series) {
      return !series.first.starts_with(shared);
    });
    return std::distance(first, last) >= kMaxNotes;
  }

  bool Create(const Occurrence& occurrence, const char* before_note, const Series& series) {
    Json event = {{"apiVersion", "events.k8s.io/v1"},
                  {"kind", "Event"},
                  {"metadata", {{"namespace", series.ns}, {"name", series.name}}},
                  {"eventTime", occurrence.time},
                  {"type", occurrence.type},
                  {"reason", occurrence.reason},
                  {"action", occurrence.action},
                  {"note", Shortened(before_note + occurrence.note)},
                  {"regarding", occurrence.regarding},
                  {"reportingController", controller_},
                  {"reportingInstance", instance_}};
    return Send("POST", ResourcePath(kEvents, series.ns), "application/json", event).has_value();
  }

  // Writes series that are due and forgets those that are over.
  void WriteSeries(bool all) {
    const steady_clock::time_point now = steady_clock::now();
    for (auto at = series_.begin(); at != series_.end();) {
      const bool over = now - at->second.last_seen >= kSeriesSpan;
      WriteOne(at->second, all || over);
      at = over ? series_.erase(at) : std::next(at);
    }
  }

  void WriteOne(Series& series, bool now) {
    const steady_clock::time_point time = steady_clock::now();
    if (!series.dirty || (!now && time - series.written < kSeriesInterval)) return;
    series.dirty = false;
    series.written = time;
    const Json patch = {
        {"series", {{"count", series.count}, {"lastObservedTime", series.last_time}}}};
    const Status sent = Send("PATCH", ResourcePath(kEvents, series.ns, series.name),
                             "application/merge-patch+json", patch);
    // Events expire: the next occurrence then begins a new one.
    if (!sent.has_value() && sent.error().code == Code::kNotFound) {
      series.last_seen = time - kSeriesSpan;
    }
  }

  Status Send(const char* method, const std::string& path, const char* content_type,
              const Json& body) {
    http::ClientRequest request;
    request.method = method;
    request.path = path;
    request.body = api::DumpJson(body);
    request.content_type = content_type;
    Status sent = SendOnce(std::move(request));
    if (sent.has_value()) return sent;
    {
      MutexLock lock(mutex_);
      ++dropped_;
    }
    const steady_clock::time_point now = steady_clock::now();
    if (now - complained_at_ > kComplainInterval) {
      complained_at_ = now;
      LogWarn("an event could not be recorded", {{"error", sent.error().ToString()}});
    }
    return sent;
  }

  Status SendOnce(http::ClientRequest request) {
    if (transport_ == nullptr) return Unavailable("no connection for events");
    LS_ASSIGN_OR_RETURN(const http::ClientResponse response, transport_->Send(std::move(request)));
    if (response.status >= 300) return ErrorFromResponse(response, "record event");
    return {};
  }

  const std::string controller_, instance_;
  std::unique_ptr<Transport> transport_;

  // Of the thread alone.
  std::map<std::string, Series> series_;
  steady_clock::time_point complained_at_;

  Mutex mutex_;
  ConditionVariable changed_;
  std::deque<Occurrence> queue_ LS_GUARDED_BY(mutex_);
  int64_t dropped_ LS_GUARDED_BY(mutex_) = 0;
  bool stopping_ LS_GUARDED_BY(mutex_) = false;
  bool finished_ LS_GUARDED_BY(mutex_) = false;
  std::thread thread_;  // begun when everything above is there
};

EventRecorder::EventRecorder(Client& client, std::string reporting_controller,
                             std::string reporting_instance)
    : impl_(std::make_unique<Impl>(client, std::move(reporting_controller),
                                   std::move(reporting_instance))) {}
EventRecorder::~EventRecorder() = default;

void EventRecorder::Record(const Json& regarding, const std::string& type,
                           const std::string& reason, const std::string& action,
                           const std::string& note) {
  impl_->Record(
      {ReferenceTo(regarding), type, reason, action, note, FormatTime(Clock::Real().Now())});
}

int64_t EventRecorder::dropped() const { return impl_->dropped(); }

}  // namespace longshore::kube
