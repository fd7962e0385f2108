// SPDX-License-Identifier: Apache-2.0
//
// Whether an agent's report follows the one before, so that rates may be made of the two. Anything
// else makes no rate: a new stream or epoch, a report that was lost or came twice, a long silence,
// a stepped clock, a second agent that claims the node. One of these for each node, in each store.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "common/base/clock.h"
#include "common/messages/agent.pb.h"
#include "common/scaling/samples.h"

namespace longshore::controller {

// Who reports. Streams of a later connection have a higher id; of two that claim one node, the
// later counts.
struct AgentStream {
  std::string node, epoch;
  uint64_t id = 0;
  scaling::SignalSet unknown = {};  // what this agent cannot measure: its zeros mean nothing
};

class ReportOrder {
 public:
  enum class Verdict {
    kStale,    // repeats, goes back, or is of a stream that a later one replaced: ignore it
    kBegin,    // what was known before says nothing about what this report leaves out
    kNoRate,   // follows, but over an interval that no rate can be made of
    kFollows,  // over length() since the report before
  };
  Verdict Take(const AgentStream& from, const messages::UsageReport& report, MonotonicTime now);

  // Of the report that was taken last.
  std::chrono::nanoseconds length() const { return length_; }
  // When it was made, by our clock: when it came, less what it came later than others of its epoch.
  // A report that was held up for 20 s is 20 s old, not new.
  MonotonicTime made() const { return made_; }

 private:
  void NoteTime(const messages::UsageReport& report, MonotonicTime now, bool same_epoch);

  std::string epoch_;
  uint64_t stream_ = 0, sequence_ = 0;
  std::chrono::nanoseconds end_{0}, wall_{0};  // by the agent's clocks
  std::chrono::nanoseconds length_{0};
  std::chrono::nanoseconds offset_{0};  // our clock less the agent's, and the least delay
  MonotonicTime made_{};
};

}  // namespace longshore::controller
