// SPDX-License-Identifier: Apache-2.0
//
// See registry.h. The only file that includes prometheus-cpp, of which the core is used: values,
// families and the text format. Serving it is common/http's.
#include "common/metrics/registry.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <stdexcept>

#include "common/base/mutex.h"
#include "common/base/result.h"

namespace longshore::metrics {
namespace {

class RealCounter final : public Counter {
 public:
  explicit RealCounter(prometheus::Counter& counter) : counter_(counter) {}
  void Increment(double by) override { counter_.Increment(by); }
  // Of several threads each adds what it raised the total by.
  void Follow(double total) override {
    double before = followed_;
    while (total > before && !followed_.compare_exchange_weak(before, total)) {
    }
    if (total > before) counter_.Increment(total - before);
  }

 private:
  prometheus::Counter& counter_;
  std::atomic<double> followed_{0};
};

class RealGauge final : public Gauge {
 public:
  explicit RealGauge(prometheus::Gauge& gauge) : gauge_(gauge) {}
  void Set(double value) override { gauge_.Set(value); }

 private:
  prometheus::Gauge& gauge_;
};

class RealHistogram final : public Histogram {
 public:
  explicit RealHistogram(prometheus::Histogram& histogram) : histogram_(histogram) {}
  void Observe(double value) override { histogram_.Observe(value); }

 private:
  prometheus::Histogram& histogram_;
};

// A wrong name, or one name for two types, is a programmer's error and found by the first run.
template <class Make>
auto& OrAbort(Make make) {
  try {
    return make();
  } catch (const std::exception& exception) {
    CheckFailed(exception.what(), __FILE__, __LINE__);
  }
}

}  // namespace

class Registry::Impl {
 public:
  prometheus::Registry registry{prometheus::Registry::InsertBehavior::Merge};
  Mutex mutex;
  // Deques: references stay good while they grow.
  std::deque<RealCounter> counters LS_GUARDED_BY(mutex);
  std::deque<RealGauge> gauges LS_GUARDED_BY(mutex);
  std::deque<RealHistogram> histograms LS_GUARDED_BY(mutex);
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Counter& Registry::MakeCounter(const std::string& name, const std::string& help,
                               const Labels& labels) {
  auto& counter = OrAbort([&]() -> prometheus::Counter& {
    return prometheus::BuildCounter().Name(name).Help(help).Register(impl_->registry).Add(labels);
  });
  MutexLock lock(impl_->mutex);
  return impl_->counters.emplace_back(counter);
}

Gauge& Registry::MakeGauge(const std::string& name, const std::string& help, const Labels& labels) {
  auto& gauge = OrAbort([&]() -> prometheus::Gauge& {
    return prometheus::BuildGauge().Name(name).Help(help).Register(impl_->registry).Add(labels);
  });
  MutexLock lock(impl_->mutex);
  return impl_->gauges.emplace_back(gauge);
}

Histogram& Registry::MakeHistogram(const std::string& name, const std::string& help,
                                   std::vector<double> buckets, const Labels& labels) {
  LS_CHECK(std::is_sorted(buckets.begin(), buckets.end()));
  auto& histogram = OrAbort([&]() -> prometheus::Histogram& {
    return prometheus::BuildHistogram()
        .Name(name)
        .Help(help)
        .Register(impl_->registry)
        .Add(labels, prometheus::Histogram::BucketBoundaries(buckets));
  });
  MutexLock lock(impl_->mutex);
  return impl_->histograms.emplace_back(histogram);
}

std::string Registry::Text() const {
  return prometheus::TextSerializer().Serializer::Serialize(impl_->registry.Collect());
}

}  // namespace longshore::metrics
