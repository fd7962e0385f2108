// SPDX-License-Identifier: Apache-2.0
//
// The wire. Numbers in names are those of the list of edge cases in docs/placement.md.
#include "extender/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace longshore::extender {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const char kPod[] = R"("Pod":{"metadata":{"name":"p","namespace":"backup","uid":"u1",)"
                    R"("labels":{"longshore.dev/source":"orders"},)"
                    R"("annotations":{"longshore.dev/source-namespace":"db"}}})";

std::string Body(const std::string& rest) { return std::string("{") + kPod + "," + rest + "}"; }

std::string ErrorOf(const std::string& body) {
  const auto arguments = ReadArguments(body);
  return arguments.has_value() ? "" : arguments.error().message;
}

std::vector<std::string> Names(const Arguments& arguments) {
  return {arguments.names.begin(), arguments.names.end()};
}

TEST(ReadArgumentsTest, TakesWhatAVerdictNeeds) {
  const std::string body = R"({"Pod":{"metadata":{"name":"p","namespace":"backup","uid":"u1",
      "labels":{"a":"b","longshore.dev/source":"orders"},
      "annotations":{"longshore.dev/source-namespace":"db"}},
      "spec":{"containers":[{"resources":{"requests":{"cpu":"250m","memory":"1Gi","x/y":"1"}}},
                            {"resources":{"requests":{"cpu":1}}},{}]}},
      "Nodes":null,"NodeNames":["n1","n2"]})";
  const auto arguments = ReadArguments(body);
  ASSERT_TRUE(arguments.has_value()) << arguments.error().message;
  EXPECT_EQ(arguments->pod.name, "p");
  EXPECT_EQ(arguments->pod.ns, "backup");
  EXPECT_EQ(arguments->pod.uid, "u1");
  EXPECT_EQ(arguments->pod.source, "orders");
  EXPECT_EQ(arguments->pod.source_namespace, "db");
  EXPECT_EQ(arguments->pod.cpu_milli, 1250);
  EXPECT_EQ(arguments->pod.memory_bytes, int64_t{1} << 30);
  EXPECT_TRUE(arguments->by_name);
  EXPECT_THAT(Names(*arguments), ElementsAre("n1", "n2"));
}

TEST(ReadArgumentsTest, Case01_FieldNamesInAnyCase) {
  const std::string body =
      R"({"pod":{"METADATA":{"Name":"p","LABELS":{"longshore.dev/source":"orders"}}},)"
      R"("nodenames":["n1"],"nodes":null})";
  const auto arguments = ReadArguments(body);
  ASSERT_TRUE(arguments.has_value());
  EXPECT_EQ(arguments->pod.name, "p");
  EXPECT_EQ(arguments->pod.source, "orders");
  EXPECT_THAT(Names(*arguments), ElementsAre("n1"));
}

// Keys of labels are data: another case is another label.
TEST(ReadArgumentsTest, Case01_LabelKeysKeepTheirCase) {
  const auto body =
      R"({"Pod":{"metadata":{"labels":{"Longshore.dev/Source":"x"}}},"NodeNames":[]})";
  const auto arguments = ReadArguments(body);
  ASSERT_TRUE(arguments.has_value());
  EXPECT_EQ(arguments->pod.source, "");
}

TEST(ReadArgumentsTest, Case02_NeitherListIsAnError) {
  EXPECT_THAT(ErrorOf(Body(R"("Nodes":null,"NodeNames":null)")), HasSubstr("Nodes, NodeNames"));
  EXPECT_THAT(ErrorOf(std::string("{") + kPod + "}"), HasSubstr("Nodes, NodeNames"));
}

TEST(ReadArgumentsTest, Case02_BothListsAreAnsweredByName) {
  const std::string body =
      Body(R"("Nodes":{"items":[{"metadata":{"name":"n9"}}]},"NodeNames":["n1"])");
  const auto arguments = ReadArguments(body);
  ASSERT_TRUE(arguments.has_value());
  EXPECT_TRUE(arguments->by_name);
  EXPECT_THAT(Names(*arguments), ElementsAre("n1"));
}

TEST(ReadArgumentsTest, Case03_NullOrMissingPodIsAnError) {
  EXPECT_THAT(ErrorOf(R"({"Pod":null,"NodeNames":["n1"]})"), HasSubstr("Pod: missing or null"));
  EXPECT_THAT(ErrorOf(R"({"NodeNames":["n1"]})"), HasSubstr("Pod: missing or null"));
}

