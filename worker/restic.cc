// SPDX-License-Identifier: Apache-2.0
#include "worker/restic.h"

#include <signal.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>

#include "common/api/archive.h"
#include "common/base/files.h"
#include "common/base/log.h"
#include "common/base/strings.h"
#include "worker/reach.h"

namespace longshore::worker {
namespace {

using api::Json;

// restic's exit codes, 0.17 and newer.
constexpr int kNoRepository = 10, kLocked = 11, kWrongKey = 12;
constexpr std::chrono::seconds kOpenTimeout{30};
constexpr std::chrono::minutes kReadTimeout{10};

uint64_t Number(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_number_unsigned() ? found->get<uint64_t>() : 0;
}

std::string Text(const Json& json, const char* name) {
  const auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

std::vector<std::string> Texts(const Json& json, const char* name) {
  std::vector<std::string> texts;
  const auto found = json.find(name);
  if (found == json.end() || !found->is_array()) return texts;
  for (const Json& item : *found) {
    if (item.is_string()) texts.push_back(item.get<std::string>());
  }
  return texts;
}

// The sentence of restic's last words: "Fatal: …", plain or in {"message_type":"exit_error"}.
std::string LastWords(const std::string& err) {
  std::vector<std::string> said;
  for (const std::string& line : Split(err, '\n')) {
    if (Trim(line).empty()) continue;
    if (line.starts_with('{')) {
      const auto json = api::ParseJson(line);
      if (!json) continue;
      if (Text(*json, "message_type") == "exit_error") said = {Text(*json, "message")};
    } else if (line.starts_with("Fatal: ") || said.empty()) {
      said = {line};
    }
  }
  std::string words = said.empty() ? "it said nothing" : said[0];
  std::replace(words.begin(), words.end(), '\n', ' ');
  return words.starts_with("Fatal: ") ? words.substr(7) : words;
}

// Go's os.FileMode keeps what is beyond rwxrwxrwx elsewhere than Unix does. Set-user-ID means
// nothing on a folder.
mode_t PermissionBits(uint64_t go_mode) {
  constexpr uint64_t kSetGid = 1u << 22, kSticky = 1u << 20;
  auto bits = static_cast<mode_t>(go_mode & 0777);
  if ((go_mode & kSetGid) != 0) bits |= S_ISGID;
  if ((go_mode & kSticky) != 0) bits |= S_ISVTX;
  return bits;
}

std::string TagList(const std::vector<std::string>& tags) { return Join(tags, ","); }

void Append(std::vector<std::string>& list, std::vector<std::string> more) {
  for (std::string& item : more) list.push_back(std::move(item));
}

}  // namespace

bool ParseBackupLine(std::string_view line, BackupStatus& status, BackupSummary& summary) {
  const auto json = api::ParseJson(line);
  if (!json || !json->is_object()) return false;
  const std::string type = Text(*json, "message_type");
  if (type == "status") {
    status = {Number(*json, "bytes_done"), Number(*json, "total_bytes"),
              Number(*json, "files_done"), Number(*json, "total_files")};
    return true;
  }
  if (type != "summary") return false;
  summary = {Text(*json, "snapshot_id"), Number(*json, "total_bytes_processed"),
             Number(*json, "data_added"), Number(*json, "data_added_packed")};
  return true;
}

Failure ClassifyRestic(const Finished& finished, const std::string& doing) {
  if (finished.cancelled) return {kCancelledClass, doing + ": cancelled", false};
  const std::string words = doing + ": " + LastWords(finished.err);
  const auto says = [&](const char* text) { return finished.err.find(text) != std::string::npos; };
  if (finished.timed_out) return {kUnreachable, words + " (no answer in time)", true};
  if (finished.status.code == kNoRepository) return {kNotFound, words, false};
  if (finished.status.code == kLocked) return {kRepository, words, true};
  if (finished.status.code == kWrongKey) {
    return {kRepository, doing + ": the encryption key does not open this repository", false};
  }
  if (says("command failed: ")) return {kDumpFailed, words, false};
  if (says("401 Unauthorized") || says("(401)") || says("403 Forbidden") || says("(403)")) {
    return {kAuthentication, doing + ": the repository refuses this login: " + words, false};
  }
  if (says("connection refused") || says("no such host") || says("i/o timeout") ||
      says("no route to host") || says("network is unreachable")) {
    return {kUnreachable, words, true};
  }
  const bool killed = finished.status.signal != 0;
  return {kRepository, words + " (" + finished.status.ToString() + ")", killed};
}

Restic::Restic(Reaper& reaper, const RepositoryAccess& access, Options options,
               const Cancellation& cancellation)
    : reaper_(reaper), access_(access), options_(std::move(options)), cancellation_(cancellation) {}

Command Restic::MakeCommand(std::vector<std::string> arguments) const {
  Command command;
  command.argv = {"restic", "--json", "--retry-lock=30s"};
  if (!access_.ca_file.empty()) command.argv.push_back("--cacert=" + access_.ca_file);
  Append(command.argv, std::move(arguments));
  command.environment = options_.environment;
  command.environment.insert(access_.environment.begin(), access_.environment.end());
  command.environment["RESTIC_CACHE_DIR"] = options_.cache_dir;
  command.environment["RESTIC_PROGRESS_FPS"] = "2";
  return command;
}

Outcome<void> Restic::Open(bool create) {
  if (!access_.host.empty()) {
    const ReachOptions reach{access_.host, access_.port, access_.tls, access_.ca_file};
    if (auto reached = CheckReach(reach, cancellation_); !reached) {
      Failure failure = std::move(reached).error();
      failure.message = "repository " + failure.message;
      return failure;
    }
  }
  RunOptions run;
  run.timeout = kOpenTimeout;
  run.cancellation = &cancellation_;
  LS_ASSIGN_OR_RETURN(const Finished opened,
                      Run(reaper_, MakeCommand({"cat", "config", "--no-lock"}), run));
  if (opened.ok()) return {};
  if (create && opened.status.code == kNoRepository) return Initialise();
  return ClassifyRestic(opened, "open repository " + access_.display);
}

Outcome<void> Restic::Initialise() {
  RunOptions run;
  run.timeout = kOpenTimeout;
  run.cancellation = &cancellation_;
  LS_ASSIGN_OR_RETURN(const Finished made, Run(reaper_, MakeCommand({"init"}), run));
  if (made.ok()) {
    LogInfo("repository made", {{"url", access_.display}});
    return {};
  }
  // Another worker may have been quicker. Its key may be written after its config: try some times.
  for (int attempt = 0; attempt < 5 && !cancellation_.cancelled(); ++attempt) {
    LS_ASSIGN_OR_RETURN(const Finished opened,
                        Run(reaper_, MakeCommand({"cat", "config", "--no-lock"}), run));
    if (opened.ok()) return {};
  }
  return ClassifyRestic(made, "make repository " + access_.display);
}

Outcome<std::vector<Snapshot>> Restic::Find(const std::vector<std::string>& tags) {
  RunOptions run;
  run.timeout = kReadTimeout;
  run.cancellation = &cancellation_;
  LS_ASSIGN_OR_RETURN(
      const Finished listed,
      Run(reaper_, MakeCommand({"snapshots", "--no-lock", "--tag", TagList(tags)}), run));
  if (!listed.ok()) return ClassifyRestic(listed, "list copies");
  LS_ASSIGN_OR_RETURN(const Json json, api::ParseJson(listed.out));
  std::vector<Snapshot> snapshots;
  if (!json.is_array()) return snapshots;
  for (const Json& item : json) {
    snapshots.push_back(
        {Text(item, "id"), Text(item, "time"), Texts(item, "paths"), Texts(item, "tags")});
  }
  return snapshots;
}

Outcome<BackupSummary> Restic::BackupStream(const Stream& stream, const StatusCallback& on_status,
                                            const Cancellation& cancellation) {
  std::vector<std::string> arguments = {
      "backup", "--host", options_.host, "--tag", TagList(stream.tags), "--stdin-filename",
      stream.file_name, "--stdin-from-command", "--", "sh", "-c",
      // What it says is kept up to 1 MiB: a server can make it
      // say more than the volume holds.
      "ulimit -f 2048; trap '' XFSZ; exec \"$@\" 2>\"$0\"", stream.error_file};
  Append(arguments, stream.command);
  Command command = MakeCommand(std::move(arguments));
  command.environment.insert(stream.environment.begin(), stream.environment.end());
  const std::string doing = "copy " + stream.file_name;
  Outcome<BackupSummary> copied = RunBackup(std::move(command), "", on_status, cancellation, doing);
  const auto said = ReadFile(stream.error_file);
  ::unlink(stream.error_file.c_str());
  if (!copied && copied.error().error_class == kDumpFailed && said && !Trim(*said).empty()) {
    Failure failure = copied.error();
    failure.message = doing + ": " + std::string(Trim(*said));
    return failure;
  }
  return copied;
}

Outcome<BackupSummary> Restic::BackupFolder(const std::string& folder,
                                            const std::vector<std::string>& tags,
                                            const StatusCallback& on_status) {
  Command command =
      MakeCommand({"backup", "--host", options_.host, "--tag", TagList(tags), "--", folder});
  return RunBackup(std::move(command), "", on_status, cancellation_, "copy " + folder);
}

Outcome<BackupSummary> Restic::BackupText(const std::string& file_name,
                                          const std::vector<std::string>& tags, std::string text) {
  Command command = MakeCommand({"backup", "--host", options_.host, "--tag", TagList(tags),
                                 "--stdin-filename", file_name, "--stdin"});
  return RunBackup(std::move(command), std::move(text), {}, cancellation_, "write " + file_name);
}

Outcome<BackupSummary> Restic::RunBackup(Command command, std::string input,
                                         const StatusCallback& on_status,
                                         const Cancellation& cancellation,
                                         const std::string& doing) {
  BackupStatus status;
  BackupSummary summary;
  RunOptions run;
  run.input = std::move(input);
  run.cancellation = &cancellation;
  run.on_out = [&](std::string_view line) {
    if (ParseBackupLine(line, status, summary) && on_status) on_status(status);
  };
  LS_ASSIGN_OR_RETURN(const Finished finished, Run(reaper_, command, run));
  UnlockAfterKill(finished);
  if (!finished.ok()) return ClassifyRestic(finished, doing);
  if (summary.snapshot.empty()) {
    return Failure{kRepository, doing + ": restic ended well but named no snapshot", true};
  }
  return summary;
}

// restic removes its lock on SIGINT. Killed, it leaves it; `unlock` takes it for stale because it
// bears our host name and a process id that is gone.
void Restic::UnlockAfterKill(const Finished& finished) {
  if (finished.status.signal != SIGKILL) return;
  RunOptions run;
  run.timeout = std::chrono::seconds(15);
  const auto unlocked = Run(reaper_, MakeCommand({"unlock"}), run);
  if (!unlocked || !unlocked->ok()) LogWarn("a lock of this worker may be left behind");
}

Outcome<std::string> Restic::ReadText(const std::string& snapshot, const std::string& path) {
  RunOptions run;
  run.timeout = kReadTimeout;
  run.cancellation = &cancellation_;
  run.out_limit = size_t{512} << 20;
  LS_ASSIGN_OR_RETURN(Finished read, Run(reaper_, DumpCommand(snapshot, path), run));
  if (!read.ok()) return ClassifyRestic(read, "read " + path);
  return std::move(read.out);
}

Command Restic::DumpCommand(const std::string& snapshot, const std::string& path) const {
  return MakeCommand({"dump", "--", snapshot, path});
}

Command Restic::DumpFolderCommand(const std::string& snapshot, const std::string& path) const {
  return MakeCommand({"dump", "--archive", "tar", "--", snapshot + ":" + path, "/"});
}

Outcome<void> Restic::RestoreFolder(const std::string& snapshot, const std::string& path,
                                    const std::string& target, const StatusCallback& on_status) {
  RunOptions run;
  run.cancellation = &cancellation_;
  run.on_out = [&](std::string_view line) {
    const auto json = api::ParseJson(line);
    if (!json || Text(*json, "message_type") != "status" || !on_status) return;
    on_status({Number(*json, "bytes_restored"), Number(*json, "total_bytes"),
               Number(*json, "files_restored"), Number(*json, "total_files")});
  };
  LS_ASSIGN_OR_RETURN(
      const Finished finished,
      Run(reaper_, MakeCommand({"restore", "--target", target, "--", snapshot + ":" + path}), run));
  UnlockAfterKill(finished);
  if (!finished.ok()) return ClassifyRestic(finished, "restore " + path);
  return {};
}

Outcome<mode_t> Restic::FolderMode(const std::string& snapshot, const std::string& path) {
  std::optional<uint64_t> mode;
  RunOptions run;
  run.cancellation = &cancellation_;
  run.timeout = kReadTimeout;
  run.on_out = [&](std::string_view line) {
    const auto json = api::ParseJson(line);
    if (!json || Text(*json, "path") != path || Text(*json, "type") != "dir") return;
    mode = Number(*json, "mode");
  };
  LS_ASSIGN_OR_RETURN(const Finished finished,
                      Run(reaper_, MakeCommand({"ls", "--", snapshot, path}), run));
  UnlockAfterKill(finished);
  if (!finished.ok()) return ClassifyRestic(finished, "look at " + path);
  if (!mode) LogWarn("the snapshot does not say the folder's mode", {{"path", path}});
  return PermissionBits(mode.value_or(0700));
}

}  // namespace longshore::worker
