// SPDX-License-Identifier: Apache-2.0
//
// What a verdict is made from and where it goes: small interfaces, so that the service is tested on
// clusters written by hand. Everything given out is an immutable snapshot; nothing here blocks.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "common/api/source.h"
#include "common/base/clock.h"
#include "common/messages/placement.pb.h"
#include "common/placement/location.h"
#include "extender/pressure_table.h"

namespace longshore::extender {

// The cluster as the watches last saw it.
class Cluster {
 public:
  virtual ~Cluster() = default;
  // Whether everything was listed once. Before that no verdict has any ground.
  virtual bool synced() const = 0;
  // Never null.
  virtual std::shared_ptr<const placement::View> Snapshot() const = 0;
  // Age of the oldest watch's last sign of life.
  virtual std::chrono::milliseconds age() const = 0;
  // Null: no such source.
  virtual std::shared_ptr<const api::BackupSource> Source(const std::string& ns,
                                                          const std::string& name) const = 0;
};

class PressureSource {
 public:
  virtual ~PressureSource() = default;
  virtual std::shared_ptr<const PressureTable> Pressure() const = 0;  // never null
};

// Where verdicts go for people and for the leader.
class VerdictSink {
 public:
  // Writes the verdict down from what was decided; called once, on any thread, at any time.
  using Write = std::function<messages::PlacementVerdict()>;
  virtual ~VerdictSink() = default;
  // The scheduler is waiting meanwhile: what takes time is for another thread.
  virtual void Record(Write write) = 0;
};

}  // namespace longshore::extender
