// SPDX-License-Identifier: Apache-2.0
#include "worker/run.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace longshore::worker {
namespace {

constexpr size_t kErrTail = 16u << 10;
constexpr int kPipeBytes = 1 << 20;

enum class ReadState { kOpen, kEnd };

// Reads what is there now, up to 1 MiB: the caller has other things to look at.
template <class Sink>
ReadState ReadAvailable(int fd, Sink&& sink) {
  char buffer[65536];
  for (int turn = 0; turn < 16; ++turn) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n > 0) {
      sink(std::string_view(buffer, static_cast<size_t>(n)));
      continue;
    }
    if (n < 0 && errno == EINTR) continue;
    return n < 0 && errno == EAGAIN ? ReadState::kOpen : ReadState::kEnd;
  }
  return ReadState::kOpen;
}

// The stderr of one child: its last part is kept, and lines are handed on.
class ErrReader {
 public:
  explicit ErrReader(const LineCallback& on_line) : on_line_(on_line) {}

  ReadState Read(int fd) {
    return ReadAvailable(fd, [this](std::string_view bytes) {
      tail_.append(bytes);
      if (tail_.size() > 2 * kErrTail) tail_.erase(0, tail_.size() - kErrTail);
      if (on_line_) lines_.Add(bytes, on_line_);
    });
  }
  std::string Take() {
    if (on_line_) lines_.Flush(on_line_);
    if (tail_.size() > kErrTail) tail_.erase(0, tail_.size() - kErrTail);
    return std::move(tail_);
  }

 private:
  const LineCallback& on_line_;
  LineSplitter lines_;
  std::string tail_;
};

// One child being run: the state that Run's poll loop works on.
class Runner {
 public:
  Runner(Process& process, const RunOptions& options)
      : process_(process), options_(options), err_(options.on_err) {
    if (options.input.empty()) process_.CloseIn();
    if (options.timeout) deadline_ = std::chrono::steady_clock::now() + *options.timeout;
  }

  Result<Finished> Finish() {
    while (!Done()) {
      Wait();
      if (options_.cancellation != nullptr && options_.cancellation->cancelled()) {
        finished_.cancelled = true;
        break;
      }
      if (deadline_ && std::chrono::steady_clock::now() >= *deadline_) {
        finished_.timed_out = true;
        break;
      }
      if (too_large_ || HeldOpen()) break;
    }
    finished_.stopped = !process_.status();
    finished_.status = process_.Stop();
    if (options_.on_out) out_lines_.Flush(options_.on_out);
    finished_.err = err_.Take();
    if (too_large_) return Error{Code::kResourceExhausted, "the tool's output is too large"};
    return std::move(finished_);
  }

 private:
  // All it said has been read, and it has ended.
  bool Done() const { return !out_open_ && !err_open_ && process_.status().has_value(); }

  // It ended two seconds ago and something that left its group keeps a pipe open: don't wait.
  bool HeldOpen() {
    if (!process_.status()) return false;
    const auto now = std::chrono::steady_clock::now();
    if (!ended_) ended_ = now;
    return now - *ended_ > std::chrono::seconds(2);
  }

  void Wait() {
    std::vector<pollfd> fds;
    fds.push_back({out_open_ ? process_.out() : -1, POLLIN, 0});
    fds.push_back({err_open_ ? process_.err() : -1, POLLIN, 0});
    fds.push_back({process_.in(), POLLOUT, 0});
    fds.push_back({process_.ended_event(), POLLIN, 0});
    if (options_.cancellation != nullptr) {
      for (const int fd : options_.cancellation->fds()) fds.push_back({fd, POLLIN, 0});
    }
    // While a pipe is open after the end (a group member being killed), don't spin on the event.
    if (process_.status() && (out_open_ || err_open_)) fds[3].fd = -1;
    ::poll(fds.data(), fds.size(), 500);
    if (fds[0].revents != 0) ReadOut();
    if (fds[1].revents != 0) err_open_ = err_.Read(process_.err()) == ReadState::kOpen;
    if (fds[2].revents != 0) Feed();
  }

  void ReadOut() {
    const ReadState state = ReadAvailable(process_.out(), [this](std::string_view bytes) {
      if (options_.on_out_bytes) {
        options_.on_out_bytes(bytes);
      } else if (options_.on_out) {
        out_lines_.Add(bytes, options_.on_out);
      } else if (finished_.out.size() + bytes.size() <= options_.out_limit) {
        finished_.out.append(bytes);
      } else {
        too_large_ = true;
      }
    });
    out_open_ = state == ReadState::kOpen;
  }

  void Feed() {
    const std::string_view rest = std::string_view(options_.input).substr(fed_);
    const ssize_t n = ::write(process_.in(), rest.data(), rest.size());
    if (n > 0) fed_ += static_cast<size_t>(n);
    const bool broken = n < 0 && errno != EAGAIN && errno != EINTR;
    if (broken || fed_ == options_.input.size()) process_.CloseIn();
  }

  Process& process_;
  const RunOptions& options_;
  ErrReader err_;
  LineSplitter out_lines_;
  Finished finished_;
  size_t fed_ = 0;
  bool out_open_ = true, err_open_ = true, too_large_ = false;
  std::optional<std::chrono::steady_clock::time_point> deadline_, ended_;
};

