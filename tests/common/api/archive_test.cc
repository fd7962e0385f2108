// SPDX-License-Identifier: Apache-2.0
// Reading and writing API objects: nothing is lost, and errors name the field.
#include "common/api/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "common/api/operation.h"
#include "common/api/request.h"
#include "common/api/source.h"

namespace longshore::api {
namespace {

using testing::HasSubstr;

Json MustParse(std::string_view text) {
  auto json = ParseJson(text);
  EXPECT_TRUE(json.has_value()) << text;
  return json.has_value() ? *json : Json();
}

// Every field set: what is read is written again, so no field is misspelt on one side or forgotten.
template <class T>
void ExpectRoundTrip(const char* text) {
  const Json json = MustParse(text);
  const auto value = ReadJson<T>(json);
  ASSERT_TRUE(value.has_value()) << value.error().ToString();
  EXPECT_EQ(WriteJson(*value), json) << Json::diff(json, WriteJson(*value)).dump(2);
}

TEST(RoundTripTest, ComputeRequest) {
  ExpectRoundTrip<ComputeRequest>(R"({
    "apiVersion": "longshore.dev/v1alpha1", "kind": "ComputeRequest",
    "metadata": {"name": "r", "namespace": "b", "uid": "u", "resourceVersion": "7",
      "creationTimestamp": "2026-11-23T01:02:03Z", "deletionTimestamp": "2026-11-23T01:02:04Z",
      "generation": 2, "labels": {"a": "b"}, "annotations": {"c": "d"}, "finalizers": ["f"],
      "ownerReferences": [{"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "x",
        "controller": true, "blockOwnerDeletion": false}]},
    "spec": {"sourceRef": {"name": "s", "namespace": "n"}, "purpose": "Restore",
      "policyRef": {"name": "p"}, "pods": {"min": 1, "initial": 2, "max": 4},
      "scaling": {"signals": [{"name": "cpu", "up": {"utilizationPercent": 80},
        "down": {"value": "100m"}, "windowSeconds": 5}], "idleSeconds": 30,
        "startupGraceSeconds": 7, "demandPolicy": "Follow", "warmPods": 1},
      "demand": 3, "deadline": "2026-11-23T02:00:00Z", "lifetimeSeconds": 3600},
    "status": {"observedGeneration": 2, "desiredPods": 2, "readyTime": "r",
      "pods": {"planned": 1, "provisioning": 2, "available": 3, "assigned": 4, "draining": 5,
        "failed": 6},
      "image": {"name": "pg", "image": "x@sha256:1", "reason": "only one",
        "candidates": [{"name": "pg", "chosen": true, "reason": "fits"}]},
      "lastDecision": {"time": "t", "from": 2, "to": 3, "cause": "ThresholdExceeded",
        "message": "m", "crossingTime": "c", "inputs": [{"pod": "p", "signal": "cpu",
        "value": "412m", "threshold": "120m", "samples": 3}],
        "candidates": [{"name": "Usage", "pods": 4, "chosen": true, "message": "w"}],
        "limit": {"reason": "SourceCap", "pods": 3, "message": "l"}},
      "predictedFinishTime": "f", "location": "node-a by pod", "conditions": [{"type": "Ready", "status": "True",
        "reason": "R", "message": "m", "lastTransitionTime": "t", "observedGeneration": 2}]}})");
}

TEST(RoundTripTest, BackupPod) {
  ExpectRoundTrip<BackupPod>(R"({
    "apiVersion": "longshore.dev/v1alpha1", "kind": "BackupPod", "metadata": {"name": "lsp-1"},
    "spec": {"requestRef": {"name": "r"}, "sourceRef": {"name": "s", "namespace": "n"}, "slot": 1,
      "attempt": 2, "image": "i", "candidateNodes": ["a", "b"], "cause": "Requested"},
    "status": {"state": "Assigned", "epoch": 3, "nodeName": "a", "podUID": "u", "podIP": "10.0.0.1",
      "tier": "Node", "lease": {"holder": "h", "operation": "o", "epoch": 3, "expires": "e",
      "key": "k"}, "reason": "R", "message": "m", "lastTransitionTime": "t",
      "decisionInputs": [{"pod": "p", "signal": "cpu", "value": "1m", "threshold": "2m",
        "samples": 9}]}})");
}

