// SPDX-License-Identifier: Apache-2.0
//
// Running a tool to its end: feed it, read what it says line by line, stop it when the operation
// is cancelled or its time is over. Used by restic.cc, postgresql_restore.cc and tools.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "worker/cancellation.h"
#include "worker/process.h"

namespace longshore::worker {

using LineCallback = std::function<void(std::string_view line)>;

struct RunOptions {
  std::string input;             // to its stdin, which is closed then
  LineCallback on_out;           // each line of stdout; without it, stdout is kept in Finished
  LineCallback on_out_bytes;     // all of stdout as it comes, in place of lines
  LineCallback on_err;           // each line of stderr, besides Finished::err
  size_t out_limit = 64u << 20;  // kept of stdout; more is an error
  std::optional<std::chrono::milliseconds> timeout;
  const Cancellation* cancellation = nullptr;
};

struct Finished {
  ExitStatus status;
  std::string out;  // stdout, when no callback took it
  std::string err;  // the last 16 KiB of stderr
  bool timed_out = false;
  bool cancelled = false;
  bool stopped = false;  // it had not ended by itself: its status is our doing
  bool ok() const { return status.ok() && !timed_out && !cancelled && !stopped; }
};

// Errors: the command could not be started; stdout was larger than out_limit.
Result<Finished> Run(Reaper& reaper, const Command& command, const RunOptions& options);

struct PipelineFinished {
  Finished producer, consumer;
  uint64_t bytes = 0;  // that went from one to the other
};

// producer | consumer. The consumer sees the end of its input only when the producer has ended
// well; else it is stopped, so that it cannot take a truncated stream for a whole one.
// on_bytes is called with the count so far, some times a second.
Result<PipelineFinished> RunPipeline(Reaper& reaper, const Command& producer,
                                     const Command& consumer,
                                     const std::function<void(uint64_t)>& on_bytes,
                                     const Cancellation& cancellation);

// Cuts a byte stream into lines.
class LineSplitter {
 public:
  // Calls back for each complete line, without its line break.
  void Add(std::string_view bytes, const LineCallback& callback);
  // What follows the last line break.
  void Flush(const LineCallback& callback);

 private:
  std::string rest_;
};

}  // namespace longshore::worker
