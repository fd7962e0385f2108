// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a ComputeRequest: parsing never crashes, and what is read is written and read again
// as the same.
#include <cstdint>
#include <string_view>

#include "common/api/request.h"

using longshore::api::ComputeRequest;
using longshore::api::DumpJson;
using longshore::api::Json;
using longshore::api::ParseJson;
using longshore::api::ReadJson;
using longshore::api::WriteJson;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto json = ParseJson({reinterpret_cast<const char*>(data), size});
  if (!json.has_value()) return 0;
  LS_CHECK(*ParseJson(DumpJson(*json)) == *json);
  const auto request = ReadJson<ComputeRequest>(*json);
  if (!request.has_value()) {
    LS_CHECK(request.error().code == longshore::Code::kInvalidArgument);
    return 0;
  }
  const Json written = WriteJson(*request);
  const auto again = ReadJson<ComputeRequest>(written);
  LS_CHECK(again.has_value());
  LS_CHECK(WriteJson(*again) == written);
  return 0;
}
