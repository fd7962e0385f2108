// SPDX-License-Identifier: Apache-2.0
//
// See server.h. One thread accepts and watches the connections that wait for their peer (epoll);
// workers take those that became readable. A session is owned by the table and used by one worker
// at a time; its state says by whom.
#include "common/http/server.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <deque>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/http/session.h"
#include "common/tls/reloader.h"

namespace longshore::http {
namespace {

// A longer one would keep newcomers waiting for longer in a flood, and those that are served with
// them: a full one slows the flood down.
constexpr int kBacklog = 512;
constexpr size_t kMaxConnections = 4096;
// Of a flood of connections, between two looks at those that are there already.
constexpr int kAcceptsPerRound = 32;
// Given up together, since it takes a look at all to find them.
constexpr size_t kGivenUp = 64;
constexpr uint64_t kListenId = 0, kWakeId = 1, kFirstSessionId = 2;
constexpr auto kSweepInterval = std::chrono::milliseconds(250);
constexpr auto kStopPatience = std::chrono::seconds(5);

Result<UniqueFd> Listen(const std::string& address, int port) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  if (::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) {
    return InvalidArgument("listen address \"" + address + "\"");
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> guard(found, ::freeaddrinfo);
  UniqueFd fd(::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  if (fd.valid()) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (!fd.valid() || ::bind(fd.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      ::listen(fd.get(), kBacklog) != 0) {
    const int error = errno;
    return Unavailable(
        ErrnoError(error, "listen on " + address + ":" + std::to_string(port)).message);
  }
  return fd;
}

// What others of this process need descriptors for is left to them.
size_t MostConnections() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kMaxConnections;
  return std::min<size_t>(kMaxConnections, limit.rlim_cur / 4 * 3);
}

int LocalPort(int fd) {
  sockaddr_in6 address{};
  socklen_t size = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin6_port);  // at the same place in sockaddr_in
}

std::string AddressText(const sockaddr_storage& address) {
  char text[NI_MAXHOST] = "";
  ::getnameinfo(reinterpret_cast<const sockaddr*>(&address), sizeof address, text, sizeof text,
                nullptr, 0, NI_NUMERICHOST);
  return text;
}

}  // namespace

class Server::Impl {
 public:
  explicit Impl(ServerOptions given) : options(std::move(given)) {}

  const ServerOptions options;
  Router router;
  int port = 0;

  Status Start();
  void Stop();

 private:
  enum class State { kParked, kReady, kActive };
  struct Entry {
    std::unique_ptr<Session> session;
    State state = State::kParked;
    Session::Time deadline;
  };

  void Loop();
  void Accept();
  bool MakeRoom() LS_REQUIRES(mutex_);
  void DropLargest() LS_REQUIRES(mutex_);
  void Arm(int operation, uint64_t id, int fd, uint32_t events) const;
  void MarkReady(uint64_t id) LS_EXCLUDES(mutex_);
  void Sweep() LS_EXCLUDES(mutex_);
  void Work();
  void PutBack(uint64_t id, const Session::Next& next) LS_EXCLUDES(mutex_);
  void AddThread() LS_REQUIRES(mutex_);

  std::atomic<bool> stopping_{false};
  std::atomic<size_t> unsent_{0}, unanswered_{0};
  SessionSettings settings_{options, router, stopping_, unsent_, unanswered_};
  size_t most_connections_ = kMaxConnections;
  std::unique_ptr<tls::Reloader> certificates_;
  UniqueFd listener_, epoll_, wake_;
  std::thread loop_;

