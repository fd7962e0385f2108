// SPDX-License-Identifier: Apache-2.0
#include "extender/recorder.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "common/base/files.h"
#include "common/base/log.h"

namespace longshore::extender {
namespace {

namespace fs = std::filesystem;

constexpr char kSuffix[] = ".recording";
constexpr size_t kMaxWaiting = 200;
constexpr size_t kMaxNameBytes = 64;

// Names come from a request that anybody with a certificate may send: no path is made of them.
std::string FileNamePart(std::string_view name) {
  std::string part(name.substr(0, kMaxNameBytes));
  std::replace_if(
      part.begin(), part.end(),
      [](char c) { return !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-'; }, '_');
  return part;
}

// Sorts by time: 2026-11-27T07-34-13.000004Z-17-filter-NAMESPACE.POD.recording
std::string FileName(const Recording& recording, uint64_t number) {
  std::string time = recording.time;
  std::replace(time.begin(), time.end(), ':', '-');
  return time + "-" + std::to_string(number) + "-" + recording.verb + "-" +
         FileNamePart(recording.pod_namespace) + "." + FileNamePart(recording.pod_name) + kSuffix;
}

}  // namespace

Recorder::Recorder(RecorderOptions options, std::string version, metrics::Registry& registry)
    : options_(std::move(options)),
      version_(std::move(version)),
      written_(registry.MakeCounter("longshore_extender_recordings_total",
                                    "Calls that were written to the folder of recordings")),
      dropped_(registry.MakeCounter("longshore_extender_recordings_dropped_total",
                                    "Calls that were too large, too many at once, or could not be "
                                    "written")),
      queue_(dropped_, kMaxWaiting) {}

Status Recorder::Start() {
  std::error_code error;
  if (fs::create_directories(options_.folder, error)) {
    fs::permissions(options_.folder, fs::perms::owner_all, error);
  }
  if (error) return Unavailable(options_.folder + ": " + error.message());
  for (const auto& entry : fs::directory_iterator(options_.folder, error)) {
    if (entry.path().extension() != kSuffix) continue;
    std::error_code gone;
    const uint64_t size = entry.file_size(gone);
    if (!gone) files_.emplace_back(entry.path().string(), size);
  }
  if (error) return Unavailable(options_.folder + ": " + error.message());
  std::sort(files_.begin(), files_.end());
  for (const auto& [path, size] : files_) bytes_ += size;
  LogInfo("calls are recorded", {{"folder", options_.folder}, {"files", files_.size()}});
  return {};
}

bool Recorder::Wants(size_t bytes) {
  if (bytes <= options_.max_call_bytes && waiting_bytes_ + bytes <= options_.max_waiting_bytes) {
    return true;
  }
  dropped_.Increment();
  return false;
}

void Recorder::Record(RecordedCall call) {
  const size_t bytes = call.body.size() + call.reply.size();
  waiting_bytes_ += bytes;
  // Also when the queue drops it unwritten.
  const std::shared_ptr<const RecordedCall> kept(new RecordedCall(std::move(call)),
                                                 [this, bytes](const RecordedCall* done) {
                                                   delete done;
                                                   waiting_bytes_ -= bytes;
                                                 });
  queue_.Add([this, kept] { Write(*kept); });
}

void Recorder::Write(const RecordedCall& call) {
  const Recording recording = MakeRecording(call, version_);
  const std::string file = WriteRecording(recording);
  const std::string path = options_.folder + "/" + FileName(recording, number_++);
  const Status written = WriteFileAtomically(path, file, 0600);
  if (!written.has_value()) {
    dropped_.Increment();
    if (const auto left_out = failure_log_.Admit()) {
      LogWarn("call not recorded", {{"error", written.error().message}, {"leftOut", *left_out}});
    }
    return;
  }
  written_.Increment();
  files_.emplace_back(path, file.size());
  bytes_ += file.size();
  while (files_.size() > options_.max_files || bytes_ > options_.max_bytes) {
    std::error_code ignored;  // somebody else took it away
    fs::remove(files_.front().first, ignored);
    bytes_ -= files_.front().second;
    files_.pop_front();
  }
}

}  // namespace longshore::extender
