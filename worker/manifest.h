// SPDX-License-Identifier: Apache-2.0
//
// What a copy must contain, computed from the source in the very snapshot that is copied, and again
// from whatever a restore has made: the two are compared, never restore and living source. Kept in
// the copy's record (record.h). docs/restore-without-longshore.md says how to check one by hand.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/api/archive.h"

namespace longshore::worker {

// A table. Each row's text is hashed by hashtextextended (PostgreSQL 11 and newer) with the seeds 0
// and 1, and each hash is summed over all rows in a lane of its own: equal content gives equal sums
// in any order of rows, and a repeated row counts twice. Finds every accident; it is no signature.
inline constexpr char kRowHash[] = "hashtextextended(row::text, 0 and 1), summed";
struct TableDigest {
  std::string name;  // as SQL writes it: public.orders, "My Schema"."T"
  int64_t rows = 0;
  std::string lane1, lane2;  // exact sums, decimal; "0" for an empty table
};
template <class A>
void Describe(A& a, TableDigest& v) {
  a("name", v.name);
  a("rows", v.rows);
  a("lane1", v.lane1);
  a("lane2", v.lane2);
}

// Sequences move outside transactions, so the value in the dump lies between the one read before
// it and the one read after it. A value is the next that would be handed out.
struct SequenceRange {
  std::string name;
  int64_t low = 0, high = 0;
};
template <class A>
void Describe(A& a, SequenceRange& v) {
  a("name", v.name);
  a("low", v.low);
  a("high", v.high);
}

// How the database was made; a restore makes its own the same way.
struct DatabaseTraits {
  std::string owner, encoding, collate, ctype;
  std::string provider;            // "c" libc, "i" ICU, "b" builtin
  std::string locale;              // of ICU and builtin
  std::vector<std::string> roles;  // that own or are granted something in it
};
template <class A>
void Describe(A& a, DatabaseTraits& v) {
  a("owner", v.owner);
  a("encoding", v.encoding);
  a("collate", v.collate);
  a("ctype", v.ctype);
  a("provider", v.provider);
  a("locale", v.locale);
  a("roles", v.roles);
}

struct FileDigest {
  std::string path;  // relative; control, non-ASCII and '%' bytes as %XX
  std::string type;  // "file", "directory", "symlink", "other"
  int64_t size = 0;
  int64_t mode = 0;     // permission bits
  std::string mtime;    // seconds since 1970, with nine decimals: too long for a JSON number
  std::string content;  // sha256 of a file, target of a symlink
};
template <class A>
void Describe(A& a, FileDigest& v) {
  a("path", v.path);
  a("type", v.type);
  a("size", v.size);
  a("mode", v.mode);
  a("mtime", v.mtime);
  a("content", v.content);
}

struct Manifest {
  int format = 1;
  std::string kind;  // "postgresql", "filesystem"
  std::string hash;  // how rows are hashed: kRowHash
  DatabaseTraits database;
  std::vector<TableDigest> tables;
  std::vector<SequenceRange> sequences;
  int64_t large_objects = 0;
  std::vector<FileDigest> files;
  std::vector<std::string> changed_while_read;  // files: their content in the copy is in doubt
};
template <class A>
void Describe(A& a, Manifest& v) {
  a("format", v.format);
  a("kind", v.kind);
  a("hash", v.hash);
  a("database", v.database);
  a("tables", v.tables);
  a("sequences", v.sequences);
  a("largeObjects", v.large_objects);
  a("files", v.files);
  a("changedWhileRead", v.changed_while_read);
}

// SHA-256 over the manifest's JSON (keys sorted, no white space).
std::string ManifestDigest(const Manifest& manifest);

int64_t TotalRows(const Manifest& manifest);

// What differs, each a sentence naming the table, sequence or file; empty: equal. `found` is what
// was read from the restored place. At most `limit` are listed, with how many more there are.
std::vector<std::string> CompareManifests(const Manifest& recorded, const Manifest& found,
                                          size_t limit = 10);

}  // namespace longshore::worker
