# SPDX-License-Identifier: Apache-2.0
# cmake -D INPUT=openapi.json -D OUTPUT=openapi.cc -P embed.cmake
file(READ "${INPUT}" document)
file(WRITE "${OUTPUT}" "// Generated from openapi.json.
#include \"controller/api/openapi.h\"
namespace longshore::controller {
const std::string_view kOpenApiDocument = R\"openapi(${document})openapi\";
}  // namespace longshore::controller
")
