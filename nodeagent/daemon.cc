// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/daemon.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "common/base/files.h"
#include "common/base/log.h"
#include "common/base/strings.h"
#include "nodeagent/startup_pages.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::nanoseconds;

// A kubelet may still be starting; a capability or a kernel does not change by itself.
constexpr std::chrono::milliseconds kRetryNotFound{1000};
constexpr std::chrono::milliseconds kRetryRefused{30000};
constexpr int kHealthThreads = 1;  // each is memory on every node
// Start-up pages are dropped after this sample, by when the controller has usually been called, and
// again every so many: each new connection touches them.
constexpr int kReleaseSample = 3, kReleaseEvery = 600;
// No sample for so long, or for so many intervals, and only a restart helps.
constexpr std::chrono::seconds kStuckAfter{30};
constexpr int kStuckIntervals = 10;

}  // namespace

nanoseconds PhaseOf(std::string_view node, nanoseconds interval) {
  uint64_t hash = 14695981039346656037u;  // FNV-1a, the same in every version of this program
  for (const char c : node) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return nanoseconds(hash % static_cast<uint64_t>(interval.count()));
}

Daemon::Daemon(Options options, const Clock& clock)
    : options_(std::move(options)),
      clock_(clock),
      metrics_(registry_),
      usage_(options_.metrics_pods, clock_),
      health_(options_.health_port,
              {.stuck = [this] { return Stuck(); },
               .unready = [this] { return Unready(); },
               .metrics = [this] { return registry_.Text() + usage_.Text(); }},
              kHealthThreads) {}

Daemon::~Daemon() { Stop(); }

std::string Daemon::Unready() {
  MutexLock lock(mutex_);
  return unready_;
}

Status Daemon::Start() {
  LS_RETURN_IF_ERROR(health_.Start());
  thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
  pthread_setname_np(thread_.native_handle(), "measure");
  return {};
}

void Daemon::Stop() {
  thread_.request_stop();
  {
    MutexLock lock(mutex_);
    stopped_.notify_all();
    if (waking_ != nullptr) waking_->Wake();  // only an eventfd: it calls nothing of ours
  }
  if (thread_.joinable()) thread_.join();
  health_.Stop();
}

void Daemon::SetUnready(const std::string& reason) {
  MutexLock lock(mutex_);
  unready_ = reason;
}

void Daemon::ShowLife() {
  MutexLock lock(mutex_);
  alive_ = clock_.Monotonic();
}

std::string Daemon::Stuck() {
  MutexLock lock(mutex_);
  if (!alive_) return "";
  const auto silent = clock_.Monotonic() - *alive_;
  if (silent <= std::max<nanoseconds>(kStuckAfter, kStuckIntervals * options_.interval)) return "";
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(silent).count();
  return "no sample for " + std::to_string(seconds) + " s";
}

// True when stopped meanwhile.
bool Daemon::SleepFor(const std::stop_token& stop, std::chrono::milliseconds time) {
  const auto until = std::chrono::steady_clock::now() + time;
  MutexLock lock(mutex_);
  while (!stop.stop_requested()) {
    if (stopped_.wait_until(mutex_, until) == std::cv_status::timeout) break;
  }
  return stop.stop_requested();
}

std::unique_ptr<Measurement> Daemon::Prepare(const std::stop_token& stop) {
  std::string said;
  while (!stop.stop_requested()) {
    auto started = Measurement::Start(options_.measurement, clock_);
    if (started.has_value()) return *std::move(started);
    const Error& error = started.error();
    SetUnready(error.message);
    if (std::exchange(said, error.message) != error.message) {
      LogError("cannot measure; trying again", {{"error", error.ToString()}});
    }
    if (SleepFor(stop, error.code == Code::kNotFound ? kRetryNotFound : kRetryRefused)) break;
  }
  return nullptr;
}

