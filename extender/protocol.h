// SPDX-License-Identifier: Apache-2.0
//
// The wire of kube-scheduler's extenders (k8s.io/kube-scheduler/extender/v1), as its Go client
// really speaks it: field names in any case, nodes as names or as whole objects, replies that mean
// "no node passes" when a list is missing. Reading keeps views into the body; replies are appended
// by hand.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"
#include "common/base/strings.h"

namespace longshore::extender {

// What a verdict needs of the pod.
struct PodArgument {
  std::string_view ns, name, uid;
  std::string_view source, source_namespace;  // label and annotation; empty: not a pod of ours
  std::string_view placement_mode;            // annotation: "Prefer" where the source says Require
  int64_t cpu_milli = 0, memory_bytes = 0;    // requests of its containers; 0..kMostRequested
  std::vector<std::string_view> claims;       // that it mounts
  std::string_view image;                     // of its first container
  int max_backup_pods = 0;                    // annotation; 0: none, or it cannot be read
};

struct Arguments {
  PodArgument pod;
  // Whether the scheduler wants names back or nodes. A request with both is answered by names.
  bool by_name = true;
  std::vector<std::string_view> names;  // offered nodes, in order, each once
  std::vector<std::string_view> items;  // unless by_name: the JSON text of each node
  // The text of that list as it was sent, if no node is in it twice: where all pass, it is the
  // reply.
  std::string_view list;
  std::deque<std::string> decoded;  // what the views point into, besides the body

  Arguments() = default;
  Arguments(Arguments&&) noexcept = default;  // keeps the views valid; a copy would not
  Arguments& operator=(Arguments&&) noexcept = default;
};

// The body must outlive the result. Errors: kInvalidArgument, naming the field and the byte.
Result<Arguments> ReadArguments(std::string_view body);

// What happens to one offered node. kFailed: could fit later; kNever: not whatever is evicted.
enum class Outcome : uint8_t { kPassed, kFailed, kNever };

struct NodeOutcome {
  Outcome outcome = Outcome::kPassed;
  std::string_view reason;  // of a failure
};

// `outcomes` is parallel to names; empty means that all pass.
std::string FilterReply(const Arguments& arguments, const std::vector<NodeOutcome>& outcomes);
// The same, and may make a long reply in the body that the arguments were read from, so that a list
// of 60 MB is not there twice, and that of 5000 names needs no memory that is not in the caches
// yet. Nothing that points into the body is valid afterwards. `long_body`: bytes from which on that
// counts; more than a string keeps within itself.
std::string FilterReply(std::string body, const Arguments& arguments,
                        const std::vector<NodeOutcome>& outcomes, size_t long_body = 4 << 10);
// The pod fails with this message, unless the extender is configured as ignorable.
std::string FilterErrorReply(std::string_view message);

constexpr int kMaxScore = 10;  // extender/v1 MaxExtenderPriority; the client does not check it

// `scores` is parallel to names; clamped to 0..10, and zeros are left out: absent hosts get 0.
std::string PrioritizeReply(const Arguments& arguments, const std::vector<int>& scores);
// No opinion about any node.
std::string NeutralPrioritizeReply();

// Appends the text with quotes and escapes; bytes that are not UTF-8 become U+FFFD.
void AppendJsonString(std::string_view text, std::string& out);

}  // namespace longshore::extender
