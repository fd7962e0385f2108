// SPDX-License-Identifier: Apache-2.0
//
// Which snapshot of a repository holds the record of a copy. The copy's id does not say: whoever
// may append to the repository can write a record under any id, with any time. So a restore is held
// to what the controller knows of the record that the backup wrote, and where it knows nothing,
// records that differ are not chosen from. Used by the operations.
#pragma once

#include <optional>
#include <string>

#include "worker/record.h"

namespace longshore::worker {

// For Restore and Verify: the record of the assignment's copy, which must be of `kind`. With
// known_copy it is read from that snapshot alone and must have its digests; without, it is looked
// up by the copy's id. Failures: NotFound; Configuration when it is of another kind; Mismatch when
// it is unfit, not the one that was written, or one of several that differ.
Outcome<FoundRecord> ReadRecord(SnapshotReader& snapshots, const messages::Assign& assign,
                                const std::string& kind);

// For Backup: the record that an earlier attempt of this operation wrote and could not tell of.
// nullopt: there is none, or what lies under the id is not certainly that (which is logged): the
// copy is made anew.
Outcome<std::optional<FoundRecord>> FindEarlierRecord(SnapshotReader& snapshots,
                                                      const messages::Assign& assign,
                                                      const std::string& kind);

}  // namespace longshore::worker
