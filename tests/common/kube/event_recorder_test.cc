// SPDX-License-Identifier: Apache-2.0
// Events are best effort: whatever the server does, who records them never waits.
#include "common/kube/event_recorder.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace longshore::kube
