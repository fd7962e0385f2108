// SPDX-License-Identifier: Apache-2.0
//
// The manifest of a folder: every entry below it with its kind, permissions, time and content hash.
// Used by the filesystem operations on source and restored folder.
#pragma once

#include <functional>
#include <string>

#include "worker/cancellation.h"
#include "worker/manifest.h"
#include "worker/outcome.h"

namespace longshore::worker {

struct FolderTotals {
  uint64_t bytes = 0, entries = 0;
};
Outcome<FolderTotals> MeasureFolder(const std::string& folder, const Cancellation& cancellation);

// Reads every file. `on_bytes` is told how much has been read so far. Failures: NotFound, an
// unreadable entry (Authentication), Cancelled.
Outcome<Manifest> ComputeFileManifest(const std::string& folder,
                                      const std::function<void(const FolderTotals&)>& on_progress,
                                      const Cancellation& cancellation);

// What a refused or missing path means to who asked for the operation.
Failure FileFailure(int error_number, const std::string& path);

// A name of any bytes as text that JSON can hold: control, non-ASCII and '%' bytes become %XX.
std::string EncodePath(const std::string& path);

// Names the entries whose size, time or existence is no longer what the manifest says: what was
// copied in between may be either state. Sets manifest.changed_while_read.
Outcome<void> FindChanges(const std::string& folder, Manifest& manifest,
                          const Cancellation& cancellation);

}  // namespace longshore::worker
