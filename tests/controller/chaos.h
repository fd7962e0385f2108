// SPDX-License-Identifier: Apache-2.0
//
// Seeded faults for a World: each step perhaps one, of every kind that docs/failure-scenarios.md
// names. Used by random_test.cc.
#pragma once

#include <random>
#include <string>

#include "tests/controller/world.h"

namespace longshore::controller {

inline constexpr int kOperations = 6;

class Chaos {
 public:
  Chaos(World& world, uint64_t seed) : world_(world), random_(seed) {}

  void Step();
  void AddOperation();
  // Everything works again, all operations are there, and nothing more goes wrong.
  void CalmDown();

 private:
  // Each may do something; the weights are per mille of the steps.
  void LandLate();
  bool HitController();
  bool HitApi();
  bool HitStreams();
  bool HitPod(const std::string& pod);
  bool HitWorker(FakeWorker& worker);

  int Pick(int below) { return std::uniform_int_distribution<int>(0, below - 1)(random_); }
  bool Hit(int weight, const char* what);
  const kube::Resource& AnyResource();
  void RefuseSome();
  void LoseSomeReplies();
  void RefuseSomeReads();
  void CancelOperation();
  void DeleteOperation();
  void LoseNode();
  void RemovePod(const std::string& pod);
  void Evict(const std::string& pod);
  void TouchRow(const std::string& name);
  void DeleteRow(const std::string& name);

  World& world_;
  std::mt19937_64 random_;
  int step_ = 0;
  int dice_ = 0, at_ = 0;  // of this step
  int operations_ = 0;
  bool refuses_ = false, loses_ = false, refuses_reads_ = false;
};

}  // namespace longshore::controller
