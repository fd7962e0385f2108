// SPDX-License-Identifier: Apache-2.0
#include "common/kube/transport.h"

#include <random>
#include <set>

#include "common/base/files.h"
#include "common/base/log.h"
#include "common/base/strings.h"
#include "common/kube/errors.h"

namespace longshore::kube {
namespace {

using std::chrono::milliseconds;

constexpr std::chrono::seconds kTokenLifetime{60};
// The API server closes idle connections after 90 s; a write that meets a closing one fails.
constexpr std::chrono::seconds kIdleLifetime{45};
constexpr int kMaxTriesOfReads = 4;
constexpr milliseconds kMaxRetryAfter{10000};
constexpr milliseconds kFirstBackoff{100};

milliseconds Jittered(milliseconds most) {
  thread_local std::minstd_rand random{std::random_device{}()};
  return milliseconds(
      std::uniform_int_distribution<int64_t>(most.count() / 2, most.count())(random));
}

}  // namespace

TokenSource::TokenSource(const Config& config, const Clock& clock)
    : file_(config.token_file), clock_(clock), token_(config.token) {}

Status TokenSource::Read() {
  LS_ASSIGN_OR_RETURN(const std::string content, ReadFile(file_, 1u << 20));
  const std::string_view token = Trim(content);
  if (token.empty()) return FailedPrecondition(file_ + ": empty token file");
  token_ = token;
  read_at_ = clock_.Monotonic();
  read_ = true;
  return {};
}

Result<std::string> TokenSource::Get() {
  MutexLock lock(mutex_);
  if (file_.empty()) return token_;
  if (read_ && clock_.Monotonic() - read_at_ < kTokenLifetime) return token_;
  if (const Status read = Read(); !read.has_value() && !read_) return read.error();
  return token_;
}

bool TokenSource::Refresh(const std::string& rejected) {
  MutexLock lock(mutex_);
  if (file_.empty()) return false;
  if (!Read().has_value()) return false;
  return token_ != rejected;
}

Result<std::unique_ptr<http::Client>> Connect(const Config& config, milliseconds read_timeout) {
  http::ClientOptions options;
  options.base_url = config.server;
  options.ca_pem = config.ca_pem;
  options.client_certificate_pem = config.client_certificate_pem;
  options.client_key_pem = config.client_key_pem;
  options.server_name = config.server_name;
  options.read_timeout = read_timeout;
  return http::Client::Create(std::move(options));
}

void Authorize(http::ClientRequest& request, const std::string& token,
               const std::string& user_agent) {
  if (!token.empty()) request.headers["Authorization"] = "Bearer " + token;
  request.headers["User-Agent"] = user_agent;
  request.headers["Accept"] = "application/json";
}

class Transport::Impl {
 public:
  Impl(const Config& config, std::string user_agent, TransportOptions options)
      : config_(config),
        user_agent_(std::move(user_agent)),
        options_(std::move(options)),
        token_(config) {}

  Result<http::ClientResponse> Send(http::ClientRequest request) {
    const bool read = request.method == "GET";
    milliseconds backoff = kFirstBackoff;
    for (int tries = 1;; ++tries) {
      Result<http::ClientResponse> response = SendAuthorized(request);
      const std::optional<milliseconds> wait = WaitBeforeRetry(response, read, tries, backoff);
      if (!wait.has_value()) return response;
      Sleep(*wait);
      if (cancelled()) return Cancelled();
      backoff *= 2;
    }
  }

  void Cancel() {
    MutexLock lock(mutex_);
    cancelled_ = true;
    for (http::Client* client : busy_) client->Cancel();
    changed_.notify_all();
  }

  Status Warm() {
    LS_ASSIGN_OR_RETURN(auto client, Connect(config_, options_.read_timeout));
    MutexLock lock(mutex_);
    idle_.push_back({std::move(client), Clock::Real().Monotonic()});
    return {};
  }

 private:
  struct Idle {
    std::unique_ptr<http::Client> client;
    MonotonicTime since;
  };

  static Error Cancelled() { return {Code::kCancelled, "the client is shutting down"}; }
  bool cancelled() {
    MutexLock lock(mutex_);
    return cancelled_;
  }

  std::optional<milliseconds> WaitBeforeRetry(const Result<http::ClientResponse>& response,
                                              bool read, int tries, milliseconds backoff) const {
    if (tries >= options_.max_tries) return std::nullopt;
    const bool may_read_again = read && tries < kMaxTriesOfReads;
    if (!response.has_value()) {
      if (response.error().code == Code::kUnavailable && may_read_again) return Jittered(backoff);
      return std::nullopt;
    }
    if (response->status != 429 && response->status < 500) return std::nullopt;
    if (const auto wait = RetryAfter(*response)) {
      // A longer wait is the caller's to decide: it gets the error with retry_after.
      if (*wait > kMaxRetryAfter) return std::nullopt;
      return *wait + Jittered(kFirstBackoff);
    }
    if (may_read_again) return Jittered(backoff);
    return std::nullopt;
  }