std::string Daemon::Epoch() const {
  const auto boot = ReadFile("/proc/sys/kernel/random/boot_id");
  const auto started = clock_.Monotonic().time_since_epoch();
  return std::string(boot.has_value() ? Trim(*boot) : "unknown-boot") + "/" +
         std::to_string(std::chrono::duration_cast<nanoseconds>(started).count());
}

messages::AgentHello Daemon::Hello(const Measurement& measurement, const std::string& epoch) const {
  messages::AgentHello hello;
  hello.set_node(options_.node_name);
  hello.set_version(daemon::Version());
  hello.set_epoch(epoch);
  for (const std::string& signal : measurement.degraded()) hello.add_degraded(signal);
  return hello;
}

void Daemon::Run(const std::stop_token& stop) {
  const std::unique_ptr<Measurement> measurement = Prepare(stop);
  if (measurement == nullptr) return;
  {
    MutexLock lock(mutex_);
    waking_ = &measurement->kernel();
  }
  metrics_.SetLoaded(true);
  LogInfo("measuring", {{"node", options_.node_name},
                        {"cgroup_root", measurement->layout().root},
                        {"cpu_tree", measurement->layout().cpu.directory},
                        {"io_tree", measurement->layout().io.directory},
                        {"degraded", Join(measurement->degraded(), ",")},
                        {"pods", measurement->collector().pods()}});
  Measure(*measurement, stop);
  MutexLock lock(mutex_);
  waking_ = nullptr;
}

// The first moment at this node's phase, by the wall clock; later ones follow the monotonic clock,
// so a stepped wall clock changes no interval.
MonotonicTime Daemon::FirstTick() const {
  const nanoseconds interval = options_.interval;
  const nanoseconds wall = clock_.Now().time_since_epoch();
  const nanoseconds past = (wall - PhaseOf(options_.node_name, interval)) % interval;
  return clock_.Monotonic() + (interval - past);
}

// Once as they appear: metrics tell how many there are.
void Daemon::WarnOfUnknown(const Sample& sample) {
  if (std::exchange(unknown_pods_, sample.unknown_pods) > 0 || sample.unknown_pods == 0) return;
  LogWarn("pods are not measured: more cgroups than --max-cgroups",
          {{"pods", sample.unknown_pods}, {"max_cgroups", options_.measurement.max_cgroups}});
}

void Daemon::Measure(Measurement& measurement, const std::stop_token& stop) {
  ShowLife();
  Collector& collector = measurement.collector();
  const std::string epoch = Epoch();
  Reporter reporter(options_.controller, Hello(measurement, epoch),
                    [&](std::vector<std::string> pods) { collector.Watch(std::move(pods)); });
  if (const Status started = reporter.Start(); !started.has_value()) {
    LogError("cannot report", {{"error", started.error().ToString()}});
    SetUnready(started.error().message);
    return;
  }
  int samples = 0;
  for (MonotonicTime tick = FirstTick(); !stop.stop_requested(); tick += options_.interval) {
    while (clock_.Monotonic() < tick && !stop.stop_requested()) collector.WaitUntil(tick);
    if (stop.stop_requested()) break;
    const MonotonicTime begin = clock_.Monotonic();
    if (const auto late = (begin - tick) / options_.interval; late > 0) {
      metrics_.MissedTicks(static_cast<uint64_t>(late));
      tick += late * options_.interval;
    }
    if (measurement.LookAgain(begin)) reporter.Renew(Hello(measurement, epoch));
    const auto sample = std::make_shared<const Sample>(collector.Take());
    WarnOfUnknown(*sample);
    reporter.Offer(sample);
    usage_.Update(sample, measurement.kernel().Costs());
    metrics_.AfterSample(*sample, clock_.Monotonic() - begin, reporter.counts());
    SetUnready("");
    ShowLife();
    if (++samples % kReleaseEvery == kReleaseSample) {
      const Status released = ReleaseStartupPages();
      if (!released.has_value())
        LogWarn("start-up pages", {{"error", released.error().ToString()}});
    }
  }
}

}  // namespace longshore::nodeagent
