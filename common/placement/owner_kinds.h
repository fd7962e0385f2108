// SPDX-License-Identifier: Apache-2.0
//
// How the kinds are spelled that spec.location.owner of a source is likely to name. For
// location.cc, which finds nothing by another spelling.
#pragma once

#include <string>

namespace longshore::placement {

// The kind that differs from this one in upper and lower case only; empty: none is known, or it is
// this one.
std::string KindInOtherCase(const std::string& kind);

}  // namespace longshore::placement
