// SPDX-License-Identifier: Apache-2.0
//
// The agent side by side with others that tell what pods use: each runs as a program of its own
// over the same 100 pods with the same light load, in turns. Told of each: CPU time, memory, how
// old a sample is when its consumer gets it, and what it never saw of pods that live some
// milliseconds.
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <thread>

#include "common/base/clock.h"
#include "common/base/files.h"
#include "common/base/log.h"
#include "nodeagent/kernel_files.h"
#include "tests/bench/nodeagent_bench.h"
#include "tests/nodeagent/agent_stream.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::milliseconds;

constexpr int kPods = 100;
constexpr int kShortLivedPods = 20;
constexpr milliseconds kWarmUp{3000}, kWindow{8000}, kSettle{4000};

// What a contender said last, and how old it was when it arrived.
struct Reading {
  double age_ms = 0;
  uint64_t short_lived_cpu_ns = 0;
};

// A program that we start on CPU 0, and end with the object.
class Program {
 public:
  // Its output goes to `output`; to /dev/null without one.
  Program(const std::vector<std::string>& arguments, int output) {
    std::vector<char*> argv;
    for (const std::string& argument : arguments)
      argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    pid_ = ::fork();
    LS_CHECK(pid_ >= 0);
    if (pid_ != 0) return;
    PinTo(0);
    const int out = output >= 0 ? output : ::open("/dev/null", O_WRONLY);
    ::dup2(out, STDOUT_FILENO);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ~Program() {
    ::kill(pid_, SIGTERM);
    WaitFor(pid_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // Of all its threads, those that ended included.
  double CpuSeconds() const {
    clockid_t clock{};
    timespec used{};
    LS_CHECK(::clock_getcpuclockid(pid_, &clock) == 0);  // fails when it has died
    LS_CHECK(::clock_gettime(clock, &used) == 0);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
  }
  // Of that, what it spent outside the kernel: in ticks, so only long times say something.
  double UserSeconds() const {
    const std::string stat = ReadFile("/proc/" + std::to_string(pid_) + "/stat").value_or("");
    std::istringstream fields(stat.substr(std::min(stat.size(), stat.rfind(')') + 2)));
    std::string skipped;
    for (int i = 3; i < 14; ++i) fields >> skipped;
    double ticks = 0;
    fields >> ticks;
    return ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  double RssMib() const {
    std::ifstream status("/proc/" + std::to_string(pid_) + "/status");
    for (std::string word; status >> word;) {
      double kib = 0;
      if (word == "VmRSS:" && status >> kib) return kib / 1024;
    }
    return 0;
  }
  // Memory of the BPF maps that it holds: the kernel's, of which what is mapped counts as RSS as
  // well.
  double MapMib() const {
    double bytes = 0;
    std::error_code ignored;
    const std::string infos = "/proc/" + std::to_string(pid_) + "/fdinfo";
    for (const auto& entry : std::filesystem::directory_iterator(infos, ignored)) {
      std::ifstream info(entry.path());
      bool map = false;
      for (std::string word; info >> word;) {
        map |= word == "map_type:";
        double size = 0;
        if (map && word == "memlock:" && info >> size) bytes += size;
      }
    }
    return bytes / (1 << 20);
  }

 private:
  pid_t pid_ = -1;
};

class Contender {
 public:
  virtual ~Contender() = default;
  virtual const Program& program() const = 0;
  std::vector<Reading> TakeReadings() {
    std::lock_guard lock(mutex_);
    return std::exchange(readings_, {});
  }

 protected:
  void Add(const Reading& reading) {
    std::lock_guard lock(mutex_);
    readings_.push_back(reading);
  }

 private:
  std::mutex mutex_;
  std::vector<Reading> readings_;
};

// Prints "AGE_MS SHORT_LIVED_CPU_NS PODS" each second.
class PrintingContender final : public Contender {
 public:
  explicit PrintingContender(const std::vector<std::string>& arguments) {
    int out[2];
    LS_CHECK(::pipe2(out, O_CLOEXEC) == 0);
    program_ = std::make_unique<Program>(arguments, out[1]);
    ::close(out[1]);
    reader_ = std::jthread([this, in = out[0]] { ReadLines(in); });
  }
  ~PrintingContender() override { program_.reset(); }  // which ends the lines
  const Program& program() const override { return *program_; }

 private:
  void ReadLines(int in) {
    std::FILE* lines = ::fdopen(in, "r");
    Reading reading;
    unsigned long long cpu = 0;
    int pods = 0;
    while (std::fscanf(lines, "%lf %llu %d", &reading.age_ms, &cpu, &pods) == 3) {
      reading.short_lived_cpu_ns = cpu;
      if (pods >= kPods) Add(reading);
    }
    std::fclose(lines);
  }
  std::unique_ptr<Program> program_;
  std::jthread reader_;
};

// The agent as it runs on a node: its report goes over TLS to where the controller would be.
class AgentContender final : public Contender {
 public:
  AgentContender(const std::string& agent, const std::string& root) {
    controller_.Start();
    const streams::ClientOptions client = controller_.Client();
    program_ = std::make_unique<Program>(
        std::vector<std::string>{
            agent, "--controller", client.host + ":" + std::to_string(client.port), "--ca-file",
            client.ca_file, "--token-file", client.token_file, "--node-name", "bench",
            "--cgroup-root", root, "--health-port", "0", "--log-level", "warn"},
        -1);
    reader_ = std::jthread([this](const std::stop_token& stop) { ReadReports(stop); });
  }
  ~AgentContender() override {
    reader_.request_stop();
    reader_.join();
  }
  const Program& program() const override { return *program_; }

 private:
  void ReadReports(const std::stop_token& stop) {
    size_t seen = 0;
    while (!stop.stop_requested()) {
      LS_CHECK(controller_.Await([&](const AgentStream::Messages& messages) {
        if (messages.size() == seen) return false;
        for (; seen < messages.size(); ++seen) {
          if (messages[seen].has_usage()) Keep(messages[seen].usage());
        }
        return true;
      }));
    }
  }
  void Keep(const messages::UsageReport& report) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const std::chrono::nanoseconds age = now - std::chrono::nanoseconds(report.wall_end_ns());
    int containers = 0;
    for (const messages::PodCounters& pod : report.pods()) {
      containers += pod.containers_size();
      if (pod.pod_uid().starts_with("short")) short_lived_[pod.pod_uid()] = pod.usage().cpu_ns();
    }
    LS_CHECK(!report.complete() || containers >= kPods);  // as many cgroups as the others read
    Reading reading{.age_ms = std::chrono::duration<double, std::milli>(age).count()};
    for (const auto& [uid, cpu] : short_lived_) reading.short_lived_cpu_ns += cpu;
    Add(reading);
  }

  AgentStream controller_;
  std::unique_ptr<Program> program_;
  std::map<std::string, uint64_t> short_lived_;
  std::jthread reader_;
};

// 100 pods of one container, each of which wakes ten times a second, works a little and reads a
// file. On the last CPU.
class LightLoad {
 public:
  LightLoad(TestCgroups& cgroups, const BenchFile& file) : cgroups_(cgroups) {
    cgroups.Make("besteffort");
    for (int i = 0; i < kPods; ++i) {
      const std::string path = "burstable/podn" + std::to_string(i) + "/" + ContainerName(i);
      cgroups.Make(path);
      processes_.push_back(cgroups.Run(path, [&] { Work(file.path().c_str()); }));
    }
  }
  ~LightLoad() {
    for (const pid_t process : processes_) ::kill(process, SIGKILL);
    for (const pid_t process : processes_) WaitFor(process);
    cgroups_.Remove("burstable");
    cgroups_.Remove("besteffort");
  }

 private:
  [[noreturn]] static void Work(const char* file) {
    PinTo(1);
    char buffer[4096];
    const int fd = ::open(file, O_RDONLY | O_CLOEXEC);
    for (;;) {
      ::usleep(100'000);
      if (::pread(fd, buffer, sizeof buffer, 0) < 0) ::_exit(1);
      for (int i = 0; i < 20'000; ++i) asm volatile("");
    }
  }
  TestCgroups& cgroups_;
  std::vector<pid_t> processes_;
};

// Returns the CPU time that they used.
uint64_t RunShortLivedPods(TestCgroups& cgroups) {
  static int next = 0;
  const CgroupLayout layout = cgroups.Layout();
  const auto used = [&] {
    return ReadCpuTotalNs(layout.cpu.directory + "/besteffort", layout.cpu.v2);
  };
  const uint64_t before = used();
  for (int i = 0; i < kShortLivedPods; ++i) {
    const std::string pod = "besteffort/podshort" + std::to_string(next);
    const std::string container = pod + "/" + ContainerName(kPods + next++);
    cgroups.Make(container);
    LS_CHECK(WaitFor(cgroups.Run(container, [] {
               PinTo(1);
               Spin(milliseconds(3));
             })) == 0);
    cgroups.Remove(pod);
    std::this_thread::sleep_for(milliseconds(50));
  }
  return used() - before;
}

struct Figures {
  std::vector<double> cores, rss_mib, map_mib, age_ms, lost;
  double user_seconds = 0, seconds = 0;  // over all rounds
};

void Measure(TestCgroups& cgroups, Contender& contender, Figures& figures) {
  std::this_thread::sleep_for(kWarmUp);
  (void)contender.TakeReadings();
  const auto begin = std::chrono::steady_clock::now();
  const double before = contender.program().CpuSeconds();
  const double user_before = contender.program().UserSeconds();
  std::this_thread::sleep_for(kWindow);
  const double used = contender.program().CpuSeconds() - before;
  const std::chrono::duration<double> window = std::chrono::steady_clock::now() - begin;
  figures.cores.push_back(used / window.count());
  figures.user_seconds += contender.program().UserSeconds() - user_before;
  figures.seconds += window.count();
  figures.rss_mib.push_back(contender.program().RssMib());
  figures.map_mib.push_back(contender.program().MapMib());
  for (const Reading& reading : contender.TakeReadings()) figures.age_ms.push_back(reading.age_ms);
  const uint64_t truth = RunShortLivedPods(cgroups);
  std::this_thread::sleep_for(kSettle);
  const std::vector<Reading> readings = contender.TakeReadings();
  LS_CHECK(!readings.empty());
  const double seen = static_cast<double>(readings.back().short_lived_cpu_ns);
  figures.lost.push_back(std::max(0.0, 1 - seen / static_cast<double>(truth)));
}

}  // namespace

void MeasureContenders(TestCgroups& cgroups, const Contenders& contenders) {
  const BenchFile file;
  const LightLoad load(cgroups, file);
  const std::string& root = cgroups.root();
  const auto printing = [](std::vector<std::string> arguments) {
    return [arguments] { return std::make_unique<PrintingContender>(arguments); };
  };
  using Start = std::function<std::unique_ptr<Contender>()>;
  const std::vector<std::pair<std::string, Start>> all = {
      {"agent", [&] { return std::make_unique<AgentContender>(contenders.agent, root); }},
      {"files_floor", printing({"/proc/self/exe", "--files-floor", root})},
      {"cadvisor_1s", printing({contenders.cadvisor, "-root", root, "-mode", "1s"})},
      {"cadvisor_default", printing({contenders.cadvisor, "-root", root, "-mode", "default"})},
  };
  std::map<std::string, Figures> figures;
  for (int round = 0; round < contenders.rounds; ++round) {
    for (size_t i = 0; i < all.size(); ++i) {  // another one begins each round
      const auto& [name, start] = all[(i + static_cast<size_t>(round)) % all.size()];
      const std::unique_ptr<Contender> contender = start();
      Measure(cgroups, *contender, figures[name]);
    }
  }
  for (const auto& [name, start] : all) {
    const Figures& figure = figures[name];
    Print(name + "_cpu_cores", Median(figure.cores), "cores");
    Print(name + "_user_cpu_cores", figure.user_seconds / figure.seconds, "cores");
    Print(name + "_rss_mib", Median(figure.rss_mib), "MiB");
    if (const double maps = Median(figure.map_mib); maps > 0) Print(name + "_map_mib", maps, "MiB");
    Print(name + "_sample_age_ms", Median(figure.age_ms), "ms");
    Print(name + "_short_lived_lost_ratio", Median(figure.lost), "ratio");
  }
}

}  // namespace longshore::nodeagent
