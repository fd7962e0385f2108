// SPDX-License-Identifier: Apache-2.0
#include "worker/record.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "common/base/clock.h"
#include "common/base/strings.h"

namespace longshore::worker {
namespace {

Failure Unfit(const std::string& field, const std::string& why) {
  return {kMismatch, "record, field " + field + ": " + why, false};
}

Outcome<void> CheckDataPath(const std::string& path) {
  if (!path.starts_with('/')) return Unfit("dataPath", "must begin with '/'");
  if (path.find('\0') != std::string::npos || path.find('\n') != std::string::npos) {
    return Unfit("dataPath", "holds a line break or NUL");
  }
  for (const std::string& step : Split(path, '/')) {
    if (step == "..") return Unfit("dataPath", "'..' is not allowed");
  }
  return {};
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

Outcome<void> CheckRecord(const Record& record) {
  if (record.format != kRecordFormat) return Unfit("format", "this worker reads v1 only");
  const std::pair<const char*, std::string_view> words[] = {
      {"copyID", record.copy_id},
      {"operation", record.operation},
      {"operationNamespace", record.operation_namespace},
      {"kind", record.kind},
      {"source", record.source},
      {"time", record.time},
      {"position", record.position},
      {"sourceVersion", record.source_version},
      {"dataSnapshot", record.data_snapshot},
      {"dataPath", record.data_path},
      {"manifestDigest", record.manifest_digest}};
  for (const auto& [field, value] : words) {
    if (value.starts_with('-')) return Unfit(field, "begins with '-'");
  }
  for (const auto& [tool, version] : record.tools) {
    if (tool.starts_with('-') || version.starts_with('-')) return Unfit("tools", "begins with '-'");
  }
  if (!IsSha256(record.data_snapshot)) {
    return Unfit("dataSnapshot", "must be a full snapshot id, 64 digits of lower-case hex");
  }
  return CheckDataPath(record.data_path);
}

Outcome<Record> ParseRecord(const std::string& text) {
  const auto json = api::ParseJson(text);
  if (!json) return Failure{kMismatch, "record: " + json.error().message, false};
  auto record = api::ReadJson<Record>(*json);
  if (!record) return Failure{kMismatch, "record: " + record.error().message, false};
  LS_RETURN_IF_ERROR(CheckRecord(*record));
  if (record->manifest_digest != ManifestDigest(record->manifest)) {
    return Failure{kMismatch, "record: its manifest does not agree with its own digest", false};
  }
  return *std::move(record);
}

Outcome<FoundRecord> WriteRecord(Restic& restic, Record record) {
  record.manifest_digest = ManifestDigest(record.manifest);
  // What could not be read back is no copy.
  if (auto fit = CheckRecord(record); !fit) {
    return Failure{kInternalClass, std::move(fit).error().message, false};
  }
  std::string text = api::DumpJson(api::WriteJson(record)) + "\n";
  std::string digest = Sha256Hex(text);
  LS_ASSIGN_OR_RETURN(const BackupSummary written,
                      restic.BackupText(kRecordFile, CopyTags(record, "record"), std::move(text)));
  return FoundRecord{std::move(record), written.snapshot, std::move(digest)};
}

messages::CopyRecord ToMessage(const FoundRecord& found) {
  const Record& record = found.record;
  messages::CopyRecord message;
  message.set_id(record.copy_id);
  message.set_data_snapshot(record.data_snapshot);
  message.set_record_snapshot(found.snapshot);
  message.set_manifest_digest(record.manifest_digest);
  message.set_record_digest(found.digest);
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
