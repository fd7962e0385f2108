// SPDX-License-Identifier: Apache-2.0
//
// What is known of the work that a request has left, for the question whether it ends in time:
// progress of what runs, sizes of earlier copies for what waits, measured rates.
#pragma once

#include <optional>
#include <vector>

#include "common/scaling/deadline.h"
#include "controller/crew.h"
#include "controller/environment.h"

namespace longshore::controller {

// spec.deadline; or of spec.dailyDeadline the first after the oldest operation that is left was
// made, so that one which is late stays late; with none left the next. Empty: there is none.
std::optional<WallTime> DeadlineOf(const api::ComputeRequestSpec& spec,
                                   const std::vector<api::Operation>& operations, WallTime now);

// Operations that have to be done in time.
int OperationsLeft(const std::vector<api::Operation>& operations);

// `limit` is the tightest of the caps. Lists the operations of all requests: not for every tick.
scaling::DeadlineInput RemainingWork(const Environment& env, const api::ComputeRequest& request,
                                     const std::vector<api::Operation>& operations,
                                     const Crew& crew, const api::ScalingLimit& limit);

}  // namespace longshore::controller
