// SPDX-License-Identifier: Apache-2.0
//
// Any bytes as a quantity: a value in thousandths, or an error; the value written as "Nm" is
// itself.
#include <cstdint>
#include <string>
#include <string_view>

#include "common/base/strings.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto value = longshore::ParseQuantityMilli({reinterpret_cast<const char*>(data), size});
  if (!value.has_value()) {
    LS_CHECK(value.error().code == longshore::Code::kInvalidArgument);
    return 0;
  }
  if (*value > 99'999'999'999'999'999 || *value < -99'999'999'999'999'999) return 0;  // 18 digits
  const auto again = longshore::ParseQuantityMilli(std::to_string(*value) + "m");
  LS_CHECK(again.has_value() && *again == *value);
  return 0;
}
