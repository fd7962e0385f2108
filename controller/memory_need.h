// SPDX-License-Identifier: Apache-2.0
//
// More memory where it was too little. What the kernel killed a pod for is remembered in the
// request's status, as the limit that the pod had; from then on its pods are made with twice that,
// up to spec.maxMemory of the PodPolicy. More pods would not help, and the same again would be
// killed again. The source keeps it for later requests, which begin with as much. Pure; used by
// acceptance, which gives everybody the policy as raised, and by the request reconciler.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "common/api/request.h"
#include "common/api/source.h"
#include "controller/crew.h"

namespace longshore::controller {

// The condition.
inline constexpr char kOutOfMemory[] = "OutOfMemory";
// Its reason when the pod that was killed is no more, and nothing was raised.
inline constexpr char kReasonPodGone[] = "PodGone";

// Limits of a pod's memory, in bytes; 0: there is none, or nothing is known to be too little.
struct MemoryAllowance {
  int64_t own = 0;    // what policy and image say
  int64_t most = 0;   // spec.maxMemory of the policy
  int64_t given = 0;  // what pods are made with
  // What the policy said itself, where that was raised.
  std::optional<api::ResourceRequirements> said = {};

  bool raised() const { return given > own; }
};

// Whether pods are made with more than is known to be too little, be it raised or set so since.
bool GivesMore(const MemoryAllowance& allowance, const api::OutOfMemory& known);

// Raises the policy's limit of memory, and in proportion what it requests, when a limit of that
// size was too little. Quantities that cannot be read raise nothing.
MemoryAllowance RaiseMemory(api::PodPolicySpec& policy, const api::SourceImageSpec& image,
                            const std::optional<api::OutOfMemory>& known);

// A pod of the crew that was killed and had more than what is known to be too little, or as much
// while the one that is known of is gone. Nothing: what is known still says all.
std::optional<api::OutOfMemory> FindKill(const Crew& crew,
                                         const std::optional<api::OutOfMemory>& known,
                                         const std::string& now);

// What pods of earlier requests for the source were killed for, if that raises what a request for
// the purpose gets of this policy.
std::optional<api::OutOfMemory> LearnKill(const api::BackupSource& source,
                                          const std::string& purpose, api::PodPolicySpec policy,
                                          const api::SourceImageSpec& image);

// Keeps with the source what a request for it has found. Returns whether that is more than was
// known.
bool KeepKill(api::BackupSourceStatus& source, const api::ComputeRequest& request);

// Of those that are free the ones that may start no more work, having no more than what is known to
// be too little: all, once one works that has more, and before that one of those that were killed,
// unless one with more is about to come. So a crew goes on where no node has room for more. Not
// whom an operation is `named` to wait for. By the label of its Pod `made_so` tells one that was
// made as it would be now: that it has no more is somebody else's wish, and it stays.
std::vector<CrewMember*> HavingTooLittle(Crew& crew, const api::OutOfMemory& known,
                                         const std::string& made_so,
                                         const std::function<bool(const std::string&)>& named);

// True while nothing is done about it: the message says what would help.
api::Condition OutOfMemoryCondition(const api::OutOfMemory& known, const MemoryAllowance& allowance,
                                    const std::string& policy, const Crew& crew);

}  // namespace longshore::controller