TEST(FilterReplyTest, Case04_EmptyListsAreListsAndNeverNull) {
  const std::string names_body = Body(R"("NodeNames":[])");
  const auto by_name = ReadArguments(names_body);
  ASSERT_TRUE(by_name.has_value());
  EXPECT_THAT(FilterReply(*by_name, {}), HasSubstr(R"("NodeNames":[])"));
  for (const char* list : {R"({"items":[]})", R"({"items":null})", "{}"}) {
    const std::string body = Body(std::string(R"("Nodes":)") + list);
    const auto by_node = ReadArguments(body);
    ASSERT_TRUE(by_node.has_value());
    EXPECT_THAT(FilterReply(*by_node, {}), HasSubstr(R"("items":[])"));
  }
  EXPECT_EQ(PrioritizeReply(*by_name, {}), "[]");
}

// A list in which all failed is empty, and still a list.
TEST(FilterReplyTest, Case04_AllFailedIsAnEmptyList) {
  const std::string body = Body(R"("NodeNames":["n1"])");
  const auto arguments = ReadArguments(body);
  ASSERT_TRUE(arguments.has_value());
  EXPECT_EQ(FilterReply(*arguments, {{Outcome::kNever, "too far"}}),
            R"({"NodeNames":[],"FailedNodes":{},)"
            R"("FailedAndUnresolvableNodes":{"n1":"too far"},"Error":""})");
}

TEST(FilterReplyTest, Case05_OrderIsKeptAndDuplicatesAreDropped) {
  const std::string body = Body(R"("NodeNames":["b","a","b","c","a"])");
  const auto arguments = ReadArguments(body);
  ASSERT_TRUE(arguments.has_value());
  EXPECT_THAT(Names(*arguments), ElementsAre("b", "a", "c"));
  const json reply = json::parse(FilterReply(*arguments, {}));
  EXPECT_EQ(reply["NodeNames"], json({"b", "a", "c"}));
}

TEST(FilterReplyTest, Case05_DuplicateNodesAreDropped) {
  const std::string body =
      Body(R"("Nodes":{"items":[{"metadata":{"name":"b"},"x":1},{"metadata":{"name":"a"}},)"
           R"({"metadata":{"name":"b"},"x":2}]})");
  const auto arguments = ReadArguments(body);
  ASSERT_TRUE(arguments.has_value());
  const json reply = json::parse(FilterReply(*arguments, {}));
  EXPECT_EQ(reply["Nodes"]["items"],
            json::parse(R"([{"metadata":{"name":"b"},"x":1},{"metadata":{"name":"a"}}])"));
}

TEST(FilterReplyTest, Case06_NamesOnlyOfferedNodes) {
  const std::string body = Body(R"("NodeNames":["n1","n2","n3"])");
  const auto arguments = ReadArguments(body);
  ASSERT_TRUE(arguments.has_value());
  const json reply = json::parse(
      FilterReply(*arguments, {{}, {Outcome::kFailed, "later"}, {Outcome::kNever, "never"}}));
  EXPECT_EQ(reply["NodeNames"], json({"n1"}));
  EXPECT_EQ(reply["FailedNodes"], json({{"n2", "later"}}));
  EXPECT_EQ(reply["FailedAndUnresolvableNodes"], json({{"n3", "never"}}));
  EXPECT_EQ(reply["Error"], "");
}

// The list stays where it is in the body; what is around it changes.
TEST(FilterReplyTest, ALongBodyBecomesItsReply) {
  for (const char* list :
       {R"("NodeNames":["n1","n2"])", R"("Nodes":{"items":[{"metadata":{"name":"n1"}}]})"}) {
    std::string body = Body(list);
    body.reserve(1000);
    const auto* start = body.data();
    const auto arguments = ReadArguments(body);
    ASSERT_TRUE(arguments.has_value());
    const std::string expected = FilterReply(*arguments, {});
    const std::string reply = FilterReply(std::move(body), *arguments, {}, 32);
    EXPECT_EQ(reply, expected);
    EXPECT_EQ(reply.data(), start);
  }
}

// The client rejects the whole list for one score that is not an integer literal.
TEST(PrioritizeReplyTest, Case07_ScoresAreIntegersFromZeroToTen) {
  const std::string body = Body(R"("NodeNames":["a","b","c","d","e"])");
  const auto arguments = ReadArguments(body);
  ASSERT_TRUE(arguments.has_value());
  EXPECT_EQ(PrioritizeReply(*arguments, {10, 7, 0, -3, 4711}),
            R"([{"Host":"a","Score":10},{"Host":"b","Score":7},{"Host":"e","Score":10}])");
}

