// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/reporter.h"

#include <google/protobuf/arena.h>

#include <utility>

#include "common/base/log.h"
#include "nodeagent/usage_report.h"

namespace longshore::nodeagent {
namespace {

// 110 pods a node is usual, 250 the most that is recommended: some generations of all of them.
constexpr size_t kMaxFinals = 4096;
// The leader takes messages of 4 MiB. A report with more last records than this leaves the others
// to the next ones.
constexpr size_t kFullReportBytes = 1u << 20;
// A stream that is dead is noticed within 10 s: what was sent before has arrived.
constexpr std::chrono::seconds kMayBeLost{15};

}  // namespace

Reporter::Reporter(streams::ClientOptions options, messages::AgentHello hello, Watch watch)
    : watch_(std::move(watch)), hello_(std::move(hello)), client_(std::move(options), *this) {}

Reporter::~Reporter() { Stop(); }

Status Reporter::Start() { return client_.Start(); }

void Reporter::Stop() {
  {
    MutexLock lock(mutex_);
    said_unreachable_ = true;  // our own end is no news
  }
  client_.Stop();
}

// False when the stream has just closed again: the next one says hello. Its queue may be full, too.
bool Reporter::SayHello() {
  messages::AgentMessage message;
  {
    MutexLock lock(mutex_);
    hello_is_new_ = false;
    *message.mutable_hello() = hello_;
  }
  if (client_.Send(message.SerializeAsString()).has_value()) return true;
  MutexLock lock(mutex_);
  hello_is_new_ = true;
  return false;
}

void Reporter::Renew(messages::AgentHello hello) {
  MutexLock lock(mutex_);
  hello_ = std::move(hello);
  hello_is_new_ = true;
}

void Reporter::OnOpen() {
  if (!SayHello()) return;
  {
    MutexLock lock(mutex_);
    greeted_ = true;
    told_ = nullptr;
    said_unreachable_ = false;
    ++counts_.connections;
  }
  LogInfo("connected to the controller");
}

void Reporter::OnMessage(std::string_view message) {
  messages::AgentInstruction instruction;
  if (!instruction.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    MutexLock lock(mutex_);
    ++counts_.bad_instructions;
    return;
  }
  const auto& uids = instruction.watched_pod_uids();
  if (watch_) watch_({uids.begin(), uids.end()});
}

void Reporter::OnClose(const std::string& reason) {
  bool first = false;
  {
    MutexLock lock(mutex_);
    first = !std::exchange(said_unreachable_, true);
    greeted_ = false;
    told_ = nullptr;
    for (Final& final : sent_finals_) finals_.push_back(std::move(final.pod));
    sent_finals_.clear();
  }
  // Once until it is back: attempts follow each other every few seconds.
  if (first) LogWarn("no connection to the controller", {{"reason", reason}});
}

void Reporter::KeepFinals(const Sample& sample) {
  for (const PodSample& pod : sample.pods) {
    if (pod.final) finals_.push_back(ToMessage(pod));
  }
  while (finals_.size() > kMaxFinals) {
    finals_.pop_front();
    ++counts_.finals_dropped;
  }
}

// Those of this sample are among them: a last record is sent once. Returns how many were added.
size_t Reporter::AddFinals(messages::UsageReport& report) {
  auto* pods = report.mutable_pods();
  for (int i = pods->size() - 1; i >= 0; --i) {
    if (pods->Get(i).final()) pods->DeleteSubrange(i, 1);
  }
  if (finals_.empty()) return 0;
  size_t bytes = report.ByteSizeLong(), count = 0;
  for (const messages::PodCounters& pod : finals_) {
    bytes += pod.ByteSizeLong();
    if (bytes > kFullReportBytes && count > 0) break;
    *pods->Add() = pod;
    ++count;
  }
  return count;
}

void Reporter::NoteSent(std::shared_ptr<const Sample> sample, bool complete, size_t finals) {
  ++counts_.sent;
  ++sequence_;
  for (; finals > 0; --finals) {
    sent_finals_.push_back({std::move(finals_.front()), sample->end});
    finals_.pop_front();
  }
  while (!sent_finals_.empty() && (sent_finals_.size() > kMaxFinals ||
                                   sample->end - sent_finals_.front().sent > kMayBeLost)) {
    sent_finals_.pop_front();
  }
  if (complete) told_all_ = sample->end;
  told_ = std::move(sample);
}

bool Reporter::hello_is_due() {
  MutexLock lock(mutex_);
  return greeted_ && hello_is_new_;
}

void Reporter::Offer(std::shared_ptr<const Sample> sample) {
  if (hello_is_due()) (void)SayHello();
  // A report has some thousand small parts, and all go together.
  google::protobuf::ArenaOptions blocks;
  blocks.start_block_size = 32 * 1024;
  google::protobuf::Arena arena(blocks);
  auto& message = *google::protobuf::Arena::CreateMessage<messages::AgentMessage>(&arena);
  uint64_t stream = 0;
  size_t finals = 0;
  {
    MutexLock lock(mutex_);
    KeepFinals(*sample);
    if (!greeted_) {
      ++counts_.replaced;
      return;
    }
    stream = counts_.connections;
    const bool all = told_ == nullptr || sample->end - told_all_ >= kCompleteInterval;
    FillReport(*message.mutable_usage(), *sample, sequence_ + 1, all ? nullptr : told_.get());
    finals = AddFinals(*message.mutable_usage());
  }
  const bool complete = message.usage().complete();
  const bool sent = client_.Send(message.SerializeAsString()).has_value();
  MutexLock lock(mutex_);
  // A stream that came or went meanwhile: this report may be on neither, and the next says all.
  if (!sent || !greeted_ || stream != counts_.connections) {
    ++counts_.replaced;
    told_ = nullptr;
    return;
  }
  NoteSent(std::move(sample), complete, finals);
}

Reporter::Counts Reporter::counts() const {
  MutexLock lock(mutex_);
  Counts counts = counts_;
  counts.connected = greeted_;
  return counts;
}

}  // namespace longshore::nodeagent
