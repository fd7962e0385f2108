// SPDX-License-Identifier: Apache-2.0
#include "common/kube/reflector.h"

#include <pthread.h>

#include <algorithm>
#include <optional>
#include <random>

#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/kube/errors.h"
#include "common/kube/transport.h"

namespace longshore::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kListTimeout{30000};
// The server ends each watch after a time in this range; many clients then don't return together.
constexpr int kMinWatchSeconds = 300, kMaxWatchSeconds = 600;
// A watch that ends sooner than this without an event is a failure: never a busy loop.
constexpr milliseconds kShortWatch{1000};
// As often may one resourceVersion be tried before everything is listed again.
constexpr int kMaxFailedWatches = 5;

}  // namespace

class Reflector::Impl {
 public:
  Impl(const Config& config, std::string user_agent, const Resource& resource,
       InformerOptions options, Sink sink)
      : config_(config),
        user_agent_(std::move(user_agent)),
        resource_(resource),
        options_(std::move(options)),
        sink_(std::move(sink)),
        token_(config) {}

  void Start() {
    LS_CHECK(!thread_.joinable());
    thread_ = std::thread([this] { Run(); });
  }

  void Stop() {
    {
      MutexLock lock(mutex_);
      stopping_ = true;
      changed_.notify_all();
      // A cancel may come just before its call begins: it is repeated until the thread is through.
      while (thread_.joinable() && !finished_) {
        if (active_ != nullptr) active_->Cancel();
        changed_.wait_for(mutex_, milliseconds(20));
      }
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  // How a watch ended.
  struct Ending {
    bool list_again = false;
    std::optional<Error> failure;  // absent: by its time-out, go on at once
  };

  void Run() {
    pthread_setname_np(pthread_self(),
                       ("ls-" + std::string(resource_.plural)).substr(0, 15).c_str());
    int failed_watches = 0;
    while (!stopping()) {
      if (version_.empty()) {
        if (const Status listed = ListAll(); !listed.has_value()) {
          sink_.on_list_failed(listed.error());
          Wait("list", listed.error());
          continue;
        }
        failed_watches = 0;
      }
      const std::string from = version_;
      const Ending ending = Watch();
      failed_watches = ending.failure.has_value() && version_ == from ? failed_watches + 1 : 0;
      if (ending.list_again || failed_watches >= kMaxFailedWatches) version_.clear();
      if (ending.failure.has_value() && !stopping()) Wait("watch", *ending.failure);
    }
    MutexLock lock(mutex_);
    finished_ = true;
    changed_.notify_all();
  }

  Status ListAll() {
    LS_ASSIGN_OR_RETURN(const std::unique_ptr<http::Client> client, Connect(config_, kListTimeout));
    const std::string context = "list " + std::string(resource_.plural);
    const auto get = [&](const std::string& path) -> Result<Json> {
      LS_ASSIGN_OR_RETURN(const http::ClientRequest request, Request(path));
      LS_ASSIGN_OR_RETURN(const http::ClientResponse response,
                          RunActive(*client, [&] { return client->Send(request); }));
      if (response.status != 200) return Refused(response, context);
      Result<Json> body = api::ParseJson(response.body);
      if (body.has_value() && body->is_object()) return body;
      return Unavailable(context + ": the answer is not a JSON object");
    };
    LS_ASSIGN_OR_RETURN(version_,
                        ListPages(resource_, options_.ns, options_.selector, sink_.list, get));
    sink_.on_alive();
    sink_.on_listed(version_);
    return {};
  }

  Ending Watch() {
    const std::string context = "watch " + std::string(resource_.plural);
    const steady_clock::time_point began = steady_clock::now();
    if (watcher_ == nullptr) {
      auto made = Connect(config_, options_.timing.silence);
      if (!made.has_value()) return {false, made.error()};
      watcher_ = *std::move(made);
    }
    const Result<http::ClientRequest> request = Request(WatchPath());
    if (!request.has_value()) return {false, request.error()};
    Ending ending;
    bool any_event = false;
    WatchDecoder decoder;
    const auto take = [&](std::string_view piece) {
      if (piece.empty()) sink_.on_alive();  // the server answers, though it may have nothing to say
      const Status fed = decoder.Feed(piece, [&](WatchEvent event) {
        any_event = true;
        return Take(std::move(event), context, ending);
      });
      if (!fed.has_value()) ending = {true, fed.error()};
      return !ending.failure.has_value() && !stopping();
    };
    Result<http::ClientResponse> response =
        RunActive(*watcher_, [&] { return watcher_->Stream(*request, take); });
    if (ending.failure.has_value()) {
      watcher_.reset();  // ended in the middle of a body
      return ending;
    }
    if (!response.has_value()) {
      watcher_.reset();
      // Silence: half-open, or a quiet resource without bookmarks. Nothing is lost by asking anew.
      if (response.error().code == Code::kDeadlineExceeded) return {};
      return {false, Annotate(response.error(), context)};
    }
    if (response->status != 200) {
      Error error = Refused(*response, context);
      return {error.code == Code::kGone, std::move(error)};
    }
    if (!any_event && steady_clock::now() - began < kShortWatch) {
      return {false, Unavailable(context + ": ended at once")};
    }
    return {};
  }

  // One event; false ends the watch, and `ending` says why.
  bool Take(WatchEvent event, const std::string& context, Ending& ending) {
    if (stopping()) return false;
    if (event.type == WatchEventType::kError) {
      Error error = ErrorFromStatus(event.object, context);
      ending = {error.code == Code::kGone, std::move(error)};
      return false;
    }
    const std::string version(StringAt(event.object, "/metadata/resourceVersion"));
    const bool named = event.type == WatchEventType::kBookmark || !NameOf(event.object).empty();
    if (version.empty() || !named) {
      ending = {true, Error{Code::kDataLoss, context + ": an event without name or version"}};
      return false;
    }
    version_ = version;
    sink_.on_alive();
    if (event.type == WatchEventType::kBookmark) return true;
    AddType(event.object, resource_);
    sink_.on_event(std::move(event));
    return true;
  }

  std::string WatchPath() {
    const int seconds =
        std::uniform_int_distribution<int>(kMinWatchSeconds, kMaxWatchSeconds)(random_);
    return ResourcePath(resource_, options_.ns) + "?watch=true&allowWatchBookmarks=true" +
           "&resourceVersion=" + http::UrlEncode(version_) +
           "&timeoutSeconds=" + std::to_string(seconds) + SelectorQuery(options_.selector);
  }

  Result<http::ClientRequest> Request(const std::string& path) {
    LS_ASSIGN_OR_RETURN(const std::string token, token_.Get());
    http::ClientRequest request;
    request.path = path;
    sent_token_ = token;
    Authorize(request, token, user_agent_);
    return request;
  }

  Error Refused(const http::ClientResponse& response, const std::string& context) {
    if (response.status == 401) token_.Refresh(sent_token_);  // the next try takes the new one
    return ErrorFromResponse(response, context);
  }

  // Runs one call so that Stop can end it. Stop holds the lock while it cancels: that keeps the
  // client alive, and the client takes no lock of ours.
  template <class F>
  Result<http::ClientResponse> RunActive(http::Client& client, const F& call) {
    {
      MutexLock lock(mutex_);
      if (stopping_) return Error{Code::kCancelled, "stopping"};
      active_ = &client;
    }
    Result<http::ClientResponse> response = call();
    MutexLock lock(mutex_);
    active_ = nullptr;
    return response;
  }

  // Waits after a failure: as long as the server says, else with growing back-off.
  void Wait(const char* what, const Error& error) {
    if (stopping()) return;
    const InformerTiming& timing = options_.timing;
    const steady_clock::time_point now = steady_clock::now();
    if (now - failed_at_ > timing.backoff_reset) backoff_ = timing.first_backoff;
    failed_at_ = now;
    milliseconds wait(std::uniform_int_distribution<int64_t>(0, backoff_.count())(random_));
    backoff_ = std::min(backoff_ * 2, timing.max_backoff);
    if (error.retry_after) wait += std::min(*error.retry_after, timing.max_backoff);
    LogWarn("informer tries again", {{"verb", what},
                                     {"resource", resource_.plural},
                                     {"error", error.ToString()},
                                     {"wait_ms", wait.count()}});
    const steady_clock::time_point end = now + wait;
    MutexLock lock(mutex_);
    while (!stopping_ && steady_clock::now() < end) changed_.wait_until(mutex_, end);
  }

  bool stopping() {
    MutexLock lock(mutex_);
    return stopping_;
  }

  const Config config_;
  const std::string user_agent_;
  const Resource resource_;
  const InformerOptions options_;
  const Sink sink_;

  // Of the thread alone.
  TokenSource token_;
  std::string sent_token_;
  std::unique_ptr<http::Client> watcher_;
  std::string version_;  // reached so far; empty: list
  std::minstd_rand random_{std::random_device{}()};
  milliseconds backoff_ = options_.timing.first_backoff;
  steady_clock::time_point failed_at_;

  std::thread thread_;
  Mutex mutex_;
  ConditionVariable changed_;
  http::Client* active_ LS_GUARDED_BY(mutex_) = nullptr;
  bool stopping_ LS_GUARDED_BY(mutex_) = false;
  bool finished_ LS_GUARDED_BY(mutex_) = false;
};

Reflector::Reflector(const Config& config, std::string user_agent, const Resource& resource,
                     InformerOptions options, Sink sink)
    : impl_(std::make_unique<Impl>(config, std::move(user_agent), resource, std::move(options),
                                   std::move(sink))) {}
Reflector::~Reflector() { Stop(); }
void Reflector::Start() { impl_->Start(); }
void Reflector::Stop() { impl_->Stop(); }

}  // namespace longshore::kube