  Result<http::ClientResponse> SendAuthorized(http::ClientRequest& request) {
    LS_ASSIGN_OR_RETURN(const std::string token, token_.Get());
    Authorize(request, token, user_agent_);
    Result<http::ClientResponse> response = SendOnce(request);
    // A refused login was not processed, so any verb may try with the token that replaced it.
    if (!response.has_value() || response->status != 401 || !token_.Refresh(token)) return response;
    LS_ASSIGN_OR_RETURN(const std::string fresh, token_.Get());
    Authorize(request, fresh, user_agent_);
    return SendOnce(request);
  }

  Result<http::ClientResponse> SendOnce(const http::ClientRequest& request) {
    LS_ASSIGN_OR_RETURN(std::unique_ptr<http::Client> client, Take());
    Result<http::ClientResponse> response = client->Send(request);
    GiveBack(std::move(client), response.has_value());
    if (response.has_value()) NoteWarning(*response);
    return response;
  }

  // A connection that is nobody else's; waits for one while all are in use.
  Result<std::unique_ptr<http::Client>> Take() {
    std::unique_ptr<http::Client> client;
    std::vector<Idle> stale;  // closed after the lock
    {
      MutexLock lock(mutex_);
      while (!cancelled_ && taken_ >= options_.connections) changed_.wait(mutex_);
      if (cancelled_) return Cancelled();
      const MonotonicTime now = Clock::Real().Monotonic();
      while (!idle_.empty() && client == nullptr) {
        Idle last = std::move(idle_.back());
        idle_.pop_back();
        if (now - last.since < kIdleLifetime) {
          client = std::move(last.client);
        } else {
          stale.push_back(std::move(last));
        }
      }
      ++taken_;
    }
    if (client == nullptr) {
      Result<std::unique_ptr<http::Client>> made = Connect(config_, options_.read_timeout);
      if (!made.has_value()) {
        MutexLock lock(mutex_);
        --taken_;
        changed_.notify_one();
        return made.error();
      }
      client = *std::move(made);
    }
    MutexLock lock(mutex_);
    busy_.insert(client.get());
    return Result<std::unique_ptr<http::Client>>(std::move(client));
  }

  void GiveBack(std::unique_ptr<http::Client> client, bool healthy) {
    MutexLock lock(mutex_);
    busy_.erase(client.get());
    --taken_;
    if (healthy && !cancelled_) idle_.push_back({std::move(client), Clock::Real().Monotonic()});
    changed_.notify_one();
  }

  // "Warning: 299 - text": deprecated or unknown fields in what we sent. Each text is logged once.
  void NoteWarning(const http::ClientResponse& response) {
    const auto header = response.headers.find("warning");
    if (header == response.headers.end()) return;
    {
      MutexLock lock(mutex_);
      if (warned_.size() >= 100 || !warned_.insert(header->second).second) return;
    }
    LogWarn("warning from the API server", {{"warning", header->second}});
  }

  void Sleep(milliseconds duration) {
    if (options_.sleep) return options_.sleep(duration);
    const auto end = std::chrono::steady_clock::now() + duration;
    MutexLock lock(mutex_);
    while (!cancelled_ && std::chrono::steady_clock::now() < end) changed_.wait_until(mutex_, end);
  }

  const Config config_;
  const std::string user_agent_;
  const TransportOptions options_;
  TokenSource token_;
  Mutex mutex_;
  ConditionVariable changed_;
  std::vector<Idle> idle_ LS_GUARDED_BY(mutex_);
  std::set<http::Client*> busy_ LS_GUARDED_BY(mutex_);
  std::set<std::string> warned_ LS_GUARDED_BY(mutex_);
  size_t taken_ LS_GUARDED_BY(mutex_) = 0;
  bool cancelled_ LS_GUARDED_BY(mutex_) = false;
};

Transport::Transport(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Transport::~Transport() = default;

Result<std::unique_ptr<Transport>> Transport::Create(const Config& config, std::string user_agent,
                                                     TransportOptions options) {
  auto impl = std::make_unique<Impl>(config, std::move(user_agent), std::move(options));
  LS_RETURN_IF_ERROR(impl->Warm());  // an unusable URL, CA or key shows here, not at the first call
  return std::unique_ptr<Transport>(new Transport(std::move(impl)));
}

Result<http::ClientResponse> Transport::Send(http::ClientRequest request) {
  return impl_->Send(std::move(request));
}

void Transport::Cancel() { impl_->Cancel(); }

}  // namespace longshore::kube
