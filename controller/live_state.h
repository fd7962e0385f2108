// SPDX-License-Identifier: Apache-2.0
//
// LiveView over the stores that the streams fill: what the storage manager API shows beside the
// objects. Constructed by main.cc.
#pragma once

#include "controller/cluster.h"
#include "controller/live_view.h"
#include "controller/pressure_store.h"
#include "controller/sample_gate.h"
#include "controller/usage_store.h"
#include "controller/verdict_store.h"
#include "controller/worker_table.h"

namespace longshore::controller {

class LiveState : public LiveView {
 public:
  LiveState(const Cluster& cluster, const UsageStore& usage, const PressureStore& pressure,
            const VerdictStore& verdicts, const WorkerTable& workers, const ScalingBoard& scaling,
            SampleGate& gate, const Clock& clock);

  std::vector<UsageSample> Usage(const std::string& pod_uid, size_t limit) const override;
  std::optional<api::OperationProgress> Progress(const std::string& operation_ns,
                                                 const std::string& operation) const override;
  std::vector<Verdict> Verdicts(const std::string& pod_uid) const override;
  placement::PressureMap NodePressure() const override;
  int64_t WorkerAgeMs(const std::string& pod_uid) const override;
  std::optional<ScalingNotes> Scaling(const std::string& request_uid) const override;

 private:
  const Cluster& cluster_;
  const UsageStore& usage_;
  const PressureStore& pressure_;
  const VerdictStore& verdicts_;
  const WorkerTable& workers_;
  const ScalingBoard& scaling_;
  SampleGate& gate_;
  const Clock& clock_;
};

}  // namespace longshore::controller
