// SPDX-License-Identifier: Apache-2.0
//
// The controller's memory in a World: what is thrown away when it is killed. For world*.cc only.
#pragma once

#include "tests/controller/audit.h"
#include "tests/controller/world.h"

namespace longshore::controller {

struct World::Brain {
  Brain(World& world)
      : queue(world.clock, std::chrono::milliseconds(50), std::chrono::seconds(60), world.seed_++),
        workers(world.clock),
        usage(world.clock),
        pressure(world.clock),
        gate(world.clock),
        events(world.clock),
        env{world.cluster,
            workers,
            usage,
            pressure,
            verdicts,
            scaling,
            gate,
            events,
            world.clock,
            Settings{},
            [this](const std::string& key, std::chrono::milliseconds delay) {
              delay.count() > 0 ? queue.AddAfter(key, delay) : queue.Add(key);
            },
            world.clock.Monotonic(),
            world.metrics.MakeTally()},
        loop(env, queue) {
    env.settings.ca_pem = [&world] { return world.ca_pem; };
    workers.Connect(
        [&world](uint64_t connection, std::string message) {
          Wire& wire = world.wires_[connection];
          world.audit_->OnSent(wire.identity.uid, message);
          world.Send(wire.down, Wire::Kind::kMessage, std::move(message));
        },
        [this](const std::string& ns, const std::string& pod) { env.Wake(kPodKey, ns, pod); });
  }
  kube::WorkQueue queue;
  WorkerTable workers;
  UsageStore usage;
  PressureStore pressure;
  VerdictStore verdicts;
  ScalingBoard scaling;
  SampleGate gate;
  EventLog events;
  Environment env;
  ReconcileLoop loop;
};

}  // namespace longshore::controller
