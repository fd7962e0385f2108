// SPDX-License-Identifier: Apache-2.0
//
// restic as a library would be: opens a repository, writes streams and folders into it, finds and
// reads snapshots. Version 0.17 or newer (--stdin-from-command, exit codes). Used by the
// operations.
#pragma once

#include <sys/types.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "worker/credentials.h"
#include "worker/run.h"

namespace longshore::worker {

// What restic says while it works and at the end (its --json lines).
struct BackupStatus {
  uint64_t bytes_done = 0, bytes_total = 0;
  uint64_t files_done = 0, files_total = 0;
};
struct BackupSummary {
  std::string snapshot;       // id; empty: restic made none
  uint64_t bytes = 0;         // read from the source
  uint64_t bytes_added = 0;   // new in the repository, before compression
  uint64_t bytes_stored = 0;  // and after
};
// Reads one line. Returns false for lines that are neither.
bool ParseBackupLine(std::string_view line, BackupStatus& status, BackupSummary& summary);

struct Snapshot {
  std::string id, time;
  std::vector<std::string> paths, tags;
};

// What went wrong, from restic's exit code and stderr. `doing` begins the message.
Failure ClassifyRestic(const Finished& finished, const std::string& doing);

// The reading side, which the look-up of records needs. Tests have snapshots in memory behind it.
class SnapshotReader {
 public:
  virtual ~SnapshotReader() = default;
  // Snapshots that carry all these tags. Ids are whole; times are what whoever wrote them said.
  virtual Outcome<std::vector<Snapshot>> Find(const std::vector<std::string>& tags) = 0;
  // One file of a snapshot. `snapshot` is an id that was found or checked (IsSha256).
  virtual Outcome<std::string> ReadText(const std::string& snapshot, const std::string& path) = 0;
};

class Restic : public SnapshotReader {
 public:
  struct Options {
    std::string cache_dir;                           // below the scratch folder
    std::string host;                                // of snapshots: the pod's name
    std::map<std::string, std::string> environment;  // BaseEnvironment
  };

  // `access` and `cancellation` must outlive it.
  Restic(Reaper& reaper, const RepositoryAccess& access, Options options,
         const Cancellation& cancellation);

  // Proves reach, login and key in seconds. Makes the repository where there is none, if `create`.
  Outcome<void> Open(bool create);

  Outcome<std::vector<Snapshot>> Find(const std::vector<std::string>& tags) override;

  struct Stream {
    std::string file_name;  // in the snapshot
    std::vector<std::string> tags;
    // Its stdout is what is stored. A child of restic: when it fails there is no snapshot.
    std::vector<std::string> command;
    std::map<std::string, std::string> environment;
    // Takes the command's stderr, which restic may lose when it gives up.
    std::string error_file;
  };
  using StatusCallback = std::function<void(const BackupStatus&)>;
  Outcome<BackupSummary> BackupStream(const Stream& stream, const StatusCallback& on_status,
                                      const Cancellation& cancellation);
  // The folder with all below it. Unreadable files are a failure, not a gap.
  Outcome<BackupSummary> BackupFolder(const std::string& folder,
                                      const std::vector<std::string>& tags,
                                      const StatusCallback& on_status);
  Outcome<BackupSummary> BackupText(const std::string& file_name,
                                    const std::vector<std::string>& tags, std::string text);

  Outcome<std::string> ReadText(const std::string& snapshot, const std::string& path) override;
  // Writes one file of a snapshot to stdout: for pipelines.
  Command DumpCommand(const std::string& snapshot, const std::string& path) const;
  // Writes a folder of a snapshot to stdout as a tar archive.
  Command DumpFolderCommand(const std::string& snapshot, const std::string& path) const;
  Outcome<void> RestoreFolder(const std::string& snapshot, const std::string& path,
                              const std::string& target, const StatusCallback& on_status);
  // The permission bits of a folder itself, which RestoreFolder leaves alone.
  Outcome<mode_t> FolderMode(const std::string& snapshot, const std::string& path);

 private:
  Command MakeCommand(std::vector<std::string> arguments) const;
  Outcome<BackupSummary> RunBackup(Command command, std::string input,
                                   const StatusCallback& on_status,
                                   const Cancellation& cancellation, const std::string& doing);
  Outcome<void> Initialise();
  void UnlockAfterKill(const Finished& finished);

  Reaper& reaper_;
  const RepositoryAccess& access_;
  const Options options_;
  const Cancellation& cancellation_;
};

}  // namespace longshore::worker
