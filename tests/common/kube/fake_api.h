// SPDX-License-Identifier: Apache-2.0
//
// An API server that misbehaves on demand: it answers LISTs and WATCHes of config maps, and any
// other call, with what a test has queued. What the real one does is checked by the integration
// tests; this one is for what it does only on a bad day.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/api/archive.h"
#include "common/base/mutex.h"
#include "common/http/server.h"
#include "common/kube/client.h"

namespace longshore::kube {

class FakeApi {
 public:
  FakeApi();

  // Answers in the order they were queued. When none is left, a WATCH stays open and silent, and
  // everything else is answered with 500.
  void OnList(http::Response response) { Queue(&FakeApi::lists_, std::move(response)); }
  void OnWatch(http::Response response) { Queue(&FakeApi::watches_, std::move(response)); }
  void OnCall(http::Response response) { Queue(&FakeApi::calls_, std::move(response)); }
  // Only this bearer token is let in.
  void Require(const std::string& token);

  // What was asked, in order: "list", "list continue=c1", "watch 5", "POST /api/v1/…".
  std::vector<std::string> asked() const;
  // Waits until at least so many calls have arrived.
  bool Wait(size_t calls) const;

  Config config() const;
  FakeApi(const FakeApi&) = delete;
  FakeApi& operator=(const FakeApi&) = delete;

 private:
  using Responses = std::deque<http::Response>;
  void Queue(Responses FakeApi::* queue, http::Response response);
  http::Response Answer(const http::Request& request);
  http::Response Next(Responses& queue, http::Response otherwise) LS_REQUIRES(mutex_);

  mutable Mutex mutex_;
  Responses lists_ LS_GUARDED_BY(mutex_), watches_ LS_GUARDED_BY(mutex_);
  Responses calls_ LS_GUARDED_BY(mutex_);
  std::vector<std::string> asked_ LS_GUARDED_BY(mutex_);
  std::string required_ LS_GUARDED_BY(mutex_);
  http::Server server_;
};

// A config map at a version; the UID is "uid-NAME" unless given.
Json Map(const std::string& name, int version, const std::string& uid = "");
http::Response ListOf(const std::vector<Json>& items, int version, const std::string& next = "");
// A Status document with that code.
http::Response Refusal(int code, const std::string& reason, const std::string& message = "no");
http::Response RetryLater(int code, int seconds);

// The lines of a watch.
std::string Event(const std::string& type, const Json& object);
std::string ErrorEvent(int code, const std::string& reason);
std::string Bookmark(int version);
// A watch of these bytes that then ends, or stays open and silent.
http::Response WatchThatEnds(const std::string& bytes);
http::Response WatchThatStays(const std::string& bytes);

// Until `reached` holds; false after ten seconds.
bool Soon(const std::function<bool()>& reached);

}  // namespace longshore::kube
