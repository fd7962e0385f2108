// SPDX-License-Identifier: Apache-2.0
//
// Check, Backup, Restore and Verify of a folder on a mounted volume. The volume is read as it
// stands: without a snapshot of it, files that change meanwhile are named in the record.
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/strings.h"
#include "worker/file_manifest.h"
#include "worker/operation.h"
#include "worker/record_lookup.h"
#include "worker/tar_verifier.h"

namespace longshore::worker {
namespace {

namespace fs = std::filesystem;

// The controller mounts the claim for what the request is for.
constexpr char kWhoMounts[] =
    "requests for Backup mount the claim to be read, those for Restore to be written, others not";

// A part as a folder below a root: no way out of it.
Outcome<std::string> FolderOf(const std::string& root, const std::string& part) {
  for (const std::string& step : Split(part, '/')) {
    if (step == "..") return Failure{kConfiguration, "part: '..' is not allowed", false};
  }
  if (part.find('\0') != std::string::npos || part.find('\n') != std::string::npos) {
    return Failure{kConfiguration, "part: a line break or NUL is not allowed", false};
  }
  std::error_code error;
  if (!fs::is_directory(root, error)) {
    return Failure{kConfiguration, "no volume is mounted at " + root + ": " + kWhoMounts, false};
  }
  std::string relative = fs::path(part).lexically_normal().relative_path().string();
  while (relative.ends_with('/')) relative.pop_back();
  if (relative.empty() || relative == ".") return root;
  return root + "/" + relative;
}

Outcome<std::string> SourceFolder(const OperationContext& context) {
  LS_ASSIGN_OR_RETURN(std::string folder,
                      FolderOf(context.settings.source_dir, context.assign.part()));
  struct stat status{};
  if (::lstat(folder.c_str(), &status) != 0) return FileFailure(errno, folder);
  if (!S_ISDIR(status.st_mode)) return Failure{kNotFound, folder + ": not a folder", false};
  return folder;
}

// A pod that is there to restore has its claim at the target only.
bool MountedToRestore(const Settings& settings) {
  std::error_code error;
  return !fs::is_directory(settings.source_dir, error) &&
         fs::is_directory(settings.target_dir, error);
}

Outcome<Record> CopyFolder(const OperationContext& context, const std::string& folder) {
  ProgressBoard& progress = context.progress;
  LS_ASSIGN_OR_RETURN(const FolderTotals totals, MeasureFolder(folder, context.cancellation));
  Record record = NewRecord(context.assign, "filesystem");
  record.time = FormatTime(Clock::Real().Now());
  progress.Enter(kPhaseHashing, totals.bytes);
  MonotonicTime start = Clock::Real().Monotonic();
  LS_ASSIGN_OR_RETURN(record.manifest, ComputeFileManifest(
                                           folder,
                                           [&](const FolderTotals& done) {
                                             progress.SetBytes(done.bytes);
                                             progress.SetItems(done.entries, totals.entries);
                                           },
                                           context.cancellation));
  record.manifest_seconds = SecondsSince(start);
  progress.Enter(kPhaseCopying, totals.bytes);
  start = Clock::Real().Monotonic();
  LS_ASSIGN_OR_RETURN(const BackupSummary copied,
                      context.restic.BackupFolder(
                          folder, CopyTags(record, "data"), [&](const BackupStatus& status) {
                            progress.SetBytes(status.bytes_done);
                            progress.SetItems(status.files_done, status.files_total);
                          }));
  record.copy_seconds = SecondsSince(start);
  LS_RETURN_IF_ERROR(FindChanges(folder, record.manifest, context.cancellation));
  record.data_snapshot = copied.snapshot;
  record.data_path = folder;
  record.tools = context.settings.tools;
  record.bytes = static_cast<int64_t>(copied.bytes);
  return record;
}

// Where a restore writes to.
struct Target {
  std::string folder;
  std::vector<std::string> made;  // folders that were not there, the outermost first
};

Outcome<void> MakeFolders(Target& target) {
  std::vector<std::string> missing;
  std::error_code error;
  for (fs::path path = target.folder; !fs::exists(fs::symlink_status(path, error));
       path = path.parent_path()) {
    missing.push_back(path.string());
  }
  for (auto path = missing.rbegin(); path != missing.rend(); ++path) {
    if (::mkdir(path->c_str(), 0700) != 0) return FileFailure(errno, *path);
    target.made.push_back(*path);
  }
  return {};
}

void RemoveFolders(const Target& target) {
  for (auto path = target.made.rbegin(); path != target.made.rend(); ++path) {
    ::rmdir(path->c_str());
  }
}

// The folder to restore into: made when it is missing, refused when it holds something.
Outcome<Target> EmptyTarget(const OperationContext& context, const Record& record) {
  const std::string& part =
      context.assign.target_part().empty() ? record.part : context.assign.target_part();
  Target target;
  LS_ASSIGN_OR_RETURN(target.folder, FolderOf(context.settings.target_dir, part));
  if (Outcome<void> made = MakeFolders(target); !made) {
    RemoveFolders(target);
    return std::move(made).error();
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(target.folder, error)) {
    // A volume's own file system may have it at its root.
    if (entry.path().filename() == "lost+found") continue;
    return Failure{kNotEmpty,
                   target.folder + " is not empty: empty it or restore into another folder", false};
  }
  if (error) return FileFailure(error.value(), target.folder);
  return target;
}

void RemoveContent(const std::string& folder) {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    if (entry.path().filename() != "lost+found") fs::remove_all(entry.path(), error);
  }
}

// The restore writes below the folder; the folder itself, and those on the way to it, were made for
// nobody else to look into meanwhile. One that was there keeps the mode that it was given.
Outcome<void> OpenFolders(const OperationContext& context, const Record& record,
                          const Target& target) {
  if (target.made.empty()) return {};
  LS_ASSIGN_OR_RETURN(const mode_t mode,
                      context.restic.FolderMode(record.data_snapshot, record.data_path));
  for (const std::string& path : target.made) {
    if (::chmod(path.c_str(), mode) != 0) return FileFailure(errno, path);
  }
  return {};
}

Outcome<void> RestoreAndCompare(const OperationContext& context, const Record& record,
                                const Target& target) {
  const std::string& folder = target.folder;
  ProgressBoard& progress = context.progress;
  progress.Enter(kPhaseRestoring, static_cast<uint64_t>(record.bytes));
  LS_RETURN_IF_ERROR(context.restic.RestoreFolder(
      record.data_snapshot, record.data_path, folder, [&](const BackupStatus& status) {
        progress.SetBytes(status.bytes_done);
        progress.SetItems(status.files_done, status.files_total);
      }));
  progress.Enter(kPhaseComparing, static_cast<uint64_t>(record.bytes));
  LS_ASSIGN_OR_RETURN(Manifest found,
                      ComputeFileManifest(
                          folder, [&](const FolderTotals& done) { progress.SetBytes(done.bytes); },
                          context.cancellation));
  std::erase_if(found.files, [](const FileDigest& file) { return file.path == "lost+found"; });
  Manifest expected = record.manifest;
  // What came or went while it was copied may or may not be in the copy.
  for (const std::string& path : expected.changed_while_read) {
    const auto is_it = [&](const FileDigest& file) { return file.path == path; };
    const bool both = std::any_of(found.files.begin(), found.files.end(), is_it) &&
                      std::any_of(expected.files.begin(), expected.files.end(), is_it);
    if (both) continue;
    std::erase_if(found.files, is_it);
    std::erase_if(expected.files, is_it);
  }
  const std::vector<std::string> differences = CompareManifests(expected, found);
  if (!differences.empty()) {
    return Failure{kMismatch, "not equal to the copy's manifest: " + Join(differences, "; "),
                   false};
  }
  return OpenFolders(context, record, target);
}

}  // namespace