TEST(RoundTripTest, Operation) {
  ExpectRoundTrip<Operation>(R"({
    "apiVersion": "longshore.dev/v1alpha1", "kind": "Operation", "metadata": {"name": "op-1"},
    "spec": {"type": "Restore", "sourceRef": {"name": "s"}, "requestRef": {"name": "r"},
      "podRef": {"name": "p"}, "part": "db1", "copyID": "copy-1",
      "target": {"part": "db2", "overwrite": "Never"}, "cancel": true, "managerJobID": "j",
      "maxAttempts": 5},
    "status": {"observedGeneration": 1, "state": "Running", "attempt": 1, "pod": "p", "node": "n",
      "epoch": 4, "progress": {"phase": "Copying", "bytesDone": 1, "bytesTotal": 2, "itemsDone": 3,
        "itemsTotal": 4, "bytesPerSecond": 5, "etaSeconds": 6, "time": "t"},
      "error": {"class": "DumpFailed", "message": "m", "retryable": true},
      "copy": {"id": "copy-1", "dataSnapshot": "d", "recordSnapshot": "r", "manifestDigest": "m",
        "recordDigest": "s", "sourceVersion": "17.2", "toolVersion": "17.3", "position": "0/1", "bytes": 9007199254740993,
        "items": 2, "rows": 3, "time": "t"},
      "queuedTime": "q", "startTime": "s", "completionTime": "c", "conditions": [{"type": "Succeeded",
        "status": "Unknown", "reason": "R", "message": "m", "lastTransitionTime": "t",
        "observedGeneration": 1}]}})");
}

// Written objects hold what a schema would otherwise default wrongly (numbers), and nothing that
// server-side apply would take as owned (empty text, lists, maps).
TEST(WriteJsonTest, LeavesOutWhatIsEmptyAndKeepsNumbers) {
  ComputeRequest request;
  request.metadata.name = "r";
  const Json json = WriteJson(request);
  EXPECT_EQ(json["metadata"], Json({{"name", "r"}}));
  EXPECT_FALSE(json.contains("kind"));
  EXPECT_EQ(json["spec"]["pods"], Json({{"min", 0}, {"initial", 1}, {"max", 1}}));
  EXPECT_FALSE(json["spec"].contains("sourceRef"));
  EXPECT_FALSE(json["spec"].contains("demand"));
  EXPECT_FALSE(json["spec"]["scaling"].contains("signals"));
  request.spec.demand = 0;
  EXPECT_EQ(WriteJson(request)["spec"]["demand"], 0);
}

TEST(ReadJsonTest, AbsentAndNullKeepTheDefault) {
  const auto request = ReadJson<ComputeRequest>(
      MustParse(R"({"spec": {"purpose": null, "demand": null, "newer": {"field": [1]}}})"));
  ASSERT_TRUE(request.has_value());
  EXPECT_EQ(request->spec.purpose, "Backup");
  EXPECT_FALSE(request->spec.demand.has_value());
  EXPECT_EQ(request->spec.pods.max, 1);
}

struct BadCase {
  const char* name;
  const char* text;
  const char* message;
};
class ReadJsonErrorTest : public testing::TestWithParam<BadCase> {};

