// SPDX-License-Identifier: Apache-2.0
//
// Processes and pipelines, with the shell as the tool.
#include "worker/process.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <thread>

#include "common/base/files.h"
#include "worker/run.h"

namespace longshore::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

Reaper& TheReaper() {
  ::signal(SIGPIPE, SIG_IGN);
  static Reaper* const reaper = new Reaper();
  return *reaper;
}

Command Shell(const std::string& script) {
  return {{"sh", "-c", script}, BaseEnvironment("/tmp"), ""};
}

Finished MustRun(const std::string& script, const RunOptions& options = {}) {
  auto finished = worker::Run(TheReaper(), Shell(script), options);
  EXPECT_TRUE(finished) << finished.error().message;
  return finished ? *finished : Finished();
}

// Whether it still runs after a second. An orphan that ended may stay a zombie for as long as this
// machine's init likes.
bool Alive(const std::string& pid) {
  for (int i = 0; i < 100; ++i) {
    const auto stat = ReadFile("/proc/" + pid + "/stat");
    if (!stat || stat->find(") Z ") != std::string::npos) return false;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return true;
}

TEST(RunTest, FeedsAndReadsATool) {
  RunOptions options;
  options.input = std::string(3u << 20, 'x');
  const Finished finished = MustRun("cat; echo why >&2; exit 3", options);
  EXPECT_EQ(finished.out.size(), options.input.size());
  EXPECT_EQ(finished.err, "why\n");
  EXPECT_EQ(finished.status.code, 3);
  EXPECT_FALSE(finished.ok());
}

// A worker proves its tools before it dials: each would delay its pod by as long as nobody looks.
TEST(RunTest, NoticesAnEndAtOnce) {
  const auto begun = std::chrono::steady_clock::now();
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(MustRun("exit 0").ok());
  EXPECT_LT(std::chrono::steady_clock::now() - begun, seconds(2)) << "by looking: 200 ms each";
}

TEST(RunTest, InheritsNothingOfTheWorkersEnvironment) {
  ::setenv("LONGSHORE_TEST_SECRET", "x", 1);
  const Finished finished = MustRun("env");
  EXPECT_THAT(finished.out, ::testing::Not(HasSubstr("LONGSHORE_TEST_SECRET")));
  EXPECT_THAT(finished.out, HasSubstr("LC_ALL=C"));
}

TEST(RunTest, HandsNoDescriptorsOn) {
  const UniqueFd open(::dup(STDERR_FILENO));                              // without close-on-exec
  EXPECT_EQ(MustRun("ls /proc/self/fd | tr '\\n' ' '").out, "0 1 2 3 ");  // 3 is ls reading
}

TEST(RunTest, GivesToolsDefaultSignals) {
  // A writer whose reader is gone must die of SIGPIPE, which this program ignores.
  EXPECT_EQ(MustRun("(yes; echo $? >&2) | head -n 1").err, "141\n");
}

TEST(RunTest, SaysWhatCannotBeStarted) {
  const auto finished =
      worker::Run(TheReaper(), {{"no-such-tool"}, BaseEnvironment("/tmp"), ""}, {});
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Code::kNotFound);
  EXPECT_THAT(finished.error().message, HasSubstr("no-such-tool"));
}

TEST(RunTest, HandsOutLines) {
  std::vector<std::string> lines;
  RunOptions options;
  options.on_out = [&](std::string_view line) { lines.emplace_back(line); };
  MustRun("printf 'a\\n\\nb\\nrest'", options);
  EXPECT_THAT(lines, ::testing::ElementsAre("a", "", "b", "rest"));
}

TEST(RunTest, RefusesTooMuchOutput) {
  RunOptions options;
  options.out_limit = 1000;
  const auto finished = worker::Run(TheReaper(), Shell("yes"), options);
  ASSERT_FALSE(finished);
  EXPECT_EQ(finished.error().code, Code::kResourceExhausted);
}

TEST(RunTest, EndsAtItsDeadline) {
  RunOptions options;
  options.timeout = milliseconds(200);
  const Finished finished = MustRun("sleep 60", options);
  EXPECT_TRUE(finished.timed_out);
  EXPECT_FALSE(finished.ok());
}

