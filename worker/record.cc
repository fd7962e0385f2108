// SPDX-License-Identifier: Apache-2.0
#include "worker/record.h"

#include "common/base/clock.h"

namespace longshore::worker {
namespace {

constexpr char kRecordFile[] = "record.json";

bool SameOperation(const Record& a, const Snapshot& snapshot) {
  for (const std::string& tag : snapshot.tags) {
    if (tag == "copy=" + a.copy_id) return true;
  }
  return false;
}

}  // namespace

Record NewRecord(const messages::Assign& assign, const std::string& kind) {
  Record record;
  record.copy_id = assign.copy_id();
  record.operation = assign.operation();
  record.operation_namespace = assign.operation_namespace();
  record.attempt = static_cast<int>(assign.attempt());
  record.epoch = static_cast<int64_t>(assign.epoch());
  record.kind = kind;
  record.source = assign.source_name();
  record.part = assign.part();
  return record;
}

std::vector<std::string> CopyTags(const Record& record, const std::string& what) {
  return {"longshore", what, "copy=" + record.copy_id,
          "operation=" + record.operation_namespace + "/" + record.operation,
          "attempt=" + std::to_string(record.attempt)};
}

Outcome<std::optional<FoundRecord>> FindRecord(Restic& restic, const std::string& copy_id) {
  LS_ASSIGN_OR_RETURN(const std::vector<Snapshot> snapshots,
                      restic.Find({"longshore", "record", "copy=" + copy_id}));
  if (snapshots.empty()) return std::optional<FoundRecord>();
  // Two can only come from two attempts that both committed; the first one counts.
  const Snapshot* first = &snapshots[0];
  for (const Snapshot& snapshot : snapshots) {
    if (snapshot.time < first->time) first = &snapshot;
  }
  LS_ASSIGN_OR_RETURN(const std::string text,
                      restic.ReadText(first->id, std::string("/") + kRecordFile));
  const auto json = api::ParseJson(text);
  if (!json) return Failure{kMismatch, "the record of " + copy_id + ": " + json.error().message};
  auto record = api::ReadJson<Record>(*json);
  if (!record)
    return Failure{kMismatch, "the record of " + copy_id + ": " + record.error().message};
  const bool sound = record->manifest_digest == ManifestDigest(record->manifest) &&
                     record->copy_id == copy_id && SameOperation(*record, *first);
  if (!sound) {
    return Failure{kMismatch, "the record of " + copy_id + " does not agree with its own digest"};
  }
  return std::optional(FoundRecord{std::move(*record), first->id});
}

Outcome<FoundRecord> ReadRecord(Restic& restic, const std::string& copy_id,
                                const std::string& kind) {
  LS_ASSIGN_OR_RETURN(std::optional<FoundRecord> found, FindRecord(restic, copy_id));
  if (!found) return Failure{kNotFound, "the repository has no copy " + copy_id, false};
  if (found->record.kind != kind) {
    return Failure{kConfiguration,
                   "copy " + copy_id + " is of kind " + found->record.kind + ", not " + kind,
                   false};
  }
  return std::move(*found);
}

Outcome<FoundRecord> WriteRecord(Restic& restic, Record record) {
  record.manifest_digest = ManifestDigest(record.manifest);
  LS_ASSIGN_OR_RETURN(const BackupSummary written,
                      restic.BackupText(kRecordFile, CopyTags(record, "record"),
                                        api::DumpJson(api::WriteJson(record)) + "\n"));
  return FoundRecord{std::move(record), written.snapshot};
}

messages::CopyRecord ToMessage(const FoundRecord& found) {
  const Record& record = found.record;
  messages::CopyRecord message;
  message.set_id(record.copy_id);
  message.set_data_snapshot(record.data_snapshot);
  message.set_record_snapshot(found.snapshot);
  message.set_manifest_digest(record.manifest_digest);
  message.set_source_version(record.source_version);
  const auto tool = record.tools.find(record.kind == "postgresql" ? "pg_dump" : "restic");
  if (tool != record.tools.end()) message.set_tool_version(tool->second);
  message.set_position(record.position);
  message.set_bytes(static_cast<uint64_t>(record.bytes));
  message.set_items(record.manifest.tables.size() + record.manifest.files.size());
  message.set_rows(static_cast<uint64_t>(TotalRows(record.manifest)));
  if (const auto time = ParseTime(record.time)) {
    message.set_time_unix_us(
        std::chrono::duration_cast<std::chrono::microseconds>(time->time_since_epoch()).count());
  }
  return message;
}

}  // namespace longshore::worker
