// SPDX-License-Identifier: Apache-2.0
//
// What an OpenAPI schema says of JSON: the part of the language that our custom resources and the
// storage manager API's description use. So the ranges stand in these documents only, and who has
// no API server to ask still knows them: `longshore simulate`, and the API for numbers that don't
// fit into ours. Rules in CEL are not looked at.
#pragma once

#include <string>
#include <vector>

#include "common/api/archive.h"

namespace longshore::api {

enum class SchemaCheck {
  kAll,     // types, ranges, enums, patterns, formats, lengths, required and unknown fields
  kNumbers  // whether what is a number is one of those that an integer field takes
};

// "a whole number from 1 to 1000", "a whole number of at least 1", of an integer's schema.
std::string IntegersOf(const Json& schema);

// What is wrong with the value, each with its field: "spec.pods.max: must be a whole number from 1
// to 1000". Null is as good as absent. "$ref" leads into `document`.
std::vector<std::string> SchemaProblems(const Json& document, const Json& schema, const Json& value,
                                        const std::string& path,
                                        SchemaCheck check = SchemaCheck::kAll);

// Fills in the defaults of what is absent or null, as the API server does. Without "$ref".
void FillDefaults(const Json& schema, Json& value);

}  // namespace longshore::api
