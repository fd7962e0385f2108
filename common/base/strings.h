// SPDX-License-Identifier: Apache-2.0
//
// Small text helpers that the standard library lacks.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/result.h"

namespace longshore {

std::vector<std::string> Split(std::string_view text, char separator);
std::string Join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view Trim(std::string_view text);
std::string ToLower(std::string_view text);

// The text with each byte that is not UTF-8 replaced by U+FFFD: what tools print, made fit for
// JSON.
std::string ToValidUtf8(std::string_view text);

std::string Base64Encode(std::string_view bytes);
Result<std::string> Base64Decode(std::string_view text);
std::string HexEncode(std::string_view bytes);
// Lower-case hex SHA-256 of the bytes.
std::string Sha256Hex(std::string_view bytes);
// Whether it is what Sha256Hex returns for something; ids of restic's snapshots are of this form
// too.
bool IsSha256(std::string_view text);
// N characters of [a-z0-9] from the kernel's random source.
std::string RandomId(size_t length);

// A whole decimal number, nothing before or after it. Errors: kInvalidArgument.
Result<int64_t> ParseInt(std::string_view text);

// A Kubernetes resource.Quantity ("250m", "1.5", "512Mi", "2G", "1e3") in thousandths of its base
// unit (milli-cores, milli-bytes); what is finer is rounded away from zero. Errors:
// kInvalidArgument, also beyond 9e15 units.
Result<int64_t> ParseQuantityMilli(std::string_view text);
// The same of what a Pod asks for, whoever wrote it: what is beyond is the most that fits, and what
// is negative or no number is 0.
int64_t RequestedMilli(std::string_view text);
// More milli-cores or bytes than any node has; of sums of thousands of them 64 bits are enough.
inline constexpr int64_t kMostRequested = 1'000'000'000'000'000;

// "1.5 GiB", "300 MiB": for people.
std::string FormatBytes(double bytes);

}  // namespace longshore