TEST(RunTest, EndsTheWholeGroupWhenCancelled) {
  Cancellation cancellation;
  RunOptions options;
  options.cancellation = &cancellation;
  std::string child;
  options.on_out = [&](std::string_view line) {
    child = line;
    cancellation.Cancel();
  };
  const Finished finished = MustRun("sleep 60 & echo $!; wait", options);
  EXPECT_TRUE(finished.cancelled);
  EXPECT_FALSE(Alive(child));
}

TEST(RunTest, LeavesNothingOfAGroupWhoseLeaderEnded) {
  RunOptions options;
  std::string child;
  options.on_out = [&](std::string_view line) { child = line; };
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(MustRun("sleep 60 & echo $!; exit 0", options).ok());
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(5));  // sleep held stdout open
  EXPECT_FALSE(Alive(child));
}

TEST(RunTest, DoesNotWaitForAnEscapedProcess) {
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(MustRun("setsid sleep 8 & sleep 0.2; exit 0").ok());
  EXPECT_LT(std::chrono::steady_clock::now() - start, seconds(6));
}

TEST(RunTest, KillsWhatIgnoresInterrupts) {
  auto process = Process::Start(TheReaper(), Shell("trap '' INT; echo up; sleep 60; sleep 60"));
  ASSERT_TRUE(process);
  char byte;
  while (::read((*process)->out(), &byte, 1) != 1) std::this_thread::sleep_for(milliseconds(5));
  EXPECT_EQ((*process)->Stop(milliseconds(100)).signal, SIGKILL);
}

PipelineFinished MustPipe(const std::string& producer, const std::string& consumer,
                          const Cancellation& cancellation) {
  auto finished =
      RunPipeline(TheReaper(), Shell(producer), Shell(consumer), [](uint64_t) {}, cancellation);
  EXPECT_TRUE(finished);
  return finished ? *finished : PipelineFinished();
}

TEST(PipelineTest, CarriesAndCountsBytes) {
  const Cancellation never;
  const PipelineFinished finished =
      MustPipe("head -c 20000000 /dev/zero", "[ $(wc -c) = 20000000 ]", never);
  EXPECT_TRUE(finished.producer.ok());
  EXPECT_TRUE(finished.consumer.ok()) << finished.consumer.status.ToString();
  EXPECT_EQ(finished.bytes, 20000000u);
}

TEST(PipelineTest, AFailedProducerIsNotAnEndOfInput) {
  const Cancellation never;
  const PipelineFinished finished =
      MustPipe("echo half; exit 3", "cat >/dev/null && echo whole >&2", never);
  EXPECT_EQ(finished.producer.status.code, 3);
  EXPECT_FALSE(finished.consumer.ok());
  EXPECT_TRUE(finished.consumer.stopped);
  EXPECT_EQ(finished.consumer.err, "");
}

TEST(PipelineTest, AFailedConsumerStopsTheProducer) {
  const Cancellation never;
  const PipelineFinished finished =
      MustPipe("yes", "head -c 10 >/dev/null; echo no >&2; exit 4", never);
  EXPECT_EQ(finished.consumer.status.code, 4);
  EXPECT_EQ(finished.consumer.err, "no\n");
  EXPECT_FALSE(finished.producer.ok());
}

TEST(PipelineTest, AConsumerMayHaveReadEnoughButTheProducerMustEndWell) {
  const Cancellation never;
  EXPECT_TRUE(MustPipe("head -c 9000000 /dev/zero", "head -c 10 >/dev/null", never).producer.ok());
  const PipelineFinished finished =
      MustPipe("head -c 9000000 /dev/zero; exit 5", "head -c 10 >/dev/null", never);
  EXPECT_EQ(finished.producer.status.code, 5);
}

TEST(PipelineTest, EndsBothWhenCancelled) {
  Cancellation cancellation;
  std::jthread later([&] {
    std::this_thread::sleep_for(milliseconds(200));
    cancellation.Cancel();
  });
  const PipelineFinished finished = MustPipe("yes", "cat >/dev/null", cancellation);
  EXPECT_TRUE(finished.producer.cancelled);
  EXPECT_FALSE(finished.consumer.ok());
}

TEST(CancellationTest, AChildEndsWithItsParentButNotTheOtherWay) {
  Cancellation parent;
  Cancellation child(&parent), other(&parent);
  child.Cancel();
  EXPECT_TRUE(child.cancelled());
  EXPECT_FALSE(parent.cancelled());
  EXPECT_FALSE(other.cancelled());
  parent.Cancel();
  EXPECT_TRUE(other.cancelled());
}

}  // namespace
}  // namespace longshore::worker
