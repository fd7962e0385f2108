// SPDX-License-Identifier: Apache-2.0
//
// The texts of `longshore explain`, `locate` and `why`, from the API's replies. Pure.
#pragma once

#include <string>

#include "common/api/archive.h"
#include "common/base/clock.h"

namespace longshore::cli {

std::string RenderExplanation(const api::Json& explanation, WallTime now);
std::string RenderLocation(const api::Json& located);
std::string RenderScaling(const api::Json& scaling);

// A table of scaling decisions; the first column has that title.
std::string RenderDecisions(const api::Json& decisions, const std::string& time_title);

// The nodes' scores, indented; the first few.
std::string ScoreTable(const api::Json& scores);

}  // namespace longshore::cli