// Of a body that anybody with a certificate may send, sums must stay in range.
TEST(ReadArgumentsTest, RequestsAddUpToNoMoreThanAnyNodeHas) {
  std::string containers;
  for (const char* cpu : {"9e15", "9e15", "-9e15", "1"}) {
    containers += std::string(containers.empty() ? "" : ",") +
                  R"({"resources":{"requests":{"cpu":")" + cpu + R"(","memory":")" + cpu + "\"}}}";
  }
  const std::string body =
      R"({"Pod":{"spec":{"containers":[)" + containers + R"(]}},"NodeNames":["a"]})";
  const auto arguments = ReadArguments(body);
  ASSERT_TRUE(arguments.has_value());
  EXPECT_EQ(arguments->pod.cpu_milli, kMostRequested);
  EXPECT_EQ(arguments->pod.memory_bytes, kMostRequested);
}

struct BadBody {
  const char* name;
  std::string body;
  const char* error;
};

class MalformedTest : public testing::TestWithParam<BadBody> {};

TEST_P(MalformedTest, Case11_IsAnErrorThatNamesFieldAndByte) {
  EXPECT_THAT(ErrorOf(GetParam().body), HasSubstr(GetParam().error));
  EXPECT_THAT(ErrorOf(GetParam().body), HasSubstr("at byte"));
}

