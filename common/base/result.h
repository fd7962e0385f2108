// SPDX-License-Identifier: Apache-2.0
//
// Errors as values. Every function of ours that can fail for a reason outside the program returns
// Result<T>; Status is Result<void>. Nothing of ours throws; exceptions of libraries are caught at
// the leaf that calls them and become an Error.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace longshore {

// The canonical reason of a failure: what a caller may branch on.
enum class Code {
  kInvalidArgument,  // the caller's input is wrong; retrying the same cannot help
  kNotFound,
  kAlreadyExists,
  kConflict,            // a precondition (resourceVersion, epoch, state) did not hold: read again
  kFailedPrecondition,  // the system is not in a state for this
  kUnauthenticated,
  kPermissionDenied,
  kResourceExhausted,  // quota, cap, full disk
  kUnavailable,        // the other side is away; retry later
  kDeadlineExceeded,
  kCancelled,
  kGone,      // a cursor or resourceVersion is too old: list again
  kDataLoss,  // content is not what was recorded
  kInternal,  // our own defect
};

// "NotFound", "Unavailable", …: stable, used in logs, problem documents and metrics.
std::string_view CodeName(Code code);

struct [[nodiscard]] Error {
  Code code = Code::kInternal;
  std::string message;  // names the thing that failed
  std::optional<std::chrono::milliseconds> retry_after = std::nullopt;

  // "NotFound: pod default/x: …"
  std::string ToString() const;
};

template <class T>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using tl::expected<T, Error>::expected;
  Result(Error error) : tl::expected<T, Error>(tl::unexpect, std::move(error)) {}  // NOLINT
};
using Status = Result<void>;

inline Error InvalidArgument(std::string m) { return {Code::kInvalidArgument, std::move(m)}; }
inline Error NotFound(std::string m) { return {Code::kNotFound, std::move(m)}; }
inline Error Conflict(std::string m) { return {Code::kConflict, std::move(m)}; }
inline Error FailedPrecondition(std::string m) { return {Code::kFailedPrecondition, std::move(m)}; }
inline Error Unavailable(std::string m) { return {Code::kUnavailable, std::move(m)}; }
inline Error Internal(std::string m) { return {Code::kInternal, std::move(m)}; }

// The same error with "CONTEXT: " in front of its message.
Error Annotate(Error error, std::string_view context);

// An Error from errno, with the canonical code that fits it.
Error ErrnoError(int error_number, std::string_view context);

}  // namespace longshore

#define LS_CONCAT_INNER(a, b) a##b
#define LS_CONCAT(a, b) LS_CONCAT_INNER(a, b)

// LS_RETURN_IF_ERROR(Call()): returns the error to the caller, if there is one.
#define LS_RETURN_IF_ERROR(expr)                           \
  do {                                                     \
    if (auto ls_status = (expr); !ls_status.has_value()) { \
      return std::move(ls_status).error();                 \
    }                                                      \
  } while (false)

// LS_ASSIGN_OR_RETURN(auto value, Call()): the value, or returns the error to the caller.
#define LS_ASSIGN_OR_RETURN(declaration, expr) \
  LS_ASSIGN_OR_RETURN_INNER(LS_CONCAT(ls_result_, __LINE__), declaration, expr)
#define LS_ASSIGN_OR_RETURN_INNER(result, declaration, expr) \
  auto result = (expr);                                      \
  if (!result.has_value()) return std::move(result).error(); \
  declaration = *std::move(result)

// LS_CHECK(condition): aborts with file and line on a programmer's error; never for the world's.
#define LS_CHECK(condition)                                                     \
  do {                                                                          \
    if (!(condition)) ::longshore::CheckFailed(#condition, __FILE__, __LINE__); \
  } while (false)

namespace longshore {
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);
}
