// SPDX-License-Identifier: Apache-2.0
// Events are best effort: whatever the server does, who records them never waits.
#include "common/kube/event_recorder.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/common/kube/fake_api.h"

namespace longshore::kube {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

TEST(EventRecorderTest, EndsInTimeWhenTheServerHangs) {
  FakeApi api;
  api.OnCall(WatchThatStays(""));
  const auto client = *Client::Create(api.config(), "longshore-test");
  const auto began = steady_clock::now();
  {
    EventRecorder recorder(*client, "c", "i");
    recorder.Record(Map("a", 1), "Normal", "R", "A", "note");
    ASSERT_TRUE(api.Wait(1));
  }
  EXPECT_LT(steady_clock::now() - began, milliseconds(5000));
}

TEST(EventRecorderTest, FullQueueDropsAndCounts) {
  FakeApi api;
  api.OnCall(WatchThatStays(""));
  const auto client = *Client::Create(api.config(), "longshore-test");
  EventRecorder recorder(*client, "c", "i");
  for (int i = 0; i < 1500; ++i) {
    recorder.Record(Map("a" + std::to_string(i), 1), "Normal", "R", "A", "note");
  }
  EXPECT_GE(recorder.dropped(), 499);  // one of them is on its way
  EXPECT_LE(recorder.dropped(), 500);
}

TEST(EventRecorderTest, FailuresAreCountedAndTheNextOccurrenceTriesAnew) {
  FakeApi api;
  api.OnCall(Refusal(403, "Forbidden"));
  api.OnCall({.status = 201, .body = "{}"});
  const auto client = *Client::Create(api.config(), "longshore-test");
  EventRecorder recorder(*client, "c", "i");
  recorder.Record(Map("a", 1), "Normal", "R", "A", "note");
  ASSERT_TRUE(Soon([&] { return recorder.dropped() == 1; }));
  recorder.Record(Map("a", 1), "Normal", "R", "A", "note");
  ASSERT_TRUE(api.Wait(2));
  EXPECT_EQ(api.asked()[1], "POST /apis/events.k8s.io/v1/namespaces/n/events");
}

// What a decision was made by is in its note; a note that counts must not make an Event each time.
TEST(EventRecorderTest, EachNoteIsAnEventOfItsOwnUpToTenOfThem) {
  const auto created = [](int notes, int times) {
    FakeApi api;
    for (int i = 0; i < 200; ++i) api.OnCall({.status = 201, .body = "{}"});
    const auto client = *Client::Create(api.config(), "longshore-test");
    {
      EventRecorder recorder(*client, "c", "i");
      for (int i = 0; i < notes * times; ++i) {
        recorder.Record(Map("a", 1), "Normal", "R", "A", "note " + std::to_string(i % notes));
      }
    }
    const auto asked = api.asked();
    return std::count(asked.begin(), asked.end(),
                      "POST /apis/events.k8s.io/v1/namespaces/n/events");
  };
  EXPECT_EQ(created(1, 3), 1);
  EXPECT_EQ(created(2, 3), 2);
  EXPECT_EQ(created(30, 2), 11) << "and one for all others";
}

}  // namespace
}  // namespace longshore::kube
