# SPDX-License-Identifier: Apache-2.0
# cmake -D INPUT=computerequests.yaml -D OUTPUT=request_crd.cc -P embed.cmake
file(READ "${INPUT}" document)
file(WRITE "${OUTPUT}" "// Generated from computerequests.yaml.
#include \"cli/request_crd.h\"
namespace longshore::cli {
const std::string_view kRequestCrd = R\"crd(${document})crd\";
}  // namespace longshore::cli
")
