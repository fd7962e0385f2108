// SPDX-License-Identifier: Apache-2.0
#include "controller/api/input.h"

#include <gmock/gmock.h>

#include "common/api/operation.h"
#include "common/api/request.h"

namespace longshore::controller {
namespace {

using testing::HasSubstr;

// Each refusal names the field, down to the element of a list.
TEST(ReadStrictTest, NamesTheFieldThatIsUnknownOrWrong) {
  struct Case {
    const char* name;
    Json spec;
    const char* field;
  };
  const Case cases[] = {
      {"unknown at the top", {{"podz", 1}}, "spec.podz: no such field"},
      {"unknown below", {{"pods", {{"min", 1}, {"most", 2}}}}, "spec.pods.most: no such field"},
      {"unknown in a list",
       {{"scaling", {{"signals", {{{"name", "cpu"}}, {{"nam", "memory"}}}}}}},
       "spec.scaling.signals[1].nam: no such field"},
      {"text for a number", {{"pods", {{"min", "1"}}}}, "spec.pods.min: expected an integer"},
      {"number for text", {{"purpose", 1}}, "spec.purpose: expected a string"},
      {"list for an object", {{"pods", Json::array()}}, "spec.pods: expected an object"},
      {"object for a list",
       {{"scaling", {{"signals", Json::object()}}}},
       "spec.scaling.signals: expected a list"},
      {"too large", {{"demand", int64_t{1} << 40}}, "spec.demand: expected a 32-bit integer"},
      {"unknown in an optional",
       {{"scaling", {{"signals", {{{"up", {{"percent", 1}}}}}}}}},
       "spec.scaling.signals[0].up.percent: no such field"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto read = ReadStrict<api::ComputeRequestSpec>(c.spec, "spec");
    ASSERT_FALSE(read.has_value());
    EXPECT_EQ(read.error().code, Code::kInvalidArgument);
    EXPECT_THAT(read.error().message, HasSubstr(c.field));
  }
}

TEST(ReadStrictTest, TakesWhatTheStructHasIncludingNull) {
  const auto read = ReadStrict<api::OperationSpec>(
      {{"type", "Backup"}, {"target", nullptr}, {"sourceRef", {{"name", "a"}, {"namespace", "b"}}}},
      "spec");
  ASSERT_TRUE(read.has_value()) << read.error().ToString();
  EXPECT_EQ(read->source_ref.ns, "b");
}

// Names become parts of API paths: whatever could lead elsewhere is refused.
TEST(NamesTest, RefusesWhatIsNoKubernetesName) {
  for (const std::string& bad :
       {std::string(), std::string("../secrets"), std::string("a/b"), std::string("A"),
        std::string("-a"), std::string("a-"), std::string("a..b"), std::string("a%2fb"),
        std::string("a b"), std::string(254, 'a'), std::string("a\0b", 3)}) {
    EXPECT_FALSE(CheckName("name", bad).has_value()) << bad;
  }
  for (const char* good : {"a", "req-0123456789", "a.b-c.d", "0"}) {
    EXPECT_TRUE(CheckName("name", good).has_value()) << good;
  }
  EXPECT_TRUE(CheckName("name", std::string(253, 'a')).has_value());
  EXPECT_FALSE(CheckNamespace("namespace", std::string(64, 'a')).has_value());
  EXPECT_FALSE(CheckNamespace("namespace", "a.b").has_value());
  EXPECT_TRUE(CheckNamespace("namespace", "longshore-backup").has_value());
}

// A refused text is not echoed when it could steer a terminal or fill a log.
TEST(NamesTest, QuotesOnlyShortPrintableText) {
  EXPECT_THAT(CheckName("name", "\x1b[2J").error().message, testing::Not(HasSubstr("\x1b")));
  EXPECT_LT(CheckName("name", std::string(250, 'A')).error().message.size(), 200u);
}

TEST(ParseBodyTest, RefusesMalformedAndUnknown) {
  http::Request request;
  const auto message = [&](const std::string& body) {
    request.body = body;
    const auto parsed = ParseBody(request, {"namespace", "spec"});
    return parsed ? std::string() : parsed.error().message;
  };
  EXPECT_THAT(message("{"), HasSubstr("malformed JSON at byte"));
  EXPECT_THAT(message(""), HasSubstr("namespace, spec"));
  EXPECT_THAT(message("[]"), HasSubstr("expected a JSON object"));
  EXPECT_THAT(message("{\"extra\":1}"), HasSubstr("extra: no such field"));
  EXPECT_EQ(message("{\"namespace\":\"a\"}"), "");
  request.headers["content-type"] = "text/yaml";
  EXPECT_THAT(message("{}"), HasSubstr("application/json"));
}

}  // namespace
}  // namespace longshore::controller
