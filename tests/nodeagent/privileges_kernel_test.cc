// SPDX-License-Identifier: Apache-2.0
//
// With which privileges the programs load and measure: those of the manifest, of the component for
// another user, and of the one for old kernels.
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <initializer_list>
#include <string>

#include "tests/nodeagent/kernel_agent.h"

namespace longshore::nodeagent {
namespace {

class PrivilegesTest : public KernelSideTest {};

// Since 5.11 maps count as the memory of a cgroup, before as locked memory.
bool MapsAreLockedMemory() {
  utsname name{};
  if (::uname(&name) != 0) return false;
  int major = 0, minor = 0;
  return std::sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
         (major < 5 || (major == 5 && minor < 11));
}

bool MayHave(int capability) { return ::prctl(PR_CAPBSET_READ, capability, 0, 0, 0) == 1; }

// From here on this process has these capabilities, no way to others, and the locked memory of a
// container.
bool Become(uid_t uid, std::initializer_list<int> capabilities) {
  const rlimit locked{64 * 1024, 64 * 1024};
  if (::setrlimit(RLIMIT_MEMLOCK, &locked) != 0) return false;
  if (::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return false;
  if (::syscall(SYS_setresgid, uid, uid, uid) != 0 ||
      ::syscall(SYS_setresuid, uid, uid, uid) != 0) {
    return false;
  }
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2]{};
  for (const int capability : capabilities) {
    data[capability / 32].effective |= 1u << (capability % 32);
    data[capability / 32].permitted |= 1u << (capability % 32);
  }
  return ::syscall(SYS_capset, &header, data) == 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
}

enum Outcome : int { kMeasures = 0, kRefused = 1, kMeasuresNothing = 2, kCannotBecome = 3 };

// What an agent of such a process does.
Outcome Try(TestCgroups& cgroups, uid_t uid, std::initializer_list<int> capabilities) {
  const CgroupLayout layout = cgroups.Layout();
  const pid_t busy = cgroups.Run("podbusy/c1", [] {
    for (;;) Spin(milliseconds(1000));
  });
  const pid_t agent = ::fork();
  if (agent == 0) {
    if (!Become(uid, capabilities)) ::_exit(kCannotBecome);
    // As libbpf does, but once a process only, and it has done so for our parent. It may be
    // refused.
    const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
    (void)::setrlimit(RLIMIT_MEMLOCK, &unlimited);
    const auto host = BpfHost::Load(ConfigFor(layout));
    if (!host.has_value()) ::_exit(kRefused);
    CgroupTree tree(layout, **host, milliseconds(1000));
    if (!tree.Walk(std::chrono::steady_clock::now()).has_value()) ::_exit(kMeasuresNothing);
    (void)tree.Totals();
    const uint64_t before = tree.sum().cpu_ns;
    ::usleep(200'000);
    (*host)->Flush();
    (void)tree.Totals();
    ::_exit(tree.sum().cpu_ns > before ? kMeasures : kMeasuresNothing);
  }
  const int outcome = WaitFor(agent);
  ::kill(busy, SIGKILL);
  WaitFor(busy);
  return static_cast<Outcome>(outcome);
}

// The manifest's: as uid 0, and as any other that gets the same two.
TEST_F(PrivilegesTest, TheTwoCapabilitiesAreEnoughForAnyUser) {
  if (MapsAreLockedMemory()) GTEST_SKIP() << "maps count as locked memory here: the next test";
  TestCgroups cgroups("two");
  cgroups.Make("podbusy/c1");
  EXPECT_EQ(Try(cgroups, 0, {CAP_BPF, CAP_PERFMON}), kMeasures);
  EXPECT_EQ(Try(cgroups, 65534, {CAP_BPF, CAP_PERFMON}), kMeasures);
}

// manifests/components/nodeagent-old-kernel.
TEST_F(PrivilegesTest, WhereMapsAreLockedMemoryAThirdIsNeeded) {
  if (!MapsAreLockedMemory()) GTEST_SKIP() << "maps are a cgroup's memory here: the test before";
  if (!MayHave(CAP_SYS_RESOURCE)) GTEST_SKIP() << "this process may not have CAP_SYS_RESOURCE";
  TestCgroups cgroups("three");
  cgroups.Make("podbusy/c1");
  EXPECT_EQ(Try(cgroups, 0, {CAP_BPF, CAP_PERFMON, CAP_SYS_RESOURCE}), kMeasures);
  EXPECT_EQ(Try(cgroups, 0, {CAP_BPF, CAP_PERFMON}), kRefused);
}

// Each of the two is needed: nobody should give away more, or wonder what the other is for.
TEST_F(PrivilegesTest, NeitherOfTheTwoIsEnoughAlone) {
  const bool third = MapsAreLockedMemory();  // without it each would be refused for want of that
  if (third && !MayHave(CAP_SYS_RESOURCE)) {
    GTEST_SKIP() << "this process may not have CAP_SYS_RESOURCE";
  }
  TestCgroups cgroups("one");
  cgroups.Make("podbusy/c1");
  for (const int one : {CAP_BPF, CAP_PERFMON}) {
    const Outcome outcome =
        third ? Try(cgroups, 65534, {one, CAP_SYS_RESOURCE}) : Try(cgroups, 65534, {one});
    EXPECT_EQ(outcome, kRefused) << "capability " << one;
  }
}

}  // namespace
}  // namespace longshore::nodeagent
