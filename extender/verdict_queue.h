// SPDX-License-Identifier: Apache-2.0
//
// Writes verdicts behind the calls that made them. Thread-safe.
#pragma once

#include <functional>

#include "extender/background_queue.h"
#include "extender/inputs.h"

namespace longshore::extender {

class VerdictQueue final : public VerdictSink {
 public:
  using Deliver = std::function<void(messages::PlacementVerdict)>;

  // `deliver` is called on the queue's thread.
  VerdictQueue(Deliver deliver, metrics::Registry& registry, size_t capacity = 1000)
      : deliver_(std::move(deliver)),
        queue_(registry.MakeCounter("longshore_extender_verdicts_dropped_total",
                                    "Verdicts that came faster than they could be written down"),
               capacity) {}

  void Record(Write write) override {
    queue_.Add([this, write = std::move(write)] { deliver_(write()); });
  }
  // Who asks why wants the last verdict.
  void Flush() { queue_.Flush(); }

 private:
  const Deliver deliver_;
  BackgroundQueue queue_;
};

}  // namespace longshore::extender
