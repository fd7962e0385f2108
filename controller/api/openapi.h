// SPDX-License-Identifier: Apache-2.0
//
// controller/api/openapi.json as text; the definition is generated from that file at build time.
#pragma once

#include <string_view>

namespace longshore::controller {

extern const std::string_view kOpenApiDocument;

}  // namespace longshore::controller
