// SPDX-License-Identifier: Apache-2.0
#include "worker/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace longshore::worker {
namespace {

// posix_spawn's two objects, released together.
struct SpawnSettings {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;

  SpawnSettings() {
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }

  void Describe(const Command& command, int in, int out, int err) {
    posix_spawn_file_actions_adddup2(&actions, in, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err, STDERR_FILENO);
    // Not all descriptors are close-on-exec: Asio 1.74 opens its sockets without it, and a tool
    // that holds the stream's socket would keep the connection open.
    posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
    if (!command.directory.empty()) {
      posix_spawn_file_actions_addchdir_np(&actions, command.directory.c_str());
    }
    // The worker blocks its stop signals and ignores SIGPIPE: the tools shall not inherit that.
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setflags(
        &attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
};

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

ExitStatus ToStatus(int wait_status) {
  if (WIFSIGNALED(wait_status)) return {0, WTERMSIG(wait_status)};
  return {WEXITSTATUS(wait_status), 0};
}

struct Pipe {
  UniqueFd read, write;
};

Result<Pipe> MakePipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) return ErrnoError(errno, "pipe");
  return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
}

void SetNonBlocking(int fd) { ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK); }

}  // namespace

std::string ExitStatus::ToString() const {
  if (signal != 0) return "signal " + std::to_string(signal) + " (" + ::strsignal(signal) + ")";
  return "exit code " + std::to_string(code);
}

Reaper::Reaper() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  LS_CHECK(wake_.valid());
  thread_ = std::jthread([this](const std::stop_token& stop) { Loop(stop); });
}

Reaper::~Reaper() {
  thread_.request_stop();
  Wake();
  thread_.join();
}

Result<std::shared_ptr<Reaper::Child>> Reaper::Spawn(const Command& command, int in, int out,
                                                     int err) {
  LS_CHECK(!command.argv.empty());
  auto child = std::make_shared<Child>();
  child->ended_event = UniqueFd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!child->ended_event.valid()) return ErrnoError(errno, "eventfd");
  SpawnSettings settings;
  settings.Describe(command, in, out, err);
  std::vector<std::string> arguments = command.argv, variables;
  for (const auto& [name, value] : command.environment) variables.push_back(name + "=" + value);
  std::vector<char*> argv = Pointers(arguments), envp = Pointers(variables);
  // Held until the child is registered: the reaper cannot miss one that ends at once.
  MutexLock lock(mutex_);
  const int error = ::posix_spawnp(&child->pid, argv[0], &settings.actions, &settings.attributes,
                                   argv.data(), envp.data());
  if (error != 0) return ErrnoError(error, "start " + command.argv[0]);
  child->handle = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, child->pid, 0)));
  children_[child->pid] = child;
  Wake();
  return child;
}

std::optional<ExitStatus> Reaper::StatusOf(const Child& child) const {
  MutexLock lock(mutex_);
  return child.status;
}

void Reaper::SignalGroup(const Child& child, int signal) {
  MutexLock lock(mutex_);
  if (!child.status) ::kill(-child.pid, signal);
}

void Reaper::Loop(const std::stop_token& stop) {
  ::pthread_setname_np(::pthread_self(), "ls-reaper");
  while (!stop.stop_requested()) {
    siginfo_t info{};
    // Looks without reaping, so that the group can be cleared while the id is still taken.
    const int rc = ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT);
    if (rc == 0 && info.si_pid != 0) {
      Reap(info.si_pid);
    } else {
      WaitForAnEnd();
    }
  }
}

// Until a tool ends, or it is time to look for orphans, which nothing tells of and which can wait.
void Reaper::WaitForAnEnd() const {
  std::vector<std::shared_ptr<Child>>
      children;  // their descriptors stay open while they are polled
  std::vector<pollfd> fds{{wake_.get(), POLLIN, 0}};
  bool told_of_all = true;
  {
    MutexLock lock(mutex_);
    for (const auto& [pid, child] : children_) {
      children.push_back(child);
      fds.push_back({child->handle.get(), POLLIN, 0});
      told_of_all &= child->handle.valid();
    }
  }
  ::poll(fds.data(), fds.size(), told_of_all ? 200 : 20);
  uint64_t ignored = 0;
  if (fds[0].revents != 0) (void)!::read(wake_.get(), &ignored, sizeof ignored);
}

void Reaper::Wake() const {
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void Reaper::Reap(pid_t pid) {
  MutexLock lock(mutex_);
  const auto found = children_.find(pid);
  if (found != children_.end()) ::kill(-pid, SIGKILL);
  int wait_status = 0;
  if (::waitpid(pid, &wait_status, WNOHANG) != pid || found == children_.end()) return;
  found->second->status = ToStatus(wait_status);
  const uint64_t one = 1;
  if (::write(found->second->ended_event.get(), &one, sizeof one) < 0) LS_CHECK(errno == EAGAIN);
  children_.erase(found);
}

Result<std::unique_ptr<Process>> Process::Start(Reaper& reaper, const Command& command) {
  LS_ASSIGN_OR_RETURN(Pipe in, MakePipe());
  LS_ASSIGN_OR_RETURN(Pipe out, MakePipe());
  LS_ASSIGN_OR_RETURN(Pipe err, MakePipe());
  LS_ASSIGN_OR_RETURN(std::shared_ptr<Reaper::Child> child,
                      reaper.Spawn(command, in.read.get(), out.write.get(), err.write.get()));
  std::unique_ptr<Process> process(new Process(reaper, std::move(child)));
  process->in_ = std::move(in.write);
  process->out_ = std::move(out.read);
  process->err_ = std::move(err.read);
  SetNonBlocking(process->in());
  SetNonBlocking(process->out());
  SetNonBlocking(process->err());
  return process;
}

Process::~Process() { Stop(std::chrono::seconds(1)); }

std::optional<ExitStatus> Process::WaitFor(std::chrono::milliseconds limit) {
  // What it still says is read and dropped: closed pipes would kill it (SIGPIPE) before it has
  // tidied up, full ones would stop it.
  std::array<pollfd, 3> fds{{{ended_event(), POLLIN, 0}, {out(), POLLIN, 0}, {err(), POLLIN, 0}}};
  const auto until = std::chrono::steady_clock::now() + limit;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        until - std::chrono::steady_clock::now());
    ::poll(fds.data(), fds.size(), static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (fds[0].revents != 0 || left.count() <= 0) return status();
    for (size_t i = 1; i < fds.size(); ++i) {
      pollfd& pipe = fds[i];
      char buffer[4096];
      if (pipe.revents != 0 && ::read(pipe.fd, buffer, sizeof buffer) == 0) pipe.fd = -1;
    }
  }
}

ExitStatus Process::Stop(std::chrono::milliseconds patience) {
  CloseIn();
  if (auto ended = status()) return *ended;
  Signal(SIGINT);
  if (auto ended = WaitFor(patience)) return *ended;
  Signal(SIGKILL);
  while (true) {
    if (auto ended = WaitFor(std::chrono::seconds(1))) return *ended;
  }
}

std::map<std::string, std::string> BaseEnvironment(const std::string& scratch) {
  const char* path = std::getenv("PATH");
  return {{"PATH", path != nullptr ? path : "/usr/local/bin:/usr/bin:/bin"},
          {"LC_ALL", "C"},
          {"TZ", "UTC"},
          {"HOME", scratch},
          {"TMPDIR", scratch}};
}

}  // namespace longshore::worker
