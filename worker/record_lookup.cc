// SPDX-License-Identifier: Apache-2.0
#include "worker/record_lookup.h"

#include <algorithm>

#include "common/base/log.h"
#include "common/base/strings.h"

namespace longshore::worker {
namespace {

constexpr size_t kMostCompared = 8;  // anybody who may append can write any number of records
constexpr size_t kMostNamed = 4;     // in a message
constexpr size_t kShortId = 12;      // digits of an id in a message: restic takes them too

constexpr char kByHand[] = "docs/restore-without-longshore.md says how to tell records apart";

// The text of a record and where it was found.
struct RecordText {
  std::string snapshot, text, digest;
};

// Says nothing of the record: the repository could not be asked.
bool Passing(const Failure& failure) {
  return failure.retryable || failure.error_class == kCancelledClass ||
         failure.error_class == kUnreachable || failure.error_class == kAuthentication;
}

std::string Short(const std::string& id) { return id.substr(0, kShortId); }

std::string Names(const std::vector<Snapshot>& snapshots) {
  std::vector<std::string> names;
  for (const Snapshot& snapshot : snapshots) {
    if (names.size() == kMostNamed) {
      names.push_back("…");
      break;
    }
    names.push_back(Short(snapshot.id) + " (" + snapshot.time + ")");
  }
  return Join(names, ", ");
}

Outcome<std::vector<Snapshot>> RecordsOf(SnapshotReader& snapshots, const std::string& copy_id) {
  return snapshots.Find({"longshore", "record", "copy=" + copy_id});
}

Outcome<RecordText> ReadRecordText(SnapshotReader& snapshots, const std::string& snapshot) {
  LS_ASSIGN_OR_RETURN(std::string text,
                      snapshots.ReadText(snapshot, std::string("/") + kRecordFile));
  std::string digest = Sha256Hex(text);
  return RecordText{snapshot, std::move(text), std::move(digest)};
}

Outcome<FoundRecord> Parse(const RecordText& text, const std::string& copy_id) {
  Outcome<Record> record = ParseRecord(text.text);
  if (!record) {
    Failure failure = std::move(record).error();
    failure.message =
        "copy " + copy_id + ", snapshot " + Short(text.snapshot) + ": " + failure.message;
    return failure;
  }
  if (record->copy_id != copy_id) {
    return Failure{kMismatch,
                   "copy " + copy_id + ", snapshot " + Short(text.snapshot) +
                       ": it is the record of another copy",
                   false};
  }
  return FoundRecord{*std::move(record), text.snapshot, text.digest};
}

// ---- a copy that the controller knows ----------------------------------------------------------

Failure NotTheOneWritten(const std::string& copy_id, const std::string& why) {
  return {kMismatch,
          "the copy's record in the repository is not the one that was written: copy " + copy_id +
              ": " + why + "; somebody has changed the repository: have that looked into, and " +
              "take another copy (" + kByHand + ")",
          false};
}

// Why the snapshot that the backup wrote cannot be read.
Failure WhyUnreadable(SnapshotReader& snapshots, const messages::CopyRecord& known,
                      const std::string& copy_id, Failure failure) {
  if (Passing(failure)) return failure;
  const auto there = RecordsOf(snapshots, copy_id);
  if (!there) return there.error();
  const bool is_there = std::any_of(there->begin(), there->end(), [&](const Snapshot& snapshot) {
    return snapshot.id == known.record_snapshot();
  });
  if (is_there) return failure;
  const std::string gone = "snapshot " + Short(known.record_snapshot()) + " is not there";
  if (there->empty()) {
    return {kNotFound, "the repository has no copy " + copy_id + ": its record, " + gone, false};
  }
  return NotTheOneWritten(copy_id, gone + ", but " + Names(*there));
}

// Others under the same id are passed over, but somebody wrote them.
void WarnOfOthers(SnapshotReader& snapshots, const std::string& copy_id) {
  const auto there = RecordsOf(snapshots, copy_id);
  if (!there || there->size() < 2) return;
  LogWarn("more records than one under a copy's id: the one that the backup wrote is read",
          {{"copy", copy_id}, {"records", there->size()}, {"snapshots", Names(*there)}});
}

Outcome<FoundRecord> ReadKnown(SnapshotReader& snapshots, const messages::CopyRecord& known,
                               const std::string& copy_id) {
  if (!IsSha256(known.record_snapshot())) {
    return Failure{kConfiguration, "copy " + copy_id + ": its record's snapshot is no id", false};
  }
  const auto text = ReadRecordText(snapshots, known.record_snapshot());
  if (!text) return WhyUnreadable(snapshots, known, copy_id, text.error());
  const auto differs = [&](const char* what, const std::string& wanted, const std::string& found) {
    return NotTheOneWritten(copy_id, std::string("its ") + what + " is " + Short(found) +
                                         ", the backup noted " + Short(wanted));
  };
  if (!known.record_digest().empty() && known.record_digest() != text->digest) {
    return differs("digest", known.record_digest(), text->digest);
  }
  LS_ASSIGN_OR_RETURN(FoundRecord found, Parse(*text, copy_id));
  if (!known.manifest_digest().empty() && known.manifest_digest() != found.record.manifest_digest) {
    return differs("manifest's digest", known.manifest_digest(), found.record.manifest_digest);
  }
  if (!known.data_snapshot().empty() && known.data_snapshot() != found.record.data_snapshot) {
    return differs("data snapshot", known.data_snapshot(), found.record.data_snapshot);
  }
  WarnOfOthers(snapshots, copy_id);
  return found;
}

// ---- a copy that nobody remembers --------------------------------------------------------------

// What all these snapshots hold; nullopt when they do not hold the same.
Outcome<std::optional<RecordText>> ReadAgreed(SnapshotReader& snapshots,
                                              const std::vector<Snapshot>& there) {
  std::optional<RecordText> agreed;
  if (there.size() > kMostCompared) return agreed;
  for (const Snapshot& snapshot : there) {
    Outcome<RecordText> text = ReadRecordText(snapshots, snapshot.id);
    if (!text && (there.size() == 1 || Passing(text.error()))) return std::move(text).error();
    if (!text || (agreed && agreed->digest != text->digest)) return std::optional<RecordText>();
    if (!agreed) agreed = *std::move(text);
  }
  return agreed;
}

Outcome<FoundRecord> LookUp(SnapshotReader& snapshots, const std::string& copy_id) {
  LS_ASSIGN_OR_RETURN(const std::vector<Snapshot> there, RecordsOf(snapshots, copy_id));
  if (there.empty()) return Failure{kNotFound, "the repository has no copy " + copy_id, false};
  LS_ASSIGN_OR_RETURN(const std::optional<RecordText> agreed, ReadAgreed(snapshots, there));
  if (agreed) return Parse(*agreed, copy_id);
  return Failure{kMismatch,
                 "copy " + copy_id + ": the repository has " + std::to_string(there.size()) +
                     " records of it that differ, and no Operation here knows which one its " +
                     "backup wrote: " + Names(there) + "; read each ('restic dump ID /" +
                     kRecordFile + "'), have the false ones removed ('restic forget ID', with " +
                     "a login that may delete) and try again (" + kByHand + ")",
                 false};
}

// Whether an attempt of this operation up to this one can have written it.
bool OfThisOperation(const Record& record, const messages::Assign& assign,
                     const std::string& kind) {
  return record.kind == kind && record.operation == assign.operation() &&
         record.operation_namespace == assign.operation_namespace() &&
         record.source == assign.source_name() && record.part == assign.part() &&
         record.attempt >= 1 && record.attempt <= static_cast<int64_t>(assign.attempt());
}

}  // namespace

Outcome<FoundRecord> ReadRecord(SnapshotReader& snapshots, const messages::Assign& assign,
                                const std::string& kind) {
  const std::string& copy_id = assign.copy_id();
  LS_ASSIGN_OR_RETURN(FoundRecord found, assign.has_known_copy()
                                             ? ReadKnown(snapshots, assign.known_copy(), copy_id)
                                             : LookUp(snapshots, copy_id));
  if (found.record.kind != kind) {
    return Failure{kConfiguration,
                   "copy " + copy_id + " is of kind " + found.record.kind + ", not " + kind, false};
  }
  return found;
}

Outcome<std::optional<FoundRecord>> FindEarlierRecord(SnapshotReader& snapshots,
                                                      const messages::Assign& assign,
                                                      const std::string& kind) {
  const std::string& copy_id = assign.copy_id();
  LS_ASSIGN_OR_RETURN(const std::vector<Snapshot> there, RecordsOf(snapshots, copy_id));
  if (there.empty()) return std::optional<FoundRecord>();
  const auto agreed = ReadAgreed(snapshots, there);
  if (!agreed && Passing(agreed.error())) return agreed.error();
  if (agreed && *agreed) {
    Outcome<FoundRecord> found = Parse(**agreed, copy_id);
    if (found && OfThisOperation(found->record, assign, kind)) {
      return std::optional(*std::move(found));
    }
  }
  LogWarn("what lies under the copy's id is not certainly an earlier attempt's: copying anew",
          {{"copy", copy_id}, {"records", there.size()}, {"snapshots", Names(there)}});
  return std::optional<FoundRecord>();
}

}  // namespace longshore::worker