Outcome<OperationReport> CheckFilesystem(const OperationContext& context) {
  if (MountedToRestore(context.settings)) {
    const std::string& folder = context.settings.target_dir;
    if (::access(folder.c_str(), W_OK | X_OK) != 0) return FileFailure(errno, folder);
    LS_RETURN_IF_ERROR(context.restic.Open(/*create=*/true));
    return OperationReport{};
  }
  LS_ASSIGN_OR_RETURN(const std::string folder, SourceFolder(context));
  LS_RETURN_IF_ERROR(MeasureFolder(folder, context.cancellation));
  LS_RETURN_IF_ERROR(context.restic.Open(/*create=*/true));
  return OperationReport{};
}

Outcome<OperationReport> BackupFilesystem(const OperationContext& context) {
  LS_ASSIGN_OR_RETURN(const std::string folder, SourceFolder(context));
  LS_RETURN_IF_ERROR(context.restic.Open(/*create=*/true));
  LS_ASSIGN_OR_RETURN(std::optional<FoundRecord> before,
                      FindEarlierRecord(context.restic, context.assign, "filesystem"));
  if (before) return OperationReport{"", std::move(before)};
  LS_ASSIGN_OR_RETURN(Record record, CopyFolder(context, folder));
  if (!record.manifest.changed_while_read.empty()) {
    LogWarn("files changed while they were read",
            {{"part", record.part}, {"files", record.manifest.changed_while_read.size()}});
  }
  context.progress.Enter(kPhaseCommitting);
  LS_ASSIGN_OR_RETURN(FoundRecord written, WriteRecord(context.restic, std::move(record)));
  return OperationReport{"", std::move(written)};
}

Outcome<OperationReport> RestoreFilesystem(const OperationContext& context) {
  LS_RETURN_IF_ERROR(context.restic.Open(/*create=*/false));
  LS_ASSIGN_OR_RETURN(FoundRecord found, ReadRecord(context.restic, context.assign, "filesystem"));
  LS_ASSIGN_OR_RETURN(const Target target, EmptyTarget(context, found.record));
  if (Outcome<void> done = RestoreAndCompare(context, found.record, target); !done) {
    RemoveContent(target.folder);
    RemoveFolders(target);
    return std::move(done).error();
  }
  return OperationReport{"", std::move(found)};
}

// Reads every file of the copy, as a tar archive, and hashes it again: blocks that restic cannot
// prove, and files that are not what the manifest says, are both found.
Outcome<OperationReport> VerifyFilesystem(const OperationContext& context) {
  LS_RETURN_IF_ERROR(context.restic.Open(/*create=*/false));
  LS_ASSIGN_OR_RETURN(FoundRecord found, ReadRecord(context.restic, context.assign, "filesystem"));
  const Record& record = found.record;
  context.progress.Enter(kPhaseReading, static_cast<uint64_t>(record.bytes));
  TarVerifier verifier(record.manifest);
  RunOptions run;
  run.cancellation = &context.cancellation;
  run.on_out_bytes = [&](std::string_view bytes) {
    verifier.Add(bytes);
    context.progress.SetBytes(verifier.content_bytes());
  };
  LS_ASSIGN_OR_RETURN(
      const Finished read,
      Run(context.reaper, context.restic.DumpFolderCommand(record.data_snapshot, record.data_path),
          run));
  if (!read.ok()) return ClassifyRestic(read, "read the copy");
  const std::vector<std::string> differences = verifier.Finish();
  if (!differences.empty()) {
    return Failure{kMismatch, "the copy is not what its manifest says: " + Join(differences, "; ")};
  }
  return OperationReport{"", std::move(found)};
}

}  // namespace longshore::worker
