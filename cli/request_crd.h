// SPDX-License-Identifier: Apache-2.0
//
// manifests/crds/computerequests.yaml as text; the definition is generated from that file at build
// time.
#pragma once

#include <string_view>

namespace longshore::cli {

extern const std::string_view kRequestCrd;

}  // namespace longshore::cli
