// SPDX-License-Identifier: Apache-2.0
#include "extender/pressure_feed.h"

#include <utility>

#include "common/base/log.h"
#include "common/messages/silence.h"

namespace longshore::extender {
namespace {

// A usual one has some kilobytes, and the log keeps thousands. Far below what a stream takes as one
// message, of which a longer one would be refused each time.
constexpr size_t kLongestVerdict = size_t{256} << 10;

}  // namespace

PressureFeed::PressureFeed(streams::ClientOptions options, VerdictLog& log, const Clock& clock,
                           metrics::Registry& registry)
    : log_(log),
      clock_(clock),
      dropped_(registry.MakeCounter("longshore_extender_verdicts_unsent_total",
                                    "Verdicts that could not be sent to the leader at once")),
      oversized_(registry.MakeCounter("longshore_extender_verdicts_too_long_total",
                                      "Verdicts that were dropped: names or labels too long")),
      malformed_(registry.MakeCounter("longshore_extender_pressure_malformed_total",
                                      "Messages of the leader that could not be read")),
      age_seconds_(registry.MakeGauge("longshore_extender_pressure_age_seconds",
                                      "Since the leader last told node pressure; -1 never")),
      client_(std::move(options), *this) {}

PressureFeed::~PressureFeed() { Stop(); }
Status PressureFeed::Start() {
  messages::SilenceProtobuf();
  return client_.Start();
}
void PressureFeed::Stop() { client_.Stop(); }

void PressureFeed::Record(messages::PlacementVerdict verdict) {
  std::string text = verdict.SerializeAsString();
  if (text.size() > kLongestVerdict) {
    oversized_.Increment();
    if (const auto left_out = too_long_.Admit()) {
      LogWarn("a verdict is too long to be told: a name or label of a call or source is",
              {{"namespace", verdict.pod_namespace().substr(0, 63)},
               {"pod", verdict.pod_name().substr(0, 253)},
               {"bytes", text.size()},
               {"leftOut", *left_out}});
    }
    return;
  }
  // First into the log: a stream that opens just now sends what is there.
  log_.Add(std::move(verdict));
  Send(std::move(text));
}

void PressureFeed::Send(std::string verdict) {
  if (!client_.Send(std::move(verdict)).has_value()) dropped_.Increment();
}

void PressureFeed::UpdateMetrics() {
  const auto table = table_.Get();
  const bool never = table->received() == MonotonicTime{};
  age_seconds_.Set(
      never ? -1 : std::chrono::duration<double>(clock_.Monotonic() - table->received()).count());
}

void PressureFeed::OnOpen() {
  LogInfo("stream to the leader open");
  was_open_ = true;
  // A new leader, or one that missed some. The newest first: the queue to it is bounded.
  const auto verdicts = log_.All();
  for (auto verdict = verdicts.rbegin(); verdict != verdicts.rend(); ++verdict)
    Send(verdict->SerializeAsString());
}

void PressureFeed::OnMessage(std::string_view message) {
  const auto nodes = ReadPressure(message);
  if (!nodes) {
    malformed_.Increment();
    return;
  }
  table_.Set(std::make_shared<PressureTable>(*nodes, clock_.Monotonic()));
}

void PressureFeed::OnClose(const std::string& reason) {
  if (std::exchange(was_open_, false)) {
    LogWarn("stream to the leader lost", {{"reason", reason}});
  } else if (const auto left_out = refused_.Admit()) {
    LogWarn("no stream to the leader: node pressure is unknown, and pods are placed without it",
            {{"reason", reason}, {"leftOut", *left_out}});
  }
}

}  // namespace longshore::extender
