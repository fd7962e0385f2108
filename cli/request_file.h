// SPDX-License-Identifier: Apache-2.0
//
// A ComputeRequest in a file, checked as the API server would: by the schema of the custom
// resource, which is compiled in. For longshore simulate, which has no cluster; its ranges also for
// flags.
#pragma once

#include <string>

#include "common/api/request.h"

namespace longshore::cli {

// Of `spec`, from manifests/crds/computerequests.yaml.
const api::Json& RequestSpecSchema();

// The spec, with the defaults filled in. Source and policy may be missing: nobody looks for them.
// Errors: kInvalidArgument naming file and fields, all of them at once.
Result<api::ComputeRequestSpec> ReadRequestFile(const std::string& path);

}  // namespace longshore::cli