  Mutex mutex_;
  ConditionVariable ready_changed_, active_changed_;
  std::unordered_map<uint64_t, Entry> sessions_ LS_GUARDED_BY(mutex_);
  // Those that have been served before come first: a crowd of newcomers, whose handshakes are what
  // costs most, must not make them wait.
  std::deque<uint64_t> ready_ LS_GUARDED_BY(mutex_), ready_newcomers_ LS_GUARDED_BY(mutex_);
  std::vector<std::thread> threads_ LS_GUARDED_BY(mutex_);
  int idle_threads_ LS_GUARDED_BY(mutex_) = 0;
  int active_ LS_GUARDED_BY(mutex_) = 0;
  bool started_ LS_GUARDED_BY(mutex_) = false;
  uint64_t next_id_ = kFirstSessionId;  // the loop's
};

Status Server::Impl::Start() {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  if (options.tls) {
    certificates_ = std::make_unique<tls::Reloader>(tls::ServerFiles{
        options.tls->certificate_file, options.tls->key_file, options.tls->client_ca_file});
    LS_RETURN_IF_ERROR(certificates_->Load());
  }
  most_connections_ = MostConnections();
  LS_ASSIGN_OR_RETURN(listener_, Listen(options.address, options.port));
  port = LocalPort(listener_.get());
  epoll_ = UniqueFd(::epoll_create1(EPOLL_CLOEXEC));
  wake_ = UniqueFd(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (!epoll_.valid() || !wake_.valid()) return ErrnoError(errno, "HTTP server");
  Arm(EPOLL_CTL_ADD, kListenId, listener_.get(), EPOLLIN);
  Arm(EPOLL_CTL_ADD, kWakeId, wake_.get(), EPOLLIN);
  loop_ = std::thread([this] { Loop(); });
  MutexLock lock(mutex_);
  started_ = true;
  for (int i = 0; i < std::max(1, options.threads); ++i) AddThread();
  return {};
}

void Server::Impl::AddThread() {
  threads_.emplace_back([this] { Work(); });
  ::pthread_setname_np(threads_.back().native_handle(), "ls-http");
}

void Server::Impl::Arm(int operation, uint64_t id, int fd, uint32_t events) const {
  epoll_event event{};
  event.events = events;
  event.data.u64 = id;
  ::epoll_ctl(epoll_.get(), operation, fd, &event);
}

void Server::Impl::Loop() {
  ::pthread_setname_np(::pthread_self(), "ls-http-loop");
  auto swept = std::chrono::steady_clock::now();
  epoll_event events[64];
  while (!stopping_) {
    bool empty;
    {
      MutexLock lock(mutex_);
      empty = sessions_.empty();
    }
    const int wait = empty ? -1 : static_cast<int>(kSweepInterval.count());
    const int count = ::epoll_wait(epoll_.get(), events, std::size(events), wait);
    for (int i = 0; i < count; ++i) {
      const uint64_t id = events[i].data.u64;
      if (id == kListenId) {
        Accept();
      } else if (id != kWakeId) {
        MarkReady(id);
      }
    }
    if (std::chrono::steady_clock::now() - swept >= kSweepInterval) {
      Sweep();
      swept = std::chrono::steady_clock::now();
    }
  }
}

// Closes some connections: first those that were never served and have kept us waiting for longest,
// then the idle ones, then whoever is slow. The scheduler's outlasts a flood of peers that only
// connect. False: all are being served.
bool Server::Impl::MakeRoom() {
  using Candidate = std::tuple<int, Session::Time, uint64_t>;
  std::vector<Candidate> candidates;
  for (const auto& [id, entry] : sessions_) {
    if (entry.state != State::kParked) continue;
    const int rank = !entry.session->served() ? 0 : entry.session->idle() ? 1 : 2;
    candidates.emplace_back(rank, entry.deadline, id);
  }
  const size_t count = std::min({kGivenUp, candidates.size(), most_connections_ / 16 + 1});
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count),
                    candidates.end());
  for (size_t i = 0; i < count; ++i) sessions_.erase(std::get<uint64_t>(candidates[i]));
  return count > 0;
}

// Until what peers have sent of requests is no more than may be kept of them.
void Server::Impl::DropLargest() {
  while (unanswered_ > MostUnanswered(options)) {
    auto largest = sessions_.end();
    size_t bytes = kSmallRequest;
    for (auto it = sessions_.begin(); it != sessions_.end(); ++it) {
      if (it->second.state != State::kParked || it->second.session->request_bytes() <= bytes)
        continue;
      largest = it;
      bytes = it->second.session->request_bytes();
    }
    if (largest == sessions_.end()) return;
    sessions_.erase(largest);
  }
}

void Server::Impl::Accept() {
  for (int i = 0; i < kAcceptsPerRound; ++i) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    UniqueFd fd(::accept4(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size,
                          SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!fd.valid()) {
      if (errno != EMFILE && errno != ENFILE && errno != ENOMEM && errno != ENOBUFS) return;
      bool made_room;  // out of descriptors: give up an idle connection, or wait for one
      {
        MutexLock lock(mutex_);
        made_room = MakeRoom();
      }
      if (!made_room) std::this_thread::sleep_for(std::chrono::milliseconds(10));
      return;
    }
    const int on = 1;
    ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    auto session =
        std::make_unique<Session>(std::move(fd), AddressText(address),
                                  certificates_ ? certificates_->Get() : nullptr, settings_);
    const int number = session->fd();
    MutexLock lock(mutex_);
    if (sessions_.size() >= most_connections_ && !MakeRoom()) continue;
    const uint64_t id = next_id_++;
    const Session::Next next = session->Begin();
    sessions_.emplace(id, Entry{std::move(session), State::kParked, next.until});
    Arm(EPOLL_CTL_ADD, id, number, EPOLLIN | EPOLLONESHOT);
  }
}

