// SPDX-License-Identifier: Apache-2.0
//
// How an operation fails. A storage manager branches on the class (common/api/operation.h lists
// them), so each failure is given its class where it is understood best: beside the tool or the
// connection that failed. Used by everything below the operation runner.
#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

#include "common/base/result.h"

namespace longshore::worker {

inline constexpr char kAuthentication[] = "Authentication";
inline constexpr char kUnreachable[] = "Unreachable";
inline constexpr char kNotFound[] = "NotFound";
inline constexpr char kNotEmpty[] = "NotEmpty";
inline constexpr char kDumpFailed[] = "DumpFailed";
inline constexpr char kRepository[] = "Repository";
inline constexpr char kMismatch[] = "Mismatch";
inline constexpr char kCancelledClass[] = "Cancelled";
inline constexpr char kInterruptedClass[] = "Interrupted";
inline constexpr char kOutOfMemory[] = "OutOfMemory";
inline constexpr char kStalled[] = "Stalled";
inline constexpr char kSnapshotExpired[] = "SnapshotExpired";
inline constexpr char kConfiguration[] = "Configuration";
inline constexpr char kInternalClass[] = "Internal";

struct [[nodiscard]] Failure {
  std::string error_class = kInternalClass;
  std::string message;     // names the thing that failed; secrets are removed by the runner
  bool retryable = false;  // another attempt may well succeed with nothing changed
};

// An Error of the machine (files, pipes, processes) seen as a Failure of the operation.
inline Failure ToFailure(Error error) {
  const bool cancelled = error.code == Code::kCancelled;
  const bool full = error.code == Code::kResourceExhausted;
  return {cancelled ? kCancelledClass : kInternalClass, std::move(error.message), full};
}

// A value or a Failure; the macros of common/base/result.h work with it.
template <class T>
class [[nodiscard]] Outcome : public tl::expected<T, Failure> {
 public:
  using tl::expected<T, Failure>::expected;
  Outcome(Failure failure)  // NOLINT: implicit, so that `return failure` reads well
      : tl::expected<T, Failure>(tl::unexpect, std::move(failure)) {}
  Outcome(Error error)  // NOLINT
      : tl::expected<T, Failure>(tl::unexpect, ToFailure(std::move(error))) {}
};

}  // namespace longshore::worker
