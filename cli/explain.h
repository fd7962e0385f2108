// SPDX-License-Identifier: Apache-2.0
//
// The text of `longshore explain`, from the API's reply. Pure.
#pragma once

#include <string>

#include "common/api/archive.h"
#include "common/base/clock.h"

namespace longshore::cli {

std::string RenderExplanation(const api::Json& explanation, WallTime now);

}  // namespace longshore::cli
