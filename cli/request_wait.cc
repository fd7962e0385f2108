// SPDX-License-Identifier: Apache-2.0
#include "cli/request_wait.h"

#include <optional>
#include <ostream>

#include "cli/fields.h"

namespace longshore::cli {
namespace {

using std::chrono::seconds;

constexpr std::chrono::milliseconds kLookAgain{300};
constexpr seconds kVerdict{5};  // a controller that works says in a second what it thinks
// A refusal may heal (somebody makes the missing policy), so it is believed when it has lasted:
// longer where somebody waits for pods anyway.
constexpr seconds kLasts{2}, kLastsForPods{5};

// "True", "False", or "" before the controller has looked.
std::string Verdict(const Json& request) { return Text(Condition(request, "Accepted"), "/status"); }

std::string Saying(const Json& condition) {
  return Text(condition, "/reason") + ": " + Text(condition, "/message");
}

int64_t UsablePods(const Json& request) {
  return Number(request, "/status/pods/available") + Number(request, "/status/pods/assigned");
}

// What the request waits for, from its conditions: one line for people.
std::string WaitsFor(const Json& request) {
  std::string line = std::to_string(UsablePods(request)) + " of " +
                     Text(request, "/spec/pods/initial") + " pods available";
  if (const std::string refusal = Refusal(request); !refusal.empty()) return line + ": " + refusal;
  const Json& provisioned = Condition(request, "PodsProvisioned");
  if (provisioned.is_null() || Text(provisioned, "/status") == "True") return line;
  return line + ": " + Saying(provisioned);
}

class LastingRefusal {
 public:
  explicit LastingRefusal(seconds lasts) : lasts_(lasts) {}

  Status Check(const Json& request, MonotonicTime now) {
    const std::string refusal = Refusal(request);
    if (refusal.empty()) since_.reset();
    if (!refusal.empty() && !since_) since_ = now;
    if (!since_ || now - *since_ < lasts_) return {};
    const std::string name = Text(request, "/name");
    return FailedPrecondition("request " + name + " cannot be served: " + refusal +
                              "; mend that or make another request; longshore request delete " +
                              name + " ends this one");
  }

 private:
  const seconds lasts_;
  std::optional<MonotonicTime> since_;
};

std::string PathOf(const Json& request) {
  return RequestPath(Text(request, "/namespace"), Text(request, "/name"));
}

std::string LookAgain(const Json& request) {
  return "; look again: longshore request get " + Text(request, "/name");
}

}  // namespace

std::string Refusal(const Json& request) {
  return Verdict(request) == "False" ? Saying(Condition(request, "Accepted")) : "";
}

Result<Json> WaitForPods(Session& session, ApiClient& api, const Json& created, seconds timeout) {
  const MonotonicTime end = session.io.clock.Monotonic() + timeout;
  LastingRefusal refusal(kLastsForPods);
  std::string line, last_line;
  while (true) {
    const auto request = api.Get(PathOf(created), kOnce);
    if (!request && !IsTransient(request.error())) return request.error();
    if (request && UsablePods(*request) >= Number(*request, "/spec/pods/initial")) return *request;
    if (request) LS_RETURN_IF_ERROR(refusal.Check(*request, session.io.clock.Monotonic()));
    line = request ? WaitsFor(*request) : request.error().message;
    if (line != last_line) session.io.err << Printable(line) << '\n' << std::flush;
    last_line = line;
    if (session.io.clock.Monotonic() >= end) {
      return Error{Code::kDeadlineExceeded, line + LookAgain(created)};
    }
    if (!session.io.sleep(kLookAgain)) {
      return Error{Code::kCancelled, "the request stays" + LookAgain(created)};
    }
  }
}

Status WaitForVerdict(Session& session, ApiClient& api, Json& request) {
  const MonotonicTime end = session.io.clock.Monotonic() + kVerdict;
  LastingRefusal refusal(kLasts);
  while (Verdict(request) != "True") {
    LS_RETURN_IF_ERROR(refusal.Check(request, session.io.clock.Monotonic()));
    if (session.io.clock.Monotonic() >= end && Refusal(request).empty()) {
      session.io.err << "the controller has not said yet whether it accepts the request"
                     << LookAgain(request) << std::endl;
      return {};
    }
    if (!session.io.sleep(kLookAgain)) {
      return Error{Code::kCancelled, "the request stays" + LookAgain(request)};
    }
    auto seen = api.Get(PathOf(request), kOnce);
    // Who may make requests need not be allowed to read them.
    if (!seen && seen.error().code == Code::kPermissionDenied) return {};
    if (!seen && !IsTransient(seen.error())) return seen.error();
    if (seen) request = *std::move(seen);
  }
  return {};
}

}  // namespace longshore::cli
