// SPDX-License-Identifier: Apache-2.0
//
// The record of a copy: one JSON document, written into the repository as a snapshot of its own
// after the data. Without it there is no copy; with it (and the repository's key) a copy can be
// found, checked and restored by anybody, without Longshore. Tags of the two snapshots:
//
//   data    longshore, data,   copy=ID, operation=NAMESPACE/NAME, attempt=N
//   record  longshore, record, copy=ID, operation=NAMESPACE/NAME, attempt=N
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/messages/worker.pb.h"
#include "worker/manifest.h"
#include "worker/restic.h"

namespace longshore::worker {

inline constexpr char kRecordFile[] = "record.json";  // in its snapshot
inline constexpr char kRecordFormat[] = "longshore.dev/copy-record/v1";

struct Record {
  std::string format = kRecordFormat;
  std::string copy_id;
  std::string operation, operation_namespace;
  int attempt = 0;
  int64_t epoch = 0;
  std::string kind, source, part;
  std::string data_snapshot;  // restic's id
  std::string data_path;      // in that snapshot: the dump file, or the folder
  std::string time;           // of the source's snapshot, RFC 3339
  std::string position;       // PostgreSQL: the LSN
  std::string source_version;
  std::map<std::string, std::string> tools;
  int64_t bytes = 0;
  double copy_seconds = 0, manifest_seconds = 0;  // what dump and manifest took
  std::string manifest_digest;
  Manifest manifest;
};
template <class A>
void Describe(A& a, Record& v) {
  a("format", v.format);
  a("copyID", v.copy_id);
  a("operation", v.operation);
  a("operationNamespace", v.operation_namespace);
  a("attempt", v.attempt);
  a("epoch", v.epoch);
  a("kind", v.kind);
  a("source", v.source);
  a("part", v.part);
  a("dataSnapshot", v.data_snapshot);
  a("dataPath", v.data_path);
  a("time", v.time);
  a("position", v.position);
  a("sourceVersion", v.source_version);
  a("tools", v.tools);
  a("bytes", v.bytes);
  a("copySeconds", v.copy_seconds);
  a("manifestSeconds", v.manifest_seconds);
  a("manifestDigest", v.manifest_digest);
  a("manifest", v.manifest);
}

// A record with what the assignment says filled in.
Record NewRecord(const messages::Assign& assign, const std::string& kind);

// Whether its values may be handed to tools: whoever may append to a repository can write a record.
// The data is a full snapshot id and an absolute path without "..", a line break or NUL; nothing
// begins with '-'. A part may: it is a legal name, and never an argument of its own.
// Failures: Mismatch, naming the field.
Outcome<void> CheckRecord(const Record& record);

// Reads and checks the text of a record. Failures: Mismatch when it is none, when CheckRecord says
// no, or when it does not agree with its own digest.
Outcome<Record> ParseRecord(const std::string& text);

// Tags for a snapshot of this copy; `what` is "data" or "record".
std::vector<std::string> CopyTags(const Record& record, const std::string& what);

// A record as it was found, with the snapshot it was found in.
struct FoundRecord {
  Record record;
  std::string snapshot;
  std::string digest;  // sha256 of the record's text
};

// Fills in the manifest's digest, writes the record and so makes the copy exist.
Outcome<FoundRecord> WriteRecord(Restic& restic, Record record);

// What the controller is told.
messages::CopyRecord ToMessage(const FoundRecord& found);

}  // namespace longshore::worker
