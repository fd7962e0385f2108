// SPDX-License-Identifier: Apache-2.0
//
// The stream to the leader: node pressure comes in, verdicts go out. Losing it costs nothing but
// freshness: pressure turns unknown after 5 s, and verdicts are told again after a reconnect.
#pragma once

#include <atomic>
#include <memory>

#include "common/base/clock.h"
#include "common/base/log_limit.h"
#include "common/base/mutex.h"
#include "common/metrics/registry.h"
#include "common/streams/client.h"
#include "extender/inputs.h"
#include "extender/verdict_log.h"

namespace longshore::extender {

class PressureFeed final : public PressureSource, private streams::ClientHandler {
 public:
  // The log, clock and registry outlive the feed.
  PressureFeed(streams::ClientOptions options, VerdictLog& log, const Clock& clock,
               metrics::Registry& registry);
  ~PressureFeed() override;
  Status Start();
  void Stop();

  std::shared_ptr<const PressureTable> Pressure() const override { return table_.Get(); }
  // Keeps the verdict in the log and sends it, if the stream is open and has room.
  void Record(messages::PlacementVerdict verdict);
  // Sets the gauges that depend on the time of asking.
  void UpdateMetrics();

 private:
  void OnOpen() override;
  void OnMessage(std::string_view message) override;
  void OnClose(const std::string& reason) override;
  void Send(std::string verdict);

  VerdictLog& log_;
  const Clock& clock_;
  metrics::Counter& dropped_;
  metrics::Counter& oversized_;
  metrics::Counter& malformed_;
  metrics::Gauge& age_seconds_;
  Published<PressureTable> table_;
  bool was_open_ = false;  // on the stream's thread: one log line for each outage
  LogRate too_long_, refused_;
  streams::Client client_;
};

}  // namespace longshore::extender
