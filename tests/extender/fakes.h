// SPDX-License-Identifier: Apache-2.0
//
// A cluster, a leader and a clock written by hand, around the real Service.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "extender/inputs.h"
#include "extender/service.h"
#include "tests/common/placement/fake_view.h"

namespace longshore::extender {

class FakeClock final : public Clock {
 public:
  WallTime Now() const override { return WallTime(std::chrono::seconds(1'800'000'000)); }
  MonotonicTime Monotonic() const override {
    MutexLock lock(mutex_);
    now += step;
    return now;
  }
  mutable MonotonicTime now{std::chrono::hours(1)};
  std::chrono::milliseconds step{0};  // passes at each look

 private:
  mutable Mutex mutex_;
};

class FakeCluster final : public Cluster {
 public:
  bool synced() const override { return is_synced; }
  std::shared_ptr<const placement::View> Snapshot() const override { return view; }
  std::chrono::milliseconds age() const override { return is_age; }
  std::shared_ptr<const api::BackupSource> Source(const std::string& ns,
                                                  const std::string& name) const override {
    const auto found = sources.find(ns + "/" + name);
    return found == sources.end() ? nullptr : found->second;
  }
  void SetSource(api::BackupSource source) {
    const std::string key = source.metadata.Key();
    sources[key] = std::make_shared<const api::BackupSource>(std::move(source));
  }

  bool is_synced = true;
  std::chrono::milliseconds is_age{40};
  std::shared_ptr<placement::FakeView> view = std::make_shared<placement::FakeView>();
  std::map<std::string, std::shared_ptr<const api::BackupSource>> sources;
};

class FakePressure final : public PressureSource {
 public:
  std::shared_ptr<const PressureTable> Pressure() const override { return table; }
  void Set(const placement::PressureMap& nodes, MonotonicTime received) {
    table = std::make_shared<const PressureTable>(nodes, received);
  }
  std::shared_ptr<const PressureTable> table = std::make_shared<const PressureTable>();
};

class RecordingSink final : public VerdictSink {
 public:
  void Record(Write write) override {
    MutexLock lock(mutex);
    verdicts.push_back(write());
  }
  Mutex mutex;
  std::vector<messages::PlacementVerdict> verdicts;
};

struct World {
  FakeClock clock;
  FakeCluster cluster;
  FakePressure pressure;
  RecordingSink sink;
  metrics::Registry registry;
  Service service{cluster, pressure, sink, clock, registry};
};

// The nodes of placement::OneNodePerTier.
inline const std::vector<std::string> kAll{"n1", "n2", "n3", "n4", "n5"};

// {"Pod": a pod of source db/orders, "NodeNames": names}
inline std::string RequestBody(const std::vector<std::string>& names, const std::string& uid = "u1",
                               const std::string& source = "orders") {
  std::string body = R"({"Pod":{"metadata":{"name":"p-)" + uid +
                     R"(","namespace":"backup","uid":")" + uid + R"(","labels":{"app":"x")";
  if (!source.empty()) body += R"(,"longshore.dev/source":")" + source + '"';
  body +=
      R"(},"annotations":{"longshore.dev/source-namespace":"db"}},"spec":{"containers":[)"
      R"({"resources":{"requests":{"cpu":"100m","memory":"64Mi"}}}]}},"Nodes":null,"NodeNames":[)";
  for (size_t i = 0; i < names.size(); ++i) body += (i > 0 ? ",\"" : "\"") + names[i] + '"';
  return body + "]}";
}
// The pod's container runs this image.
inline std::string WithImage(std::string body, const std::string& image) {
  const std::string container = R"("containers":[{)";
  return body.insert(body.find(container) + container.size(), R"("image":")" + image + R"(",)");
}

}  // namespace longshore::extender
