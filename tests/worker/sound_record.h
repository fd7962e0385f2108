// SPDX-License-Identifier: Apache-2.0
//
// A record as a backup of operation backup/op-1 writes it, for tests to spoil.
#pragma once

#include <string>

#include "worker/record.h"

namespace longshore::test {

inline worker::Record SoundRecord() {
  worker::Record record;
  record.copy_id = "copy-1";
  record.operation = "op-1";
  record.operation_namespace = "backup";
  record.attempt = 1;
  record.kind = "postgresql";
  record.source = "orders";
  record.part = "shop";
  record.data_snapshot = std::string(64, 'd');
  record.data_path = "/shop.dump";
  record.time = "2026-01-01T00:00:00Z";
  record.position = "0/16B3748";
  record.source_version = "17.2";
  record.tools = {{"pg_dump", "17.2"}};
  record.manifest.kind = "postgresql";
  record.manifest_digest = worker::ManifestDigest(record.manifest);
  return record;
}

// As WriteRecord writes it.
inline std::string TextOf(const worker::Record& record) {
  return api::DumpJson(api::WriteJson(record)) + "\n";
}

}  // namespace longshore::test
