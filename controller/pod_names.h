// SPDX-License-Identifier: Apache-2.0
//
// Deterministic names: whoever asks again for the same thing gets the same name, so that creating
// is idempotent and a restart can't make a second one (research/controller.md F1).
#pragma once

#include <cstdint>
#include <string>

namespace longshore::controller {

// Of a BackupPod and its Pod: "lsp-" + 10 hex digits.
std::string PodName(const std::string& request_uid, int slot, int attempt);

// Of the n-th check of a source in one of its generations: "check-" + 10 hex digits.
std::string CheckName(const std::string& source_uid, const std::string& request_uid,
                      int64_t generation, int n);

// Of the copy that a backup operation makes, whatever its attempt: "copy-" + 16 hex digits.
std::string CopyId(const std::string& operation_uid);

}  // namespace longshore::controller
