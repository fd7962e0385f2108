// SPDX-License-Identifier: Apache-2.0
#include "tests/nodeagent/test_cgroups.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <fstream>

#include "common/base/files.h"
#include "common/base/strings.h"
#include "nodeagent/bpf_host.h"

namespace longshore::nodeagent {
namespace {

namespace fs = std::filesystem;

// Those whose files the tests read, and v2. Others would only make the clean-up longer.
bool Wanted(const CgroupMount& mount, bool with_cpu) {
  return mount.v2 || (with_cpu && mount.controllers.contains("cpu")) ||
         mount.controllers.contains("cpuacct") || mount.controllers.contains("blkio") ||
         mount.controllers.contains("memory");
}

void WriteProcs(const std::string& directory, pid_t pid) {
  std::ofstream out(directory + "/cgroup.procs");
  out << pid << std::flush;
  LS_CHECK(out.good());
}

// fork(), but the child is in the cgroup of this directory from its first instruction, as container
// runtimes do it. Unlike fork() it leaves the allocator's locks as they are: where other threads
// run, the child must not allocate.
pid_t ForkInto(const std::string& v2_directory) {
  const UniqueFd directory(::open(v2_directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  LS_CHECK(directory.valid());
  clone_args arguments{};
  arguments.flags = CLONE_INTO_CGROUP;
  arguments.exit_signal = SIGCHLD;
  arguments.cgroup = static_cast<__u64>(directory.get());
  return static_cast<pid_t>(::syscall(SYS_clone3, &arguments, sizeof arguments));
}

// As a kubelet does, from our root down to the parent of `leaf`. What the machine's root doesn't
// hand down stays off.
void EnableControllers(const fs::path& root, const fs::path& leaf, bool with_cpu) {
  fs::path level = root;
  for (const fs::path& name : leaf.lexically_relative(root)) {
    for (const char* controller : {"+memory", "+io"}) {
      std::ofstream(level / "cgroup.subtree_control") << controller;
    }
    if (with_cpu) std::ofstream(level / "cgroup.subtree_control") << "+cpu";
    level /= name;
  }
}

void RemoveTree(const std::string& directory) {
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(directory, ignored)) {
    if (entry.is_directory(ignored)) RemoveTree(entry.path().string());
  }
  // A process that has just ended may hold the cgroup for a moment.
  for (int attempt = 0; attempt < 200 && ::rmdir(directory.c_str()) != 0 && errno == EBUSY;
       ++attempt) {
    ::usleep(5000);
  }
}

}  // namespace

std::string TestCgroups::WhyNot() {
  const auto loaded = BpfHost::Load(BpfConfig{});
  if (!loaded.has_value()) return loaded.error().ToString();
  if (::access("/sys/fs/cgroup", W_OK) != 0) return "/sys/fs/cgroup is not writable";
  return "";
}

TestCgroups::TestCgroups(const std::string& name, bool with_cpu)
    : with_cpu_(with_cpu), root_("/longshore-test-" + name + "-" + std::to_string(::getpid())) {
  const auto mountinfo = ReadFile("/proc/self/mountinfo");
  LS_CHECK(mountinfo.has_value());
  mounts_ = ParseMountInfo(*mountinfo, "/sys/fs/cgroup");
  std::erase_if(mounts_, [&](const CgroupMount& mount) { return !Wanted(mount, with_cpu); });
  Make("");
}

TestCgroups::~TestCgroups() {
  for (const CgroupMount& mount : mounts_) RemoveTree(mount.path + root_);
}

std::string TestCgroups::Directory(const CgroupMount& mount, const std::string& path) const {
  return mount.path + root_ + "/kubepods" + (path.empty() ? "" : "/" + path);
}

void TestCgroups::Make(const std::string& path) {
  for (const CgroupMount& mount : mounts_) {
    const std::string directory = Directory(mount, path);
    fs::create_directories(directory);
    if (mount.v2) EnableControllers(mount.path + root_, directory, with_cpu_);
  }
}

void TestCgroups::Remove(const std::string& path) {
  for (const CgroupMount& mount : mounts_) RemoveTree(Directory(mount, path));
}

pid_t TestCgroups::Run(const std::string& path, const std::function<void()>& work) {
  int gate[2];
  LS_CHECK(::pipe2(gate, O_CLOEXEC) == 0);
  const UniqueFd wait(gate[0]), open(gate[1]);
  const auto v2 = std::find_if(mounts_.begin(), mounts_.end(), [](const auto& m) { return m.v2; });
  const pid_t child = v2 == mounts_.end() ? ::fork() : ForkInto(Directory(*v2, path));
  LS_CHECK(child >= 0);
  char byte = 0;
  if (child != 0) {
    for (const CgroupMount& mount : mounts_) {
      if (!mount.v2) WriteProcs(Directory(mount, path), child);
    }
    LS_CHECK(::write(open.get(), &byte, 1) == 1);
    return child;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::read(wait.get(), &byte, 1) != 1) ::_exit(98);
  work();
  ::_exit(0);
}

void TestCgroups::Move(const std::string& path, pid_t pid) {
  for (const CgroupMount& mount : mounts_) WriteProcs(Directory(mount, path), pid);
}

CgroupLayout TestCgroups::Layout() const {
  LayoutOptions options;
  options.cgroup_root = root_;
  auto layout = DiscoverLayout(options);
  LS_CHECK(layout.has_value());
  return *layout;
}

std::string TestCgroups::Read(const std::string& controller, const std::string& path,
                              const std::string& file) const {
  for (const CgroupMount& mount : mounts_) {
    if (controller.empty() ? !mount.v2 : !mount.controllers.contains(controller)) continue;
    auto text = ReadFile(Directory(mount, path) + "/" + file);
    return text.has_value() ? *text : "";
  }
  return "";
}

bool TestCgroups::Write(const std::string& controller, const std::string& path,
                        const std::string& file, const std::string& text) const {
  for (const CgroupMount& mount : mounts_) {
    if (controller.empty() ? !mount.v2 : !mount.controllers.contains(controller)) continue;
    std::ofstream out(Directory(mount, path) + "/" + file);
    out << text << std::flush;
    return out.good();
  }
  return false;
}

std::string ContainerName(int number) {
  char name[65];
  std::snprintf(name, sizeof name, "%064x", static_cast<unsigned>(number));
  return name;
}

pid_t ForkBound() {
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(98);  // it ended first
  }
  return child;
}

void Spin(std::chrono::milliseconds cpu_time) {
  timespec used{};
  do {
    for (int i = 0; i < 20000; ++i) asm volatile("");  // work that no compiler removes
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  } while (used.tv_sec * 1000 + used.tv_nsec / 1'000'000 < cpu_time.count());
}

int WaitFor(pid_t pid) {
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace longshore::nodeagent
