// SPDX-License-Identifier: Apache-2.0
//
// A cluster in miniature for the reconcilers: a fake API server, kubelets that start pods, workers
// that speak the real messages, agents that report usage, and a controller that can be killed and
// started again. Time moves only by Run. What must always hold is checked after every step
// (audit.h).
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "common/kube/work_queue.h"
#include "common/messages/agent.pb.h"
#include "common/messages/worker.pb.h"
#include "common/metrics/registry.h"
#include "controller/controller_metrics.h"
#include "controller/reconcile_loop.h"
#include "tests/controller/fake_cluster.h"

namespace longshore::controller {

inline constexpr char kNs[] = "backup";

// The process in a pod: dies with its container, survives the controller.
struct FakeWorker {
  std::string pod, uid;
  uint64_t connection = 0;  // 0: not connected
  uint64_t last_epoch = 0, running_epoch = 0;
  std::string operation;
  messages::Assign assign;  // the last that was accepted
  int steps_left = 0;       // seconds of work
  bool cancelled = false, gate_closed = false;
  bool tool_was_killed = false;  // for memory
  bool hung = false;             // says that it works, and neither gets on nor ends
  std::optional<messages::OperationResult> result;
  int began = 0;  // operations begun, ever
  std::string node;
  bool stopping = false;  // SIGTERM: takes nothing new, exits once nothing is held
  bool deaf = false;      // misses SIGTERM: stays until it is told so, or its grace is over
  std::optional<MonotonicTime> signalled{};
  bool cut = false;             // its node reaches nobody
  MonotonicTime dials{};        // not before
  MonotonicTime lives_until{};  // though its Pod was removed by force

  bool holds() const { return running_epoch != 0 || result.has_value(); }
};

class Audit;

class World {
 public:
  // The same seed, and the same calls, give the same story.
  explicit World(uint32_t seed = 1);
  ~World();

  // Objects that most tests want: source orders (data on node-1), image, policy, repository,
  // secrets.
  void AddBasics();
  void AddRequest(const std::string& name, int initial, int max, int idle_seconds = 15);
  void AddOperation(const std::string& name, const std::string& request,
                    const std::string& type = "Backup");

  // Lets time pass in steps of 250 ms; each step runs kubelets, workers, agents and the controller.
  void Run(std::chrono::milliseconds time);
  // Runs until the condition holds; false after `limit`.
  bool RunUntil(const std::function<bool()>& done,
                std::chrono::seconds limit = std::chrono::seconds(60));
  // The controller dies: memory is lost, workers stay. Then it starts again. What it had sent
  // arrives before, or is lost.
  void Restart(bool sent_arrives = false);
  // The worker's stream breaks: what is on its way is lost. The controller hears of it some time
  // after, unless the worker, which stays away for so long, has dialled in again by then.
  void Break(FakeWorker& worker, std::chrono::milliseconds heard_after,
             std::chrono::milliseconds away);
  // The worker's container begins anew; the controller hears that the stream has broken, and the
  // new worker stays away, for so long.
  void RestartContainer(FakeWorker& worker, std::chrono::milliseconds heard_after,
                        std::chrono::milliseconds away);
  // The kernel kills for memory: the largest process, which is a tool of the worker's, or else the
  // whole container, which begins anew.
  void KillToolForMemory(FakeWorker& worker);
  void KillForMemory(FakeWorker& worker);
  // The kubelet says so of the Pod's container.
  void TellOfMemoryKill(const std::string& pod);
  // Nobody hears of the node any more; what runs there goes on, or has died with it. Its Pods stay
  // as they are until it is back: then a kubelet ends what was deleted meanwhile, and starts again
  // what died.
  void LoseNode(const std::string& node, bool dies);
  void ReturnNode(std::string node);
  void RestartAgent();  // counts from zero

