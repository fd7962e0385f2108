// SPDX-License-Identifier: Apache-2.0
//
// Keeps the last calls about pods of ours as files, to be replayed elsewhere: off unless a folder
// is given. The scheduler waits for a copy of the bytes only; the files are made on a thread of its
// own, and what comes faster than that is dropped and counted. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>

#include "common/base/log_limit.h"
#include "extender/background_queue.h"
#include "extender/recording.h"

namespace longshore::extender {

struct RecorderOptions {
  std::string folder;
  // Of the files in it; then the oldest go.
  size_t max_files = 200;
  uint64_t max_bytes = uint64_t{64} << 20;
  // Longer calls are not recorded, nor more than so much at once that waits to be written.
  size_t max_call_bytes = size_t{8} << 20;
  size_t max_waiting_bytes = size_t{32} << 20;
};

class Recorder {
 public:
  // The registry outlives the recorder.
  Recorder(RecorderOptions options, std::string version, metrics::Registry& registry);

  // Makes the folder (0700) if need be, and counts what an earlier process left in it.
  Status Start();
  // Whether a call of that size is to be given to Record; counts it as dropped if not.
  bool Wants(size_t bytes);
  void Record(RecordedCall call);
  void Flush() { queue_.Flush(); }

 private:
  void Write(const RecordedCall& call);

  const RecorderOptions options_;
  const std::string version_;
  metrics::Counter& written_;
  metrics::Counter& dropped_;
  LogRate failure_log_;
  std::atomic<size_t> waiting_bytes_{0};
  // On the queue's thread, once it was started.
  std::deque<std::pair<std::string, uint64_t>> files_;  // and their sizes, oldest first
  uint64_t bytes_ = 0;                                  // of all of them
  uint64_t number_ = 0;                                 // tells calls of one microsecond apart
  BackgroundQueue queue_;
};

}  // namespace longshore::extender
