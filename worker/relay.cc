// SPDX-License-Identifier: Apache-2.0
#include "worker/relay.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "common/base/log.h"

namespace longshore::worker {
namespace {

// More cannot pile up: the controller sends one assignment at a time and repeats the rest.
constexpr size_t kMaxEvents = 256;
constexpr std::chrono::seconds kTick{1};

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace

std::string ReadyFile(const std::string& scratch) { return scratch + "/connected"; }

Relay::Relay(Options options, Reaper& reaper)
    : options_(std::move(options)),
      reaper_(reaper),
      session_({options_.version, options_.settings.kind, options_.settings.tools}),
      progress_(Clock::Real()) {}

Relay::~Relay() {
  if (cancellation_) cancellation_->Cancel();
  if (client_) client_->Stop();
}

Status Relay::Run() {
  client_ = std::make_unique<streams::Client>(options_.client, *this);
  LS_RETURN_IF_ERROR(client_->Start());
  MonotonicTime next_tick = Clock::Real().Monotonic() + kTick;
  while (!done_) {
    if (std::optional<Event> event = Take(next_tick)) CarryOut(Handle(std::move(*event)));
    if (Clock::Real().Monotonic() < next_tick) continue;
    next_tick += kTick;
    CarryOut(Tick());
  }
  client_->Stop();
  return {};
}

void Relay::Stop() { Post(Stopped{}); }

void Relay::OnOpen() { Post(Opened{}); }

void Relay::OnMessage(std::string_view message) { Post(Received{std::string(message)}); }

void Relay::OnClose(const std::string& reason) {
  MutexLock lock(mutex_);
  // The same failure, each attempt: say it once.
  if (reason != std::exchange(last_close_, reason)) {
    LogWarn("stream to the controller is closed", {{"reason", reason}});
  }
}

void Relay::Post(Event event) {
  {
    MutexLock lock(mutex_);
    const bool droppable = std::holds_alternative<Received>(event);
    if (droppable && events_.size() >= kMaxEvents) {
      if (const auto left_out = lost_log_.Admit()) {
        LogError("a message of the controller is dropped: the queue is full",
                 {{"leftOut", *left_out}});
      }
      return;
    }
    events_.push_back(std::move(event));
  }
  wake_.notify_one();
}

std::optional<Relay::Event> Relay::Take(MonotonicTime until) {
  MutexLock lock(mutex_);
  while (events_.empty()) {
    if (wake_.wait_until(mutex_, until) == std::cv_status::timeout && events_.empty()) {
      return std::nullopt;
    }
  }
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

Actions Relay::Handle(Event event) {
  return std::visit(
      Overloaded{
          [&](Opened) {
            {
              MutexLock lock(mutex_);
              last_close_.clear();
            }
            LogInfo("stream to the controller is open");
            return session_.OnOpen();
          },
          [&](Stopped) {
            LogInfo("stopping", {{"operationRunning", session_.running()}});
            give_up_at_ = Clock::Real().Monotonic() + options_.stop_grace;
            return session_.OnStop();
          },
          [&](const Received& received) {
            messages::ControllerMessage message;
            if (!message.ParseFromString(received.bytes)) {
              if (const auto left_out = lost_log_.Admit()) {
                LogError("a message of the controller cannot be parsed", {{"leftOut", *left_out}});
              }
              return Actions{};
            }
            return session_.OnMessage(message);
          },
          [&](Ended& ended) {
            messages::OperationResult& result = ended.result;
            if (interrupted_ && result.error_class() == kCancelledClass) {
              result.set_error_class(kInterruptedClass);
              result.set_error_message("the pod was told to stop and its grace period is over");
              result.set_retryable(true);
            }
            LogInfo("operation ended", {{"operation", result.operation()},
                                        {"attempt", result.attempt()},
                                        {"succeeded", result.succeeded()},
                                        {"errorClass", result.error_class()},
                                        {"errorMessage", result.error_message()}});
            return session_.OnFinished(result);
          },
      },
      event);
}

Actions Relay::Tick() {
  MarkReady();
  if (give_up_at_ && session_.running() && Clock::Real().Monotonic() >= *give_up_at_) {
    interrupted_ = true;
    cancellation_->Cancel();
  }
  return session_.OnTick(progress_.Report());
}

void Relay::CarryOut(Actions actions) {
  for (Action& action : actions) {
    std::visit(Overloaded{
                   [&](const SendMessage& send) {
                     // Not connected: the session says it again, or hello does.
                     if (auto sent = client_->Send(send.message.SerializeAsString()); !sent) {
                       LogDebug("not sent", {{"error", sent.error().message}});
                     }
                   },
                   [&](StartOperation& start) { Start(std::move(start.assign)); },
                   [&](CancelOperation) { cancellation_->Cancel(); },
                   [&](Exit) { done_ = true; },
               },
               action);
  }
}

void Relay::Start(messages::Assign assign) {
  if (operation_.joinable()) operation_.join();  // it has ended: its result was handled
  LogInfo("operation starts", {{"operation", assign.operation()},
                               {"type", assign.type()},
                               {"part", assign.part()},
                               {"attempt", assign.attempt()},
                               {"epoch", assign.epoch()}});
  cancellation_ = std::make_unique<Cancellation>();
  progress_.Enter(kPhaseConnecting);
  operation_ = std::jthread([this, assign = std::move(assign)] {
    Post(Ended{RunOperation(assign, options_.settings, reaper_, progress_, *cancellation_)});
  });
}

// The kubelet's probe looks at the file's age. Not synced: it is worth nothing after a crash, and a
// pod that waits shall do no I/O.
void Relay::MarkReady() {
  const std::string path = ReadyFile(options_.settings.scratch);
  if (!client_->connected()) {
    ::unlink(path.c_str());
    return;
  }
  const UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  if (!fd.valid() || ::futimens(fd.get(), nullptr) != 0) {
    if (const auto left_out = ready_log_.Admit()) {
      LogWarn("cannot mark readiness", {{"file", path}, {"leftOut", *left_out}});
    }
  }
}

}  // namespace longshore::worker