  std::optional<api::ComputeRequest> Request(const std::string& name) const;
  std::optional<api::Operation> Operation(const std::string& name) const;
  std::vector<api::BackupPod> Rows(const std::string& request) const;
  int InState(const std::string& request, const std::string& state) const;
  int LivePods() const;
  const api::Condition* Condition(const std::string& request, const std::string& type);
  // What the controller says of the request's scaling.
  std::optional<ScalingNotes> NotesOf(const std::string& request_uid) const;
  std::vector<Announcement> Announced(const std::string& type);
  std::vector<std::string> PodNames() const;
  FakeWorker* WorkerOf(const std::string& pod);
  size_t KnownWorkers() const;   // to the controller
  size_t PodsWithUsage() const;  // that it keeps samples of
  size_t KeysQueued() const;
  uint64_t ReconcileErrors() const;  // of this controller, since it began

  FakeClock clock;
  FakeCluster cluster{clock};
  // What the reconcilers of all brains have counted.
  metrics::Registry registry;
  ControllerMetrics metrics{registry};
  std::map<std::string, double> cpu;   // millicores by Pod name; absent: 5
  std::map<std::string, double> sent;  // network bytes a second by Pod name; absent: 0
  bool agents_report = true;
  std::set<std::string> unmeasured;  // pods that their reports leave out
  bool drop_from_workers = false;    // what they say is lost on the way
  // How long the next message between a worker and the controller is on its way, and whether it
  // arrives twice; null: no time, and never. A stream keeps its order.
  std::function<std::chrono::milliseconds()> message_delay;
  std::function<bool()> message_repeats;
  std::set<std::string> lost_nodes;
  std::set<std::string> without_image;  // pods whose image cannot be pulled
  bool collects_garbage = false;        // objects whose owner is gone are deleted
  bool kubelets_work = true;            // bind and start pods
  messages::AgentHello hello;           // of the agents: what they cannot measure
  bool extender_speaks = true;
  int seconds_of_work = 3;
  int64_t bytes_of_work = 0;  // that a worker says it has to do in that time; 0: it doesn't know
  std::string worker_kind = "postgresql";
  std::string ca_pem = "-----BEGIN CERTIFICATE-----";
  messages::OperationResult next_result;  // what work ends with; succeeded unless set
  messages::CopyRecord next_copy;         // what a backup adds to it
  std::vector<std::string> violations;    // of what must always hold
  int max_pods = 100;                     // cap that is checked

 private:
  friend class Audit;
  struct Brain;  // the controller's memory
  void Boot();
  void StepController();
  void OnChange(const kube::Resource& resource, const kube::ObjectPtr& before,
                const kube::ObjectPtr& after);

  // world_actors.cc
  void RunKubelets();
  bool StopPod(const std::string& name, const std::string& uid);
  void StartPod(const std::string& name, const std::string& uid);
  std::string NodeFor(const api::Json& pod) const;
  void RunAgents();
  void CollectGarbage();

  // world_workers.cc
  struct Wire {  // of one connection, each way in order
    enum class Kind { kOpen, kMessage, kClose };
    struct Item {
      MonotonicTime due;
      Kind kind;
      std::string bytes;
    };
    WorkerIdentity identity;
    std::deque<Item> up, down;
  };
  void RunWorkers();
  void RunWires();
  void Connect(FakeWorker& worker);
  void HangUp(FakeWorker& worker);
  void Send(std::deque<Wire::Item>& way, Wire::Kind kind, std::string bytes) const;
  void SendUp(uint64_t connection, Wire::Kind kind, std::string bytes);
  void Hear(uint64_t connection, const Wire& wire, const Wire::Item& item);
  void Deliver(uint64_t connection, const std::string& bytes);
  void Say(FakeWorker& worker, const messages::WorkerMessage& message);
  void OnAssign(FakeWorker& worker, const messages::Assign& assign);
  void Work(FakeWorker& worker);

  uint32_t seed_;     // of the next brain's back-offs
  int64_t term_ = 0;  // of the next brain
  std::unique_ptr<Audit> audit_;
  std::unique_ptr<Brain> brain_;
  std::map<std::string, FakeWorker> workers_;  // by Pod UID
  std::map<uint64_t, Wire> wires_;             // by connection
  uint64_t next_connection_ = 1;
  MonotonicTime last_second_;
  std::map<std::string, uint64_t> cpu_ns_, sent_bytes_;  // by Pod UID
  uint64_t reports_ = 0;                                 // of the agent
  int agent_starts_ = 1;
};

}  // namespace longshore::controller