TEST_P(ReadJsonErrorTest, NamesTheField) {
  const auto request = ReadJson<ComputeRequest>(MustParse(GetParam().text));
  ASSERT_FALSE(request.has_value());
  EXPECT_EQ(request.error().code, Code::kInvalidArgument);
  EXPECT_EQ(request.error().message, GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Documents, ReadJsonErrorTest,
    testing::Values(
        BadCase{"NoObject", "[]", "the document: expected an object"},
        BadCase{"TextForNumber", R"({"spec":{"pods":{"min":"2"}}})",
                "spec.pods.min: expected an integer"},
        BadCase{"FractionForNumber", R"({"spec":{"pods":{"min":1.5}}})",
                "spec.pods.min: expected an integer"},
        BadCase{"TooLargeForInt", R"({"spec":{"pods":{"max":4294967297}}})",
                "spec.pods.max: expected a 32-bit integer"},
        BadCase{"TooLargeForInt64", R"({"spec":{"lifetimeSeconds":18446744073709551615}})",
                "spec.lifetimeSeconds: expected a 64-bit integer"},
        BadCase{"OptionalNumber", R"({"spec":{"demand":true}})",
                "spec.demand: expected an integer"},
        BadCase{"ObjectForText", R"({"spec":{"purpose":{}}})", "spec.purpose: expected a string"},
        BadCase{"TextForObject", R"({"spec":{"sourceRef":"s"}})",
                "spec.sourceRef: expected an object"},
        BadCase{"ObjectForList", R"({"spec":{"scaling":{"signals":{}}}})",
                "spec.scaling.signals: expected a list"},
        BadCase{"InAList", R"({"spec":{"scaling":{"signals":[{},{"up":{"value":7}}]}}})",
                "spec.scaling.signals[1].up.value: expected a string"},
        BadCase{"NullInAList", R"({"metadata":{"finalizers":[null]}})",
                "metadata.finalizers[0]: expected a string"},
        BadCase{"InAMap", R"({"metadata":{"labels":{"a":1}}})",
                "metadata.labels.a: expected a string"},
        BadCase{"ListForMap", R"({"metadata":{"labels":[]}})",
                "metadata.labels: expected an object"},
        BadCase{"NoBoolean", R"({"metadata":{"ownerReferences":[{"controller":"yes"}]}})",
                "metadata.ownerReferences[0].controller: expected true or false"}),
    [](const auto& info) { return info.param.name; });

TEST(ReadJsonTest, TheFirstErrorIsTheOneReported) {
  const auto request =
      ReadJson<ComputeRequestSpec>(MustParse(R"({"purpose": 1, "pods": {"min": "x"}})"), "spec");
  EXPECT_EQ(request.error().message, "spec.purpose: expected a string");
}

TEST(ParseJsonTest, SaysWhereAndNeverWhat) {
  const auto json = ParseJson(R"({"password": "hunter2", )");
  ASSERT_FALSE(json.has_value());
  EXPECT_EQ(json.error().code, Code::kInvalidArgument);
  EXPECT_THAT(json.error().message, HasSubstr("malformed JSON at byte"));
  EXPECT_THAT(json.error().message, testing::Not(HasSubstr("hunter2")));
  for (const char* text : {"", "{", "nul", "{}x", "\"\xFF\"", "[1,]", "{'a':1}"}) {
    EXPECT_FALSE(ParseJson(text).has_value()) << text;
  }
}

// The library throws another exception for these than for malformed text; found by a fuzzer.
TEST(ParseJsonTest, RefusesNumbersOutOfRange) {
  for (const char* text : {"1e999", "[-1e400]", "{\"a\":30011e333333}"}) {
    const auto json = ParseJson(text);
    ASSERT_FALSE(json.has_value()) << text;
    EXPECT_EQ(json.error().message, "JSON with a number out of range");
  }
}

// A body of brackets must not exhaust the stack: what is parsed is also copied and written.
TEST(ParseJsonTest, BoundsTheNesting) {
  const auto nested = [](size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  EXPECT_TRUE(ParseJson(nested(512)).has_value());
  EXPECT_EQ(ParseJson(nested(513)).error().message, "JSON nested too deeply");
  EXPECT_FALSE(ParseJson(std::string(1000000, '{')).has_value());
  // Brackets in text are no nesting.
  EXPECT_TRUE(ParseJson("[\"" + std::string(1000, '[') + "\\\"\\\\\"]").has_value());
}

TEST(DumpJsonTest, SurvivesTextThatIsNotUtf8) {
  EXPECT_EQ(DumpJson(Json{{"a", "x\xFFy"}}), "{\"a\":\"x\xEF\xBF\xBDy\"}");
}

}  // namespace
}  // namespace longshore::api