void Server::Impl::MarkReady(uint64_t id) {
  MutexLock lock(mutex_);
  const auto entry = sessions_.find(id);
  if (entry == sessions_.end() || entry->second.state != State::kParked) return;
  entry->second.state = State::kReady;
  (entry->second.session->served() ? ready_ : ready_newcomers_).push_back(id);
  const size_t waiting = ready_.size() + ready_newcomers_.size();
  const bool can_grow = !stopping_ && static_cast<int>(threads_.size()) < options.max_threads;
  if (static_cast<int>(waiting) > idle_threads_ && can_grow) AddThread();
  ready_changed_.notify_one();
}

void Server::Impl::Sweep() {
  const auto now = std::chrono::steady_clock::now();
  MutexLock lock(mutex_);
  std::erase_if(sessions_, [now](const auto& item) {
    return item.second.state == State::kParked && item.second.deadline <= now;
  });
}

void Server::Impl::Work() {
  for (;;) {
    uint64_t id;
    Session* session;
    {
      MutexLock lock(mutex_);
      ++idle_threads_;
      while (ready_.empty() && ready_newcomers_.empty() && !stopping_) ready_changed_.wait(mutex_);
      --idle_threads_;
      if (stopping_) return;
      std::deque<uint64_t>& next = ready_.empty() ? ready_newcomers_ : ready_;
      id = next.front();
      next.pop_front();
      Entry& entry = sessions_.at(id);
      entry.state = State::kActive;
      session = entry.session.get();
      ++active_;
    }
    PutBack(id, session->Advance());
  }
}

void Server::Impl::PutBack(uint64_t id, const Session::Next& next) {
  using What = Session::Next::What;
  std::unique_ptr<Session> closing;  // destroyed after the lock
  MutexLock lock(mutex_);
  --active_;
  active_changed_.notify_all();
  const auto entry = sessions_.find(id);
  // Looked at here too: one that always has something new is never parked when Sweep looks.
  const bool late = next.until <= std::chrono::steady_clock::now();
  if (next.what == What::kClose || late || stopping_) {
    closing = std::move(entry->second.session);
    sessions_.erase(entry);
    return;
  }
  entry->second.state = State::kParked;
  entry->second.deadline = next.until;
  const uint32_t events = next.what == What::kWaitToRead ? EPOLLIN : EPOLLOUT;
  Arm(EPOLL_CTL_MOD, id, entry->second.session->fd(), events | EPOLLONESHOT);
  DropLargest();
}

void Server::Impl::Stop() {
  std::vector<std::thread> threads;
  {
    MutexLock lock(mutex_);
    if (!started_ || stopping_) return;
    stopping_ = true;
    threads.swap(threads_);
    ready_changed_.notify_all();
  }
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_.get(), &one, sizeof one);
  loop_.join();
  listener_.Reset();
  {
    MutexLock lock(mutex_);
    std::erase_if(sessions_, [](const auto& item) { return item.second.state != State::kActive; });
    const auto deadline = std::chrono::steady_clock::now() + kStopPatience;
    while (active_ > 0 && active_changed_.wait_until(mutex_, deadline) != std::cv_status::timeout) {
    }
    if (active_ > 0) LogWarn("stopping with requests still running", {{"requests", active_}});
    for (const auto& [id, entry] : sessions_) entry.session->Abort();
  }
  for (std::thread& thread : threads) thread.join();
}

Server::Server(ServerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Server::~Server() { Stop(); }
void Server::Handle(const std::string& method, const std::string& pattern, Handler handler) {
  impl_->router.Add(method, pattern, std::move(handler));
}
Status Server::Start() { return impl_->Start(); }
int Server::port() const { return impl_->port; }
void Server::Stop() { impl_->Stop(); }

std::string Request::Query(const std::string& name, const std::string& otherwise) const {
  const auto found = query.find(name);
  return found == query.end() ? otherwise : found->second;
}

std::string Request::Header(const std::string& lower_case_name) const {
  const auto found = headers.find(lower_case_name);
  return found == headers.end() ? "" : found->second;
}

}  // namespace longshore::http
