// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a time: an instant that is written and read again as itself, or an error.
#include <cstdint>
#include <string_view>

#include "common/base/clock.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto time = longshore::ParseTime({reinterpret_cast<const char*>(data), size});
  if (!time.has_value()) {
    LS_CHECK(time.error().code == longshore::Code::kInvalidArgument);
    return 0;
  }
  const auto again = longshore::ParseTime(longshore::FormatTime(*time));
  LS_CHECK(again.has_value());
  LS_CHECK(*again == std::chrono::floor<std::chrono::microseconds>(*time));
  return 0;
}