INSTANTIATE_TEST_SUITE_P(
    Bodies, MalformedTest,
    testing::Values(
        BadBody{"Empty", "", "body: expected an object"},
        BadBody{"NotAnObject", "[1]", "body: expected an object"},
        BadBody{"TruncatedList", Body(R"("NodeNames":["a","b")").substr(0, 200),
                "NodeNames: expected a comma or an end"},
        BadBody{"TruncatedString", R"({"NodeNames":["abc)", "NodeNames: unexpected end"},
        BadBody{"TruncatedPod", R"({"Pod":{"metadata":{"name")", "Pod.metadata: expected a colon"},
        BadBody{"DeepNesting", R"({"Pod":)" + std::string(100'000, '['), "Pod: expected an object"},
        BadBody{"DeepNestingUnknownField", R"({"x":)" + std::string(100'000, '['),
                "nested too deeply"},
        BadBody{"DeepNestingObjects",
                [] {
                  std::string text = R"({"Pod":{"spec":)";
                  for (int i = 0; i < 50'000; ++i) text += R"({"a":)";
                  return text;
                }(),
                "Pod.spec: nested too deeply"},
        BadBody{"BadUtf8", Body("\"NodeNames\":[\"a\xC3(\"]"), "NodeNames: not valid UTF-8"},
        BadBody{"OverlongUtf8", Body("\"NodeNames\":[\"\xC0\xAF\"]"), "NodeNames: not valid UTF-8"},
        BadBody{"Utf8Surrogate", Body("\"NodeNames\":[\"\xED\xA0\x80\"]"),
                "NodeNames: not valid UTF-8"},
        BadBody{"NulInString", Body(std::string("\"NodeNames\":[\"a\0b\"]", 19)),
                "NodeNames: control character"},
        BadBody{"NulBetween", std::string("{\0}", 3), "expected a field name"},
        BadBody{"BadEscape", Body(R"("NodeNames":["a\q"])"), "NodeNames: bad escape"},
        BadBody{"BadUnicodeEscape", Body(R"("NodeNames":["\u12g4"])"), "bad \\u escape"},
        BadBody{"NumberAsName", Body(R"("NodeNames":[7])"), "NodeNames: expected a string"},
        BadBody{"NullAsName", Body(R"("NodeNames":[null])"), "NodeNames: expected a string"},
        BadBody{"NamesAsObject", Body(R"("NodeNames":{"a":1})"), "NodeNames: expected a list"},
        BadBody{"NodesAsList", Body(R"("Nodes":[])"), "Nodes: expected an object"},
        BadBody{"ItemsAsObject", Body(R"("Nodes":{"items":{}})"), "Nodes: expected a list"},
        BadBody{"ItemAsText", Body(R"("Nodes":{"items":["n1"]})"), "Nodes: expected an object"},
        BadBody{"PodAsText", R"({"Pod":"p","NodeNames":[]})", "Pod: expected an object"},
        BadBody{"TrailingComma", Body(R"("NodeNames":["a",])"), "NodeNames: expected a string"},
        BadBody{"LeadingZero", Body(R"("x":01,"NodeNames":[])"), "expected a comma"},
        BadBody{"BareMinus", Body(R"("x":-,"NodeNames":[])"), "expected a value"},
        BadBody{"NoExponentDigits", Body(R"("x":1e,"NodeNames":[])"), "bad number"},
        BadBody{"WrongLiteral", Body(R"("x":nul,"NodeNames":[])"), "expected a value"}),
    [](const auto& info) { return info.param.name; });

// Numbers too large for a double matter to nobody here; nor does text after the value, as in Go.
TEST(ReadArgumentsTest, Case11_HugeNumbersAndTrailingTextAreHarmless) {
  const std::string body = Body(R"("x":1e400,"y":-0.5E-7,"NodeNames":["a"])") + " trailing";
  EXPECT_EQ(ErrorOf(body), "");
}

TEST(ReadArgumentsTest, Case11_EscapesAreDecodedAndLoneSurrogatesReplaced) {
  const std::string body = Body(
      R"("NodeNames":["\u006e1","a\/\"\\b","\ud83d\ude00","\ud800","\udc00x","\ud800\u0041"])");
  const auto arguments = ReadArguments(body);
  ASSERT_TRUE(arguments.has_value()) << arguments.error().message;
  EXPECT_THAT(Names(*arguments),
              ElementsAre("n1", "a/\"\\b", "\xF0\x9F\x98\x80", "\xEF\xBF\xBD", "\xEF\xBF\xBDx",
                          "\xEF\xBF\xBD"
                          "A"));
  // What goes out is JSON again.
  const json reply = json::parse(FilterReply(*arguments, {}));
  EXPECT_EQ(reply["NodeNames"][1], "a/\"\\b");
}

// A field of a later API version, or anything else: passed over, whatever it holds.
// The list of names is read by a quick way that takes plain strings, and by the usual one.
TEST(ReadArgumentsTest, NamesOfAnyKindAndSpacingAreRead) {
  const std::string body = Body(
      "\"NodeNames\" : [ \"a\",\"\" ,\"quite-a-long-name.of-a.node\", "
      "\"\\u00fc\",\"\xc3\xbc-1234567\","
      "\n\"\\\"\"\t,\"z\"]");
  const auto arguments = ReadArguments(body);
  ASSERT_TRUE(arguments.has_value()) << arguments.error().message;
  EXPECT_THAT(Names(*arguments), ElementsAre("a", "", "quite-a-long-name.of-a.node", "\xc3\xbc",
                                             "\xc3\xbc-1234567", "\"", "z"));
  for (const char* broken : {"[", "[,]", "[\"a\"", "[\"a\",", "[\"a\",]", "[\"a\" \"b\"]",
                             "[\"a\"}", "[1]", "[\"a\",null]", "[\"a", "[\"a\n\"]"}) {
    EXPECT_THAT(ErrorOf(Body("\"NodeNames\":" + std::string(broken))), HasSubstr("NodeNames"))
        << broken;
  }
}

// Wherever in the quick way's blocks the odd one stands, and however long the names are.
TEST(ReadArgumentsTest, OneOddNameAmongPlainOnesIsReadAtAnyPlace) {
  struct Odd {
    const char* written;
    const char* read;
  };
  const Odd odds[] = {{R"("a\"b")", "a\"b"},
                      {R"("\u00e4")", "\xc3\xa4"},
                      {"\"\xc3\xa4\"", "\xc3\xa4"},
                      {R"( "spaced" )", "spaced"},
                      {R"("")", ""},
                      {"\n\"line\"", "line"}};
  for (const Odd& odd : odds) {
    for (size_t length = 1; length < 40; ++length) {
      for (size_t place = 0; place < 9; ++place) {
        std::string list;
        std::vector<std::string> expected;
        for (size_t i = 0; i < 9; ++i) {
          std::string name = std::string(length, 'n') + std::to_string(i);
          list += (i > 0 ? "," : "") + (i == place ? odd.written : '"' + name + '"');
          expected.push_back(i == place ? odd.read : name);
        }
        const std::string body = Body("\"NodeNames\":[" + list + "]");
        const auto arguments = ReadArguments(body);
        ASSERT_TRUE(arguments.has_value()) << list << ": " << arguments.error().message;
        ASSERT_EQ(Names(*arguments), expected) << list;
        // Cut anywhere it is no list, and nothing behind its end is read.
        for (size_t cut = list.size() - 1; cut > 0; cut -= std::min<size_t>(cut, 7)) {
          ASSERT_NE(ErrorOf(Body("\"NodeNames\":[" + list.substr(0, cut))), "") << list;
        }
      }
    }
  }
}

TEST(FilterReplyTest, AListOfWhichAllPassComesBackAsItWas) {
  const std::string once = Body(R"("NodeNames":["n1", "n2"])");
  const auto arguments = ReadArguments(once);
  EXPECT_EQ(arguments->list, R"(["n1", "n2"])");
  EXPECT_EQ(json::parse(FilterReply(*arguments, {}))["NodeNames"], json({"n1", "n2"}));
  EXPECT_EQ(ReadArguments(Body(R"("NodeNames":["n1","n1"])"))->list, "");
  EXPECT_EQ(ReadArguments(Body(R"("NodeNames":["n\u0031"])"))->list, "");
  EXPECT_EQ(ReadArguments(Body(R"("Nodes":{"items":[{"metadata":{"name":"n1"}}]})"))->list,
            R"([{"metadata":{"name":"n1"}}])");
}

TEST(ReadArgumentsTest, Case15_UnknownFieldsAreIgnored) {
  const std::string body =
      R"({"Future":{"a":[1,{"b":null}]},"Pod":{"kind":"Pod","metadata":{"name":"p",)"
      R"("managedFields":[{"f:spec":{}}]},"status":{"x":[true,false]}},"Nodes":null,)"
      R"("NodeNames":["a"],"Hints":"x"})";
  const auto arguments = ReadArguments(body);
  ASSERT_TRUE(arguments.has_value()) << arguments.error().message;
  EXPECT_THAT(Names(*arguments), ElementsAre("a"));
}

// In list mode the reply must carry the nodes: names alone would mean that none passes.
TEST(FilterReplyTest, NodesAreReturnedAsTheyCame) {
  const std::string node1 =
      R"({"metadata":{"name":"n1","labels":{"a":"\u00e9"}},"status":{"x":1.50}})";
  const std::string node2 = R"({ "status":{}, "metadata":{"name":"n2"} })";
  const std::string body = Body(R"("Nodes":{"metadata":{},"items":[)" + node1 + " , " + node2 +
                                R"(]},"NodeNames":null)");
  const auto arguments = ReadArguments(body);
  ASSERT_TRUE(arguments.has_value()) << arguments.error().message;
  EXPECT_FALSE(arguments->by_name);
  EXPECT_THAT(Names(*arguments), ElementsAre("n1", "n2"));
  EXPECT_EQ(FilterReply(*arguments, {{Outcome::kFailed, "full"}, {}}),
            R"({"Nodes":{"metadata":{},"items":[)" + node2 +
                R"(]},"FailedNodes":{"n1":"full"},"FailedAndUnresolvableNodes":{},"Error":""})");
}

// In the body where there is room for it, and elsewhere where there is none: the same text.
TEST(FilterReplyTest, LongRepliesAreMadeOfTheBody) {
  std::string items;
  for (int i = 0; i < 2000; ++i) {
    items += (i == 0 ? "" : ",") + std::string(R"({"metadata":{"name":"n)") + std::to_string(i) +
             R"("},"status":{"text":")" + std::string(1000, 'x') + R"("}})";
  }
  const std::string list = R"("Nodes":{"items":[)" + items + "]}";
  for (const std::string& body : {Body(list), "{" + list + "," + kPod + "}"}) {
    std::string moved = body;
    moved.shrink_to_fit();
    const auto arguments = ReadArguments(moved);
    ASSERT_TRUE(arguments.has_value()) << arguments.error().message;
    const std::string expected = FilterReply(*arguments, {});
    const char* before = moved.data();
    const std::string reply = FilterReply(std::move(moved), *arguments, {});
    EXPECT_TRUE(reply == expected);
    EXPECT_EQ(json::parse(reply)["Nodes"]["items"].size(), 2000u);
    EXPECT_EQ(reply.data() == before, body.starts_with(R"({"Pod")"));
  }
  // Not all pass: only those come back.
  std::string some = Body(list);
  const auto arguments = ReadArguments(some);
  std::vector<NodeOutcome> outcomes(2000);
  outcomes[7] = {Outcome::kNever, "no"};
  const json reply = json::parse(FilterReply(std::move(some), *arguments, outcomes));
  EXPECT_EQ(reply["Nodes"]["items"].size(), 1999u);
  EXPECT_EQ(reply["FailedAndUnresolvableNodes"], json({{"n7", "no"}}));
}

TEST(FilterReplyTest, ErrorsAreEscaped) {
  EXPECT_EQ(FilterErrorReply("bad \"x\"\n"), R"({"Error":"bad \"x\"\n"})");
  EXPECT_TRUE(json::accept(FilterErrorReply("raw \xFF byte")));
}

}  // namespace
}  // namespace longshore::extender
