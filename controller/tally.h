// SPDX-License-Identifier: Apache-2.0
//
// What the reconcilers count while they work. controller_metrics.h makes metrics of it; where
// nobody is interested it does nothing. Called on the reconcile thread only.
#pragma once

#include <chrono>
#include <functional>
#include <string>

namespace longshore::controller {

struct Tally {
  using Named = std::function<void(const std::string& name)>;
  using Span = std::function<void(std::chrono::nanoseconds)>;
  using NamedSpan = std::function<void(const std::string& name, std::chrono::nanoseconds)>;

  // By state: rows of pods that came into it, operations written in it.
  Named pod_moved = [](const std::string&) {};
  Named operation_moved = [](const std::string&) {};
  // Decisions that changed a crew, by their cause.
  Named scaled = [](const std::string&) {};
  // Times that a crew ran into a limit, by reason of condition ScalingLimited.
  Named limited = [](const std::string&) {};
  // Kills for memory that a request had to learn of.
  std::function<void()> out_of_memory = [] {};
  // From the end of the first sample over a threshold: to the decision to grow, which comes after
  // the signal's window; to the announcement of each pod that it brought.
  Span crossing_to_decision = [](std::chrono::nanoseconds) {};
  Span crossing_to_announced = [](std::chrono::nanoseconds) {};
  // From the arrival of the sample that made the window full to that decision.
  Span sample_to_decision = [](std::chrono::nanoseconds) {};
  // From the row of a pod to its being offered for the first time.
  Span planned_to_available = [](std::chrono::nanoseconds) {};
  // Keys handled, by their kind ("request", "pod", …), and the time it took.
  NamedSpan reconciled = [](const std::string&, std::chrono::nanoseconds) {};
};

}  // namespace longshore::controller
