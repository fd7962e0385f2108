// SPDX-License-Identifier: Apache-2.0
//
// For what workers say, and for what they don't, their pods are looked at: often enough, and not
// more.
#include "controller/worker_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "tests/controller/fake_cluster.h"

namespace longshore::controller {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class WorkerTableTest : public testing::Test {
 protected:
  WorkerTableTest() {
    table.Connect([](uint64_t, const std::string&) {},
                  [this](const std::string&, const std::string& pod) { woken.push_back(pod); });
  }
  void Open(uint64_t connection) {
    const std::string pod = "p" + std::to_string(connection);
    table.OnOpen(connection, {"ns", pod, "uid-" + pod});
    Say(connection, [](auto& message) { message.mutable_hello(); });
    woken.clear();
  }
  template <class Fill>
  void Say(uint64_t connection, Fill&& fill) {
    messages::WorkerMessage message;
    fill(message);
    ASSERT_TRUE(table.OnMessage(connection, message.SerializeAsString()));
  }
  void Idle(uint64_t connection) {
    Say(connection, [](auto& message) { message.mutable_idle(); });
  }
  void Progress(uint64_t connection, const std::string& phase) {
    Say(connection, [&](auto& message) {
      message.mutable_progress()->set_epoch(1);
      message.mutable_progress()->set_phase(phase);
      message.mutable_progress()->set_bytes_done(++bytes_);
    });
  }
  std::vector<std::string> Woken() { return std::exchange(woken, {}); }

  FakeClock clock;
  WorkerTable table{clock};
  std::vector<std::string> woken;

 private:
  uint64_t bytes_ = 0;
};

// Who they are is asked of the cluster, which may answer for the second first.
TEST_F(WorkerTableTest, AConnectionThatIsAdmittedLateReplacesNoNewerOne) {
  const WorkerIdentity worker{"ns", "p", "uid"};
  table.OnOpen(2, worker);
  Say(2, [](auto& message) { message.mutable_hello()->set_last_epoch(7); });
  table.OnOpen(1, worker);
  Say(1, [](auto& message) { message.mutable_hello()->set_last_epoch(6); });
  table.OnClose(1);
  ASSERT_TRUE(table.Facts("uid"));
  EXPECT_TRUE(table.Facts("uid")->connected);
  EXPECT_EQ(table.Facts("uid")->last_epoch, 7u);
  table.OnClose(2);
  table.OnOpen(1, worker);
  EXPECT_FALSE(table.Facts("uid")->connected) << "its worker has hung up since";
  table.OnOpen(3, worker);
  EXPECT_EQ(table.Facts("uid")->connection, 3u);
}

// The process of a Pod that was removed, while another of that name is here already.
TEST_F(WorkerTableTest, AnEarlierPodThatIsAdmittedLateIsNotTheLatest) {
  table.OnOpen(2, {"ns", "p", "uid-new"});
  table.OnClose(2);
  table.OnOpen(1, {"ns", "p", "uid-old"});
  EXPECT_TRUE(table.Facts("uid-new")) << "known, though not connected";
  EXPECT_TRUE(table.Facts("uid-old")->connected);
  table.OnClose(1);
  EXPECT_FALSE(table.Facts("uid-old"));
}

TEST_F(WorkerTableTest, ASilenceWakesOnceAndSoDoesItsEnd) {
  Open(1);
  Open(2);
  clock.Advance(seconds(4));
  Idle(2);
  table.WakeSilent(seconds(5));
  EXPECT_THAT(Woken(), IsEmpty());
  clock.Advance(seconds(2));
  table.WakeSilent(seconds(5));
  EXPECT_THAT(Woken(), ElementsAre("p1"));
  table.WakeSilent(seconds(5));
  EXPECT_THAT(Woken(), IsEmpty()) << "it was said";
  Idle(1);
  EXPECT_THAT(Woken(), ElementsAre("p1")) << "it may be offered again";
  Idle(1);
  EXPECT_THAT(Woken(), IsEmpty());
}

TEST_F(WorkerTableTest, AStreamThatHasEndedIsNotSilentToo) {
  Open(1);
  table.OnClose(1);
  EXPECT_THAT(Woken(), ElementsAre("p1"));
  clock.Advance(seconds(60));
  table.WakeSilent(seconds(5));
  EXPECT_THAT(Woken(), IsEmpty());
}

TEST_F(WorkerTableTest, ProgressOfAFewIsSeenEachTime) {
  Open(1);
  for (int second = 0; second < 3; ++second) {
    clock.Advance(seconds(1));
    Progress(1, "Copying");
    EXPECT_THAT(Woken(), ElementsAre("p1"));
  }
}

// What they have come to is known all the same; a new phase is news however many there are.
TEST_F(WorkerTableTest, ProgressOfThousandsIsSeenInTurns) {
  constexpr uint64_t kWorkers = 3000;
  for (uint64_t i = 1; i <= kWorkers; ++i) Open(i);
  for (uint64_t i = 1; i <= kWorkers; ++i) Progress(i, "Copying");
  EXPECT_EQ(Woken().size(), kWorkers) << "a new phase of each";
  for (int second = 0; second < 10; ++second) {
    for (uint64_t i = 1; i <= kWorkers; ++i) {
      clock.Advance(std::chrono::nanoseconds(seconds(1)) / kWorkers);
      Progress(i, "Copying");
    }
  }
  const auto seen = Woken();
  EXPECT_LE(seen.size(), 5500u);
  EXPECT_GE(seen.size(), 4500u);
  EXPECT_EQ(table.Facts("uid-p7")->progress->bytes_done(), 10 * kWorkers + 7) << "seen or not";
  Progress(7, "Committing");
  EXPECT_THAT(Woken(), ElementsAre("p7"));
}

}  // namespace
}  // namespace longshore::controller
