// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/top/top.h"

#include <csignal>
#include <cstdio>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "common/base/log.h"
#include "common/base/mutex.h"
#include "nodeagent/measurement.h"
#include "nodeagent/top/json.h"
#include "nodeagent/top/screen.h"
#include "nodeagent/top/terminal.h"

namespace longshore::nodeagent::top {
namespace {

int Fail(const std::string& why, int status) {
  std::fprintf(stderr, "longshore-nodeagent: %s\n", why.c_str());
  return status;
}

TableOptions TableOf(const TopOptions& options) {
  TableOptions table;
  table.sort = static_cast<size_t>(FindColumn(options.sort));
  table.reverse = options.reverse;
  table.containers = options.containers;
  return table;
}

bool Print(const std::string& text) {
  return std::fputs(text.c_str(), stdout) >= 0 && std::fflush(stdout) == 0;
}

std::string Lines(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// One sample each interval, by the collector's own waiting, which handles cgroup events meanwhile.
class Sampler {
 public:
  Sampler(Collector& collector, std::chrono::milliseconds interval)
      : collector_(collector), interval_(interval) {
    Begin();
  }
  // From here on, forgetting what was.
  void Begin() {
    tick_ = Clock::Real().Monotonic();
    now_ = collector_.Take();
  }
  // True: there is a new pair. False: something woke us before that.
  bool Wait() {
    if (Clock::Real().Monotonic() >= tick_ + interval_) tick_ = Clock::Real().Monotonic();
    const MonotonicTime next = tick_ + interval_;
    collector_.WaitUntil(next);
    if (Clock::Real().Monotonic() < next) return false;
    tick_ = next;
    before_ = std::exchange(now_, collector_.Take());
    pairs_ += 1;
    return true;
  }
  bool has_pair() const { return pairs_ > 0; }
  const Sample& before() const { return before_; }
  const Sample& now() const { return now_; }

 private:
  Collector& collector_;
  const std::chrono::milliseconds interval_;
  MonotonicTime tick_{};
  Sample before_, now_;
  uint64_t pairs_ = 0;
};

int RunPlain(const TopOptions& options, Measurement& measurement,
             std::chrono::milliseconds interval) {
  std::signal(SIGPIPE, SIG_IGN);  // `top | head` ends by the failing write
  PodNames names(options.pod_folder);
  Sampler sampler(measurement.collector(), interval);
  std::string pod;
  if (options.pod) {
    auto found = FindPod(*options.pod, sampler.now(), names);
    if (!found.has_value()) return Fail("--pod: " + found.error().message, 1);
    pod = *std::move(found);
    measurement.collector().Watch({pod});
    sampler.Begin();  // watched from this sample on
  }
  while (true) {
    while (!sampler.Wait()) {
    }
    names.Refresh();
    const Sample &before = sampler.before(), &now = sampler.now();
    std::string text;
    if (options.json) {
      text = RenderJson(before, now, TableOf(options), names, pod) + "\n";
    } else if (!pod.empty()) {
      text = Lines(PodLines(pod, before, now, names));
    } else {
      const Table table = MakeTable(before, now, TableOf(options), names);
      text = Lines(HeadLines(before, now)) + table.title + "\n" + Lines(table.lines);
    }
    if (!Print(text)) return 1;
    if (options.once) return 0;
    if (!options.json && !Print("\n")) return 1;
  }
}

// What the terminal's thread has told and the drawing thread has not yet done.
class Inbox {
 public:
  explicit Inbox(std::function<void()> wake) : wake_(std::move(wake)) {}
  void Add(const Press& press) {
    {
      MutexLock lock(mutex_);
      presses_.push_back(press);
    }
    wake_();
  }
  void Stop() {
    {
      MutexLock lock(mutex_);
      stop_ = true;
    }
    wake_();
  }
  bool stop() {
    MutexLock lock(mutex_);
    return stop_;
  }
  std::deque<Press> TakeAll() {
    MutexLock lock(mutex_);
    return std::exchange(presses_, {});
  }

 private:
  const std::function<void()> wake_;
  Mutex mutex_;
  bool stop_ LS_GUARDED_BY(mutex_) = false;
  std::deque<Press> presses_ LS_GUARDED_BY(mutex_);
};

int RunLive(const TopOptions& options, Measurement& measurement,
            std::chrono::milliseconds interval) {
  SetLogLevel(LogLevel::kError);  // lines of the log would tear the picture
  Screen screen(TableOf(options), options.pod_folder);
  Sampler sampler(measurement.collector(), interval);
  if (options.pod) {
    const auto pod = FindPod(*options.pod, sampler.now(), screen.names());
    if (!pod.has_value()) return Fail("--pod: " + pod.error().message, 1);
    screen.Open(*pod);
  }
  Inbox inbox([&] { measurement.kernel().Wake(); });
  auto opened = Terminal::Open({.press = [&](const Press& press) { inbox.Add(press); },
                                .resize = [&] { measurement.kernel().Wake(); },
                                .stop = [&] { inbox.Stop(); }});
  if (!opened.has_value()) return Fail(opened.error().message, 2);
  Terminal& terminal = **opened;
  terminal.Draw({"measuring the first interval"});
  std::string watched;
  while (!inbox.stop()) {
    if (screen.open() != watched) {
      watched = screen.open();
      measurement.collector().Watch(watched.empty() ? std::vector<std::string>{}
                                                    : std::vector<std::string>{watched});
    }
    (void)sampler.Wait();
    for (const Press& press : inbox.TakeAll()) {
      if (!screen.Handle(press)) return 0;
    }
    if (!sampler.has_pair() || inbox.stop()) continue;
    terminal.Draw(screen.Draw(sampler.before(), sampler.now(), terminal.size()));
  }
  return 0;
}

}  // namespace

int RunTop(const TopOptions& options, const MeasurementOptions& what,
           std::chrono::milliseconds interval) {
  auto measurement = Measurement::Start(what, Clock::Real());
  if (!measurement.has_value()) return Fail(measurement.error().message, 2);
  const bool live = !options.once && !options.json && Terminal::Usable();
  return live ? RunLive(options, **measurement, interval)
              : RunPlain(options, **measurement, interval);
}

}  // namespace longshore::nodeagent::top
