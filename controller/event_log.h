// SPDX-License-Identifier: Apache-2.0
//
// What the storage manager is told: an ordered, resumable log of announcements, bounded in memory.
// The reconcilers append, the API's /v1/events reads. A restart begins a new log: an old cursor
// then gets kGone and the manager lists again (the objects are the truth, this is the bell). Its
// revisions go on above those of the log before it.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/api/archive.h"
#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/base/result.h"

namespace longshore::controller {

// PodsAvailable has a cause, OperationProgress is lossy.
inline constexpr const char* kAnnouncementTypes[] = {
    "RequestReady",      "PodsAvailable",     "PodsWithdrawn",
    "PodLost",           "PodDeconstructed",  "OperationStarted",
    "OperationFinished", "OperationProgress", "ScalingDecided"};

struct Announcement {
  uint64_t revision = 0;  // grows, from leader to leader too; those between were replaced
  std::string time;       // RFC 3339 with microseconds
  std::string type;       // of kAnnouncementTypes
  std::string ns;         // namespace of the request
  std::string request;    // ComputeRequest
  std::string source;     // BackupSource
  api::Json data;         // e.g. {"pods": ["…"], "cause": "ThresholdExceeded", "node": "node-1"}
};

// Thread-safe.
class EventLog {
 public:
  explicit EventLog(const Clock& clock = Clock::Real(), size_t capacity = 10000);

  // Begins above epoch << 34, so that no revision of an earlier leader comes again. Epochs stop
  // counting at 2^19, since JSON's numbers do at 2^53. Before anything is appended.
  void BeginTerm(int64_t epoch);

  void Append(std::string type, std::string ns, std::string request, std::string source,
              api::Json data);
  // For what only counts until the next of its kind: takes the place of the last one with the same
  // `key` (not empty), and adds nothing when it says the same. So a history of lossy announcements
  // is no longer than their subjects are many, and pushes out nothing else.
  void AppendLatest(const std::string& key, std::string type, std::string ns, std::string request,
                    std::string source, api::Json data);

  // How many of each type were appended since the start.
  std::map<std::string, uint64_t> appended() const;

  struct Page {
    std::vector<Announcement> announcements;
    std::string cursor;  // opaque; pass to the next Read
  };
  // What came after `cursor` (empty: the beginning of what is kept; "now": only what comes),
  // waiting up to `wait` for the first. Errors: kGone (too old, or of another log),
  // kInvalidArgument.
  Result<Page> Read(const std::string& cursor, std::chrono::milliseconds wait,
                    const std::function<bool()>& stopping = nullptr) const;

 private:
  struct Kept {
    Announcement announcement;
    std::string key;  // of AppendLatest
  };
  void Add(Kept made) LS_REQUIRES(mutex_);

  const Clock& clock_;
  const size_t capacity_;
  const std::string log_id_;
  mutable Mutex mutex_;
  mutable ConditionVariable changed_;
  std::deque<Kept> kept_ LS_GUARDED_BY(mutex_);
  std::unordered_map<std::string, uint64_t> latest_ LS_GUARDED_BY(mutex_);  // revisions, by key
  std::map<std::string, uint64_t> counts_ LS_GUARDED_BY(mutex_);            // by type
  uint64_t lost_ LS_GUARDED_BY(mutex_) = 0;  // the newest revision that was pushed out
  uint64_t next_revision_ LS_GUARDED_BY(mutex_) = 1;
};

}  // namespace longshore::controller
