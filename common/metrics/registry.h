// SPDX-License-Identifier: Apache-2.0
//
// Metrics of one program, in the Prometheus text format. Names are
// longshore_<component>_<noun>_<unit>[_total]; label sets are fixed where the metric is made; hold
// the returned reference, never look up on a hot path. Counters, gauges and histograms may be used
// on any thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace longshore::metrics {

using Labels = std::map<std::string, std::string>;

class Counter {
 public:
  virtual ~Counter() = default;
  virtual void Increment(double by = 1) = 0;
  // Raises it to a total that is counted elsewhere; a lower one than before changes nothing. For
  // counters of which nobody calls Increment.
  virtual void Follow(double total) = 0;
};
class Gauge {
 public:
  virtual ~Gauge() = default;
  virtual void Set(double value) = 0;
};
class Histogram {
 public:
  virtual ~Histogram() = default;
  virtual void Observe(double value) = 0;
};

// Thread-safe. References live as long as the registry.
class Registry {
 public:
  Registry();
  ~Registry();
  Counter& MakeCounter(const std::string& name, const std::string& help, const Labels& labels = {});
  Gauge& MakeGauge(const std::string& name, const std::string& help, const Labels& labels = {});
  Histogram& MakeHistogram(const std::string& name, const std::string& help,
                           std::vector<double> buckets, const Labels& labels = {});
  std::string Text() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace longshore::metrics