// The state of RunPipeline: bytes are spliced from pipe to pipe, never copied to this process.
class Pipeline {
 public:
  Pipeline(Process& producer, Process& consumer, const std::function<void(uint64_t)>& on_bytes,
           const Cancellation& cancellation)
      : producer_(producer), consumer_(consumer), on_bytes_(on_bytes), cancellation_(cancellation) {
    producer_.CloseIn();
    ::fcntl(producer_.out(), F_SETPIPE_SZ, kPipeBytes);
    ::fcntl(consumer_.in(), F_SETPIPE_SZ, kPipeBytes);
  }

  PipelineFinished Finish() {
    while (!Over()) {
      Wait();
      if (cancellation_.cancelled()) break;
    }
    const bool cancelled = cancellation_.cancelled();
    if (cancelled) {  // both at once: each may wait for the other
      producer_.Signal(SIGINT);
      consumer_.Signal(SIGINT);
    }
    producer_err_.Read(producer_.err());
    consumer_err_.Read(consumer_.err());
    PipelineFinished finished;
    finished.producer.stopped = !producer_.status();
    finished.consumer.stopped = !consumer_.status();
    finished.producer.status = producer_.Stop();
    finished.consumer.status = consumer_.Stop();
    finished.producer.err = producer_err_.Take();
    finished.consumer.err = consumer_err_.Take();
    finished.producer.cancelled = finished.consumer.cancelled = cancelled;
    finished.bytes = bytes_;
    return finished;
  }

 private:
  bool Over() {
    const auto produced = producer_.status(), consumed = consumer_.status();
    if (consumed && !consumed->ok()) return true;
    if (produced && !produced->ok()) return true;  // Stop() ends the consumer: it sees no end
    if (produced && !data_open_) consumer_.CloseIn();
    return produced && consumed && !data_open_;
  }

  void Wait() {
    const bool wait_for_room = blocked_by_consumer_ && !consumer_gone_;
    std::vector<pollfd> fds;
    fds.push_back({data_open_ && !wait_for_room ? producer_.out() : -1, POLLIN, 0});
    fds.push_back({data_open_ && wait_for_room ? consumer_.in() : -1, POLLOUT, 0});
    fds.push_back({producer_err_open_ ? producer_.err() : -1, POLLIN, 0});
    fds.push_back({consumer_err_open_ ? consumer_.err() : -1, POLLIN, 0});
    for (const int fd : cancellation_.fds()) fds.push_back({fd, POLLIN, 0});
    ::poll(fds.data(), fds.size(), 50);
    if (fds[0].revents != 0 || fds[1].revents != 0) Move();
    if (fds[2].revents != 0) {
      producer_err_open_ = producer_err_.Read(producer_.err()) == ReadState::kOpen;
    }
    if (fds[3].revents != 0) {
      consumer_err_open_ = consumer_err_.Read(consumer_.err()) == ReadState::kOpen;
    }
  }

  void Move() {
    if (consumer_gone_) return Discard();
    const ssize_t n = ::splice(producer_.out(), nullptr, consumer_.in(), nullptr, kPipeBytes,
                               SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
    if (n > 0) {
      Count(static_cast<size_t>(n));
      blocked_by_consumer_ = false;
    } else if (n == 0) {
      data_open_ = false;
    } else if (errno == EAGAIN) {
      blocked_by_consumer_ = !blocked_by_consumer_;  // it was the other side that was not ready
    } else if (errno != EINTR) {
      consumer_gone_ = true;  // its exit code says why; it may have had all that it needs
    }
  }

  // The consumer has read enough: the producer shall still prove that the rest can be read.
  void Discard() {
    const ReadState state =
        ReadAvailable(producer_.out(), [this](std::string_view bytes) { Count(bytes.size()); });
    data_open_ = state == ReadState::kOpen;
  }

  void Count(size_t bytes) {
    bytes_ += bytes;
    on_bytes_(bytes_);
  }

  Process& producer_;
  Process& consumer_;
  const std::function<void(uint64_t)>& on_bytes_;
  const Cancellation& cancellation_;
  LineCallback no_lines_;
  ErrReader producer_err_{no_lines_}, consumer_err_{no_lines_};
  bool producer_err_open_ = true, consumer_err_open_ = true;
  bool data_open_ = true, blocked_by_consumer_ = false, consumer_gone_ = false;
  uint64_t bytes_ = 0;
};

}  // namespace

void LineSplitter::Add(std::string_view bytes, const LineCallback& callback) {
  while (true) {
    const size_t end = bytes.find('\n');
    if (end == std::string_view::npos) break;
    rest_.append(bytes.substr(0, end));
    callback(rest_);
    rest_.clear();
    bytes.remove_prefix(end + 1);
  }
  rest_.append(bytes);
}

void LineSplitter::Flush(const LineCallback& callback) {
  if (!rest_.empty()) callback(rest_);
  rest_.clear();
}

Result<Finished> Run(Reaper& reaper, const Command& command, const RunOptions& options) {
  LS_ASSIGN_OR_RETURN(std::unique_ptr<Process> process, Process::Start(reaper, command));
  return Runner(*process, options).Finish();
}

Result<PipelineFinished> RunPipeline(Reaper& reaper, const Command& producer,
                                     const Command& consumer,
                                     const std::function<void(uint64_t)>& on_bytes,
                                     const Cancellation& cancellation) {
  LS_ASSIGN_OR_RETURN(std::unique_ptr<Process> from, Process::Start(reaper, producer));
  LS_ASSIGN_OR_RETURN(std::unique_ptr<Process> to, Process::Start(reaper, consumer));
  return Pipeline(*from, *to, on_bytes, cancellation).Finish();
}

}  // namespace longshore::worker
