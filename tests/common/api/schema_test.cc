// SPDX-License-Identifier: Apache-2.0
//
// JSON against schemas; against that of the ComputeRequest in tests/cli/simulate_test.cc.
#include "common/api/schema.h"

#include <gmock/gmock.h>

namespace longshore::api {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

const Json& Document() {
  static const Json kDocument = *ParseJson(R"({"pods": {"type": "object", "properties": {
    "max": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 2},
    "name": {"type": "string", "minLength": 1, "maxLength": 3, "pattern": "^[a-z]*$"},
    "on": {"type": "boolean"}, "any": {"type": "object"}}},
    "list": {"type": "array", "maxItems": 2, "items": {"$ref": "#/pods"}}})");
  return kDocument;
}

std::vector<std::string> Problems(const char* schema, const std::string& value,
                                  SchemaCheck check = SchemaCheck::kAll) {
  return SchemaProblems(Document(), Document().at(schema), *ParseJson(value), "x", check);
}

TEST(SchemaTest, NamesEachFieldThatIsWrong) {
  EXPECT_THAT(Problems("pods", R"({"max": 1000, "name": "abc", "on": true, "any": {"a": [1]}})"),
              IsEmpty());
  EXPECT_THAT(Problems("pods", R"({"max": null, "name": null})"), IsEmpty());
  EXPECT_THAT(Problems("pods", R"({"max": 0, "name": "A", "on": 1, "more": 1})"),
              ElementsAre("x.max: must be a whole number from 1 to 1000", "x.more: no such field",
                          "x.name: must match ^[a-z]*$", "x.on: must be true or false"));
  EXPECT_THAT(Problems("pods", R"({"name": ""})"), ElementsAre("x.name: must not be empty"));
  EXPECT_THAT(Problems("pods", R"({"name": "abcd"})"),
              ElementsAre("x.name: must have at most 3 characters"));
  EXPECT_THAT(Problems("list", R"([{}, {"max": 18446744073709551615}, 3])"),
              ElementsAre("x: must have at most 2 entries",
                          "x[1].max: must be a whole number from 1 to 1000",
                          "x[2]: must be an object with fields"));
}

TEST(SchemaTest, OfNumbersAloneKnowsNothingElse) {
  EXPECT_THAT(Problems("list", R"([{"max": 0.5, "name": 1, "more": 1}, {"max": "1"}, 3])",
                       SchemaCheck::kNumbers),
              ElementsAre("x[0].max: must be a whole number from 1 to 1000"));
}

TEST(SchemaTest, FillsInDefaults) {
  Json value = *ParseJson(R"({"max": null})");
  FillDefaults(Document().at("pods"), value);
  EXPECT_EQ(value, *ParseJson(R"({"max": 2})"));
}

TEST(SchemaTest, SaysWhichIntegersThereAre) {
  EXPECT_EQ(IntegersOf({{"minimum", 1}}), "a whole number of at least 1");
  EXPECT_EQ(IntegersOf({{"maximum", 9}}), "a whole number of at most 9");
  EXPECT_EQ(IntegersOf(Json::object()), "a whole number");
}

}  // namespace
}  // namespace longshore::api
