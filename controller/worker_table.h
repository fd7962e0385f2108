// SPDX-License-Identifier: Apache-2.0
//
// What we know of each worker from its stream, by Pod UID: the observed state that the pod
// reconciler acts on. Messages only change facts here and wake the reconciler; nothing is decided
// on the stream's thread. Written by the worker hub, read by the reconcilers and the live view.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "common/base/clock.h"
#include "common/base/mutex.h"
#include "common/messages/worker.pb.h"

namespace longshore::controller {

// Whose token it was.
struct WorkerIdentity {
  std::string ns, pod, uid;
};

struct WorkerFacts {
  WorkerIdentity identity;
  bool connected = false;
  uint64_t connection = 0;  // stream's id
  MonotonicTime heard;      // the last message
  MonotonicTime changed;    // connected or disconnected since
  bool silent = false;      // its pod was woken for it
  bool hello = false;       // said on this connection, tools proved
  std::string kind, version;
  uint64_t last_epoch = 0;     // the highest that this container has seen
  uint64_t running_epoch = 0;  // 0: nothing runs
  std::string running_operation;
  bool gate_closed = false;     // has accepted Retire
  bool retire_refused = false;  // the last answer on this connection
  std::optional<messages::AssignReply> reply;
  std::optional<messages::Progress> progress;
  WallTime progress_time;
  // What the running operation has come to, and since when: kept while the connection is lost.
  messages::Progress standing;
  MonotonicTime moved;
  std::optional<messages::OperationResult> result;  // not yet released
  // What we sent on this connection; a new connection begins with nothing sent.
  uint64_t assign_sent = 0, cancel_sent = 0, released_sent = 0;
  std::optional<MonotonicTime> retire_sent;
  bool stop_sent = false;

  bool Present(MonotonicTime now, std::chrono::nanoseconds silence) const {
    return connected && hello && now - heard <= silence;
  }
};

// Thread-safe.
class WorkerTable {
 public:
  using Transport = std::function<void(uint64_t connection, std::string message)>;
  using Wake = std::function<void(const std::string& ns, const std::string& pod)>;

  explicit WorkerTable(const Clock& clock = Clock::Real());
  // Before the first OnOpen. Both are called without a lock held.
  void Connect(Transport transport, Wake wake);

  // From the hub. Connections have growing numbers; an older one that is admitted late is ignored.
  void OnOpen(uint64_t connection, const WorkerIdentity& identity);
  // Errors: kInvalidArgument for bytes that are no WorkerMessage.
  Status OnMessage(uint64_t connection, std::string_view bytes);
  void OnClose(uint64_t connection);
  // Wakes the pods whose connected worker has said nothing for so long, each once for a silence.
  // Called about once a second.
  void WakeSilent(std::chrono::nanoseconds silence);

  // From the reconcilers.
  std::optional<WorkerFacts> Facts(const std::string& pod_uid) const;
  // Sends if connected, and notes what was sent. False: not connected.
  bool Send(const std::string& pod_uid, const messages::ControllerMessage& message);
  // The Pod is gone: forgets it unless it is (still) connected.
  void Forget(const std::string& pod_uid);
  // The same for a name that has neither row nor Pod any more.
  void ForgetPod(const std::string& ns, const std::string& pod);
  size_t connected() const;
  size_t known() const;  // connected or not

 private:
  // Whether the pod is to be looked at for what was said.
  bool Take(WorkerFacts& facts, const messages::WorkerMessage& message) LS_REQUIRES(mutex_);
  bool TakeProgress(WorkerFacts& facts, const messages::Progress& progress) LS_REQUIRES(mutex_);
  void Erase(const std::string& pod_uid) LS_REQUIRES(mutex_);

  const Clock& clock_;
  Transport transport_;
  Wake wake_;
  mutable Mutex mutex_;
  std::map<std::string, WorkerFacts> by_uid_ LS_GUARDED_BY(mutex_);
  std::map<uint64_t, std::string> uid_by_connection_ LS_GUARDED_BY(mutex_);
  // By "NAMESPACE/POD": whose connection is the newest. An earlier one is forgotten when it is not
  // connected.
  std::map<std::string, std::string> latest_uid_ LS_GUARDED_BY(mutex_);
  double progress_visits_ LS_GUARDED_BY(mutex_) = 0;  // that are left, as of then
  MonotonicTime counted_ LS_GUARDED_BY(mutex_){};
};

}  // namespace longshore::controller
