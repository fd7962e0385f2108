// SPDX-License-Identifier: Apache-2.0
//
// Child processes. The worker is PID 1 of its pod: it must reap whatever dies in there, and when a
// tool ends nothing that the tool started may live on. So each child leads a process group of its
// own, and whatever is left of a group when its leader ends is killed before the leader is reaped
// (its id cannot have been reused by then). Used by run.cc and psql.cc.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "common/base/files.h"
#include "common/base/mutex.h"
#include "common/base/result.h"

namespace longshore::worker {

struct ExitStatus {
  int code = 0;    // meaningful when signal is 0
  int signal = 0;  // that ended it
  bool ok() const { return code == 0 && signal == 0; }
  std::string ToString() const;  // "exit code 3", "signal 9 (Killed)"
};

// What to run. Never put a secret into argv or environment: both can be read in /proc.
struct Command {
  std::vector<std::string> argv;
  std::map<std::string, std::string> environment;  // all of it; nothing is inherited
  std::string directory;                           // empty: the worker's
};

// Reaps all children of this process, adopted orphans included. One per process.
class Reaper {
 public:
  Reaper();
  ~Reaper();
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  struct Child {
    pid_t pid = 0;
    UniqueFd handle;                   // pidfd; none where the kernel or a sandbox refuses it
    UniqueFd ended_event;              // readable once it has ended and was reaped
    std::optional<ExitStatus> status;  // guarded by the reaper
  };

  // Starts a command with these descriptors as its stdin, stdout and stderr.
  // Errors: kNotFound (no such program) and what posix_spawn says.
  Result<std::shared_ptr<Child>> Spawn(const Command& command, int in, int out, int err);
  std::optional<ExitStatus> StatusOf(const Child& child) const;
  // Sends a signal to the child's whole group; nothing if the child has been reaped.
  void SignalGroup(const Child& child, int signal);

 private:
  void Loop(const std::stop_token& stop);
  void Reap(pid_t pid);
  void WaitForAnEnd() const;
  void Wake() const;

  mutable Mutex mutex_;
  UniqueFd wake_;  // the loop has something new to wait for, or nothing any more
  std::map<pid_t, std::shared_ptr<Child>> children_ LS_GUARDED_BY(mutex_);
  std::jthread thread_;
};

// A running child with pipes to its stdin, stdout and stderr. Not thread-safe. The destructor
// stops it.
class Process {
 public:
  static Result<std::unique_ptr<Process>> Start(Reaper& reaper, const Command& command);
  ~Process();

  int in() const { return in_.get(); }
  int out() const { return out_.get(); }
  int err() const { return err_.get(); }
  void CloseIn() { in_.Reset(); }
  int ended_event() const { return child_->ended_event.get(); }
  pid_t pid() const { return child_->pid; }

  std::optional<ExitStatus> status() const { return reaper_.StatusOf(*child_); }
  void Signal(int signal) { reaper_.SignalGroup(*child_, signal); }
  // Waits up to `limit` and drops its output; nullopt when it still runs then.
  std::optional<ExitStatus> WaitFor(std::chrono::milliseconds limit);
  // SIGINT (on which restic removes its lock and psql cancels its query), then SIGKILL after
  // `patience`; returns when it is gone. Whether SIGKILL was needed: status().signal.
  ExitStatus Stop(std::chrono::milliseconds patience = std::chrono::seconds(10));

 private:
  Process(Reaper& reaper, std::shared_ptr<Reaper::Child> child)
      : reaper_(reaper), child_(std::move(child)) {}

  Reaper& reaper_;
  std::shared_ptr<Reaper::Child> child_;
  UniqueFd in_, out_, err_;
};

// PATH of the worker, LC_ALL=C so that messages can be understood, and no more of its own
// environment. HOME and TMPDIR are the scratch folder.
std::map<std::string, std::string> BaseEnvironment(const std::string& scratch);

}  // namespace longshore::worker
