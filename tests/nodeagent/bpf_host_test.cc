// SPDX-License-Identifier: Apache-2.0
//
// What the agent does where the kernel refuses or lacks a part of its programs: played by libbpf's
// own hooks, on a kernel that has them all.
#include "nodeagent/bpf_host.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>

#include "nodeagent/measurement.h"
#include "tests/nodeagent/kernel_agent.h"

namespace longshore::nodeagent {
namespace {

using std::chrono::seconds;
using ::testing::Contains;
using ::testing::Not;

// Programs of this section are handled so, of what is loaded and ends while this lives.
class SectionHandler {
 public:
  SectionHandler(const char* section, bpf_prog_type type, bpf_attach_type attach,
                 const libbpf_prog_handler_opts& options)
      : id_(Register(section, type, attach, options)) {
    LS_CHECK(id_ > 0);
  }
  ~SectionHandler() { libbpf_unregister_prog_handler(id_); }
  SectionHandler(const SectionHandler&) = delete;
  SectionHandler& operator=(const SectionHandler&) = delete;

 private:
  static int Register(const char* section, bpf_prog_type type, bpf_attach_type attach,
                      const libbpf_prog_handler_opts& options) {
    // Before 1.4 libbpf uses freed memory after the last one was unregistered: one stays.
    static const int kept = libbpf_register_prog_handler("longshore/kept", type, attach, &options);
    return kept > 0 ? libbpf_register_prog_handler(section, type, attach, &options) : kept;
  }
  const int id_;
};

int RefuseToLoad(bpf_program*, bpf_prog_load_opts*, long error) {  // NOLINT(google-runtime-int)
  return static_cast<int>(-error);
}

// As if the kernel refused to load the program that sees block I/O issued.
SectionHandler RefuseBlockIo(int error) {
  LIBBPF_OPTS(libbpf_prog_handler_opts, options);
  options.cookie = error;
  options.prog_prepare_load_fn = RefuseToLoad;
  return {"tp_btf/block_rq_issue", BPF_PROG_TYPE_TRACING, BPF_TRACE_RAW_TP, options};
}

class BpfHostTest : public KernelSideTest {
 protected:
  void SetUp() override {
    KernelSideTest::SetUp();
    if (IsSkipped()) return;
    const auto host = BpfHost::Load({});
    ASSERT_TRUE(host.has_value()) << host.error().ToString();
    usual_ = (*host)->degraded();
  }
  std::vector<std::string> usual_;  // what this kernel lacks
};

// The verifier's word for most of what it refuses is EACCES: the others are tried without that
// part.
TEST_F(BpfHostTest, APartThatTheVerifierRefusesIsLeftOut) {
  const SectionHandler handler = RefuseBlockIo(EACCES);
  const auto host = BpfHost::Load({});
  ASSERT_TRUE(host.has_value()) << host.error().ToString();
  EXPECT_THAT((*host)->degraded(), Contains("block-io"));
  if (!std::ranges::count(usual_, "network")) {
    EXPECT_THAT((*host)->degraded(), Not(Contains("network")));
  }
}

// Without the capability no part can be loaded, and the message says what is needed.
TEST_F(BpfHostTest, AMissingCapabilityIsSaid) {
  if (std::ranges::count(usual_, "block-io")) GTEST_SKIP() << "block I/O is not measured here";
  const SectionHandler handler = RefuseBlockIo(EPERM);
  const auto host = BpfHost::Load({});
  ASSERT_FALSE(host.has_value());
  EXPECT_EQ(host.error().code, Code::kPermissionDenied);
  EXPECT_THAT(host.error().message, ::testing::HasSubstr("CAP_BPF"));
}

std::atomic<bool> ext4_is_loaded;

int AttachIfLoaded(const bpf_program* program, long,
                   bpf_link** link) {  // NOLINT(google-runtime-int)
  if (!ext4_is_loaded) return -ENOENT;
  const char* name = std::strchr(bpf_program__section_name(program), '/') + 1;
  *link = bpf_program__attach_raw_tracepoint(program, name);
  return *link == nullptr ? -errno : 0;
}

// ext4 may be a module that is loaded when the first such volume is mounted: within 10 s.
TEST_F(BpfHostTest, FsyncIsMeasuredOnceItsFileSystemIsLoaded) {
  if (std::ranges::count(usual_, "fsync")) GTEST_SKIP() << "no ext4 here";
  ext4_is_loaded = false;
  LIBBPF_OPTS(libbpf_prog_handler_opts, options);
  options.prog_attach_fn = AttachIfLoaded;
  const SectionHandler enter("raw_tp/ext4_sync_file_enter", BPF_PROG_TYPE_RAW_TRACEPOINT,
                             bpf_attach_type{}, options);
  const SectionHandler exit("raw_tp/ext4_sync_file_exit", BPF_PROG_TYPE_RAW_TRACEPOINT,
                            bpf_attach_type{}, options);
  TestCgroups cgroups("late");
  cgroups.Make("podlate/c1");
  const auto measurement = Measurement::Start({.cgroup_root = cgroups.root()}, Clock::Real());
  ASSERT_TRUE(measurement.has_value()) << measurement.error().ToString();
  EXPECT_THAT((*measurement)->degraded(), Contains("fsync"));
  const MonotonicTime now = Clock::Real().Monotonic();
  EXPECT_FALSE((*measurement)->LookAgain(now + seconds(11))) << "it is not there yet";
  ext4_is_loaded = true;
  EXPECT_FALSE((*measurement)->LookAgain(now + seconds(15))) << "10 s after the last look";
  EXPECT_TRUE((*measurement)->LookAgain(now + seconds(21)));
  EXPECT_THAT((*measurement)->degraded(), Not(Contains("fsync")));
  EXPECT_THAT((*measurement)->kernel().degraded(), Not(Contains("fsync")));
  EXPECT_FALSE((*measurement)->LookAgain(now + seconds(40))) << "nothing is new";

  const ScratchFile file("late");
  EXPECT_EQ(WaitFor(cgroups.Run("podlate/c1",
                                [&] {
                                  const int fd =
                                      ::open(file.path.c_str(), O_WRONLY | O_CREAT, 0600);
                                  if (::write(fd, "late", 4) != 4 || ::fsync(fd) != 0) ::_exit(1);
                                })),
            0);
  const Sample sample = (*measurement)->collector().Take();
  if (sample.node.pods.fsyncs == 0) GTEST_SKIP() << file.path << " is not on ext4";
  EXPECT_EQ(sample.node.pods.fsyncs, 1u);
}

}  // namespace
}  // namespace longshore::nodeagent
