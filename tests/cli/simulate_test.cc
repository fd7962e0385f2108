// SPDX-License-Identifier: Apache-2.0
//
// longshore record and longshore simulate: what one prints the other reads.
#include <gtest/gtest.h>
#include <yaml-cpp/yaml.h>

#include <set>

#include "tests/cli/cli_fixture.h"

namespace longshore::cli {
namespace {

using testing::HasSubstr;

class SimulateTest : public CliTest {
 protected:
  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ + "/" + name) << text;
    return folder_ + "/" + name;
  }
  const std::string request_ = Write("request.yaml", R"(
apiVersion: longshore.dev/v1alpha1
kind: ComputeRequest
spec:
  pods: {min: 0, initial: 1, max: 3}
  scaling:
    idleSeconds: 20
    signals:
    - {name: cpu, up: {utilizationPercent: 60}, down: {utilizationPercent: 15}, windowSeconds: 2}
)");
  const std::string trace_ = Write("short", R"({"time":"2026-01-01T00:00:00Z","queued":0})"
                                            "\n"
                                            R"({"time":"2026-01-01T00:00:01Z","queued":0})");

  // What is said of that `spec`; "" when it is taken.
  std::string Refusal(const std::string& spec) {
    const std::string file = Write("tried.yaml", "spec: " + spec);
    const int exit =
        Longshore("simulate " + file + " --trace " + trace_ + " --cpu-request 1 --cpu-limit 2");
    EXPECT_TRUE(exit == 0 || exit == 2) << exit << " " << err_.str();
    return exit == 0 ? "" : err_.str();
  }
  // Of a whole signal.
  std::string RefusalOfSignal(const std::string& signal) {
    return Refusal("{scaling: {signals: [" + signal + "]}}");
  }
};

void CollectMessages(const YAML::Node& schema, std::set<std::string>& messages) {
  for (const YAML::Node& rule : schema["x-kubernetes-validations"]) {
    messages.insert(rule["message"].as<std::string>());
  }
  for (const auto& property : schema["properties"]) CollectMessages(property.second, messages);
  if (schema["items"]) CollectMessages(schema["items"], messages);
}

TEST_F(SimulateTest, ReplaysWhatWasRecorded) {
  api_.On("GET /v1/pods",
          {{"items", Json::array({{{"name", "a"},
                                   {"state", "Assigned"},
                                   {"usage", {{"cpu", "180m"}, {"memory", "1024"}}}},
                                  {{"name", "b"}, {"state", "Planned"}, {"usage", nullptr}},
                                  {{"name", "c"}, {"state", "Deconstructed"}}})}});
  api_.On("GET /v1/requests/backup/req-1", {{"name", "req-1"}});
  api_.On("GET /v1/operations", {{"items", Json::array({Json::object()})}});
  ASSERT_EQ(Longshore("record req-1 --for 12s"), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr(R"("pod":"a","queued":1,"state":"Assigned")"));
  EXPECT_EQ(std::ranges::count(out_.str(), '\n'), 24) << "the one that has ended is left out";
  const std::string trace = Write("trace", out_.str());

  EXPECT_EQ(Longshore("simulate " + request_ + " --trace " + trace), 2);
  EXPECT_THAT(err_.str(), HasSubstr("--cpu-request"));
  ASSERT_EQ(Longshore("simulate " + request_ + " --trace " + trace + " --cpu-request 200m"), 0)
      << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("1 to 2  ThresholdExceeded"));
  EXPECT_THAT(out_.str(), HasSubstr("at most 2 pods"));
  ASSERT_EQ(Longshore("simulate " + request_ + " --trace " + trace + " --cpu-request 200m -o json"),
            0);
  const Json result = *api::ParseJson(out_.str());
  EXPECT_EQ(result.at("mostPods"), 2);
  EXPECT_EQ(result.at("decisions")[0].at("candidates")[0].at("name"), "Usage");
}

TEST_F(SimulateTest, NothingIsRecordedOfARequestThatIsNotThere) {
  api_.On("GET /v1/requests/backup/nope", {{"title", "not found"}}, 404);
  EXPECT_EQ(Longshore("record nope --for 12s"), 3);
  EXPECT_EQ(out_.str(), "");
}

// As the API server would, and all at once.
TEST_F(SimulateTest, RefusesWhatIsOutOfTheSchemasRanges) {
  EXPECT_EQ(Refusal("{pods: {min: 0, initial: 1, max: 1000}, scaling: {warmPods: 1000}}"), "");
  EXPECT_EQ(Refusal("{}"), "");
  const std::pair<const char*, const char*> cases[] = {
      {"{pods: {max: 1001}}", "spec.pods.max: must be a whole number from 1 to 1000"},
      {"{pods: {max: 99999999999999999999}}", "spec.pods.max: must be a whole number from 1 to"},
      {"{pods: {min: -1}}", "spec.pods.min: must be a whole number from 0 to 1000"},
      {"{pods: {initial: 1.5}}", "spec.pods.initial: must be a whole number"},
      {"{pods: 3}", "spec.pods: must be an object"},
      {"{podz: {max: 3}}", "spec.podz: no such field"},
      {"{scaling: {idleSeconds: 4}}",
       "spec.scaling.idleSeconds: must be a whole number from 5 to 86400"},
      {"{scaling: {startupGraceSeconds: -1}}", "spec.scaling.startupGraceSeconds: must be"},
      {"{scaling: {warmPods: 2000000000}}",
       "spec.scaling.warmPods: must be a whole number from 0 to 1000"},
      {"{scaling: {demandPolicy: Folow}}",
       "spec.scaling.demandPolicy: must be one of Ignore, Follow, Require"},
      {"{scaling: {signals: [{name: heat, up: {value: '2'}, down: {value: '1'}}]}}",
       "spec.scaling.signals[0].name: must be one of cpu, memory"},
      {"{scaling: {signals: [{name: cpu, up: {utilizationPercent: 60}}]}}",
       "spec.scaling.signals[0].down: is required"},
      {"{scaling: {signals: [{name: cpu, up: {value: 2x}, down: {value: '1'}}]}}",
       "spec.scaling.signals[0].up.value: must match"},
      {"{scaling: {signals: [{name: cpu, up: {value: 2}, down: {value: '1'}}]}}",
       "spec.scaling.signals[0].up.value: must be text: put it in quotes"},
      {"{scaling: {signals: {}}}", "spec.scaling.signals: must be a list"},
      {"{deadline: tomorrow}", "spec.deadline: must be a time"},
      {"{lifetimeSeconds: 0}", "spec.lifetimeSeconds: must be a whole number"},
  };
  for (const auto& [spec, says] : cases) EXPECT_THAT(Refusal(spec), HasSubstr(says)) << spec;
  const std::string both = Refusal("{pods: {min: -1}, scaling: {warmPods: -1}}");
  EXPECT_THAT(both, HasSubstr("tried.yaml: spec.pods.min:"));
  EXPECT_THAT(both, HasSubstr("; spec.scaling.warmPods:"));
  Write("tried.yaml", "{kind: Operation, spec: {}}");
  EXPECT_EQ(Longshore("simulate " + folder_ + "/tried.yaml --trace " + trace_), 2);
  EXPECT_THAT(err_.str(), HasSubstr("kind: must be ComputeRequest"));
}

// The schema's rules are in CEL, which nothing here can read: each has a case, so that one that is
// added or changed there is not forgotten here.
TEST_F(SimulateTest, KnowsEachRuleOfTheSchema) {
  std::string said;
  const auto expect = [&](const std::string& refusal, const char* says) {
    EXPECT_THAT(refusal, HasSubstr(says));
    said += refusal;
  };
  expect(Refusal("{pods: {min: 3, initial: 3, max: 2}}"), "spec.pods.max: must be at least min");
  expect(Refusal("{pods: {initial: 3, max: 2}}"), "spec.pods.initial: must be at most max");
  expect(Refusal("{pods: {min: 2, initial: 1, max: 2}}"), "spec.pods.initial: must be at least");
  expect(Refusal("{scaling: {warmPods: 2}}"), "spec.scaling.warmPods: must be at most pods.max");
  expect(Refusal("{deadline: '2026-01-31T06:00:00Z', dailyDeadline: '06:00Z'}"),
         "spec.dailyDeadline: is instead");
  const char* const percent = "{name: cpu, up: {utilizationPercent: 5}, down: ";
  expect(RefusalOfSignal(percent + std::string("{value: 1m}}")), "signals[0].down: must be of the");
  expect(RefusalOfSignal(percent + std::string("{utilizationPercent: 5}}")),
         "signals[0].down.utilizationPercent: must be less");
  expect(RefusalOfSignal(percent + std::string("{}}")), "signals[0].down: exactly one of");
  expect(RefusalOfSignal("{name: cpu, up: {value: 1000m}, down: {value: '1'}}"),
         "signals[0].down.value: must be less");
  expect(RefusalOfSignal(
             "{name: readBytes, up: {utilizationPercent: 5}, down: {utilizationPercent: 1}}"),
         "signals[0].up: needs a value");
  expect(RefusalOfSignal("{name: ioPressure, up: {value: '5'}, down: {value: '1'}}"),
         "signals[0].up: needs a utilizationPercent");
  const std::string twice = percent + std::string("{utilizationPercent: 1}}");
  EXPECT_THAT(RefusalOfSignal(twice + ", " + twice),
              HasSubstr("signals[1].name: is there already"));

  std::set<std::string> messages;
  CollectMessages(
      YAML::LoadFile(
          LONGSHORE_SOURCE_DIR
          "/manifests/crds/computerequests.yaml")["spec"]["versions"][0]["schema"]
                                                 ["openAPIV3Schema"]["properties"]["spec"],
      messages);
  messages.erase("is immutable: make another ComputeRequest");
  EXPECT_GE(messages.size(), 10u);
  for (const std::string& message : messages) EXPECT_THAT(said, HasSubstr(message));
}

TEST_F(SimulateTest, RefusesFlagsThatNoPodCouldHave) {
  const std::pair<const char*, const char*> cases[] = {
      {"--cpu-request 0", "--cpu-request 0: must be a quantity over 0, such as 200m"},
      {"--cpu-request fast", "--cpu-request fast: must be a quantity over 0"},
      {"--cpu-request=-1", "--cpu-request -1: must be a quantity over 0"},
      {"--cpu-request 1 --memory-request 1Qi", "--memory-request 1Qi: must be a quantity"},
      {"--cpu-request 1 --cpu-limit 0", "--cpu-limit 0: must be a quantity over 0"},
      {"--cpu-request 1 --cpu-limit 500m", "--cpu-limit 500m: must be at least --cpu-request"},
      {"--cpu-request 1 --provisioning 10000000h", "--provisioning 10000000h: must be at most 24h"},
      {"--cpu-request 1 --provisioning soon", "--provisioning: \"soon\" is no duration"},
  };
  for (const auto& [flags, says] : cases) {
    EXPECT_EQ(Longshore("simulate " + request_ + " --trace " + trace_ + " " + flags), 2) << flags;
    EXPECT_THAT(err_.str(), HasSubstr(says));
  }
}

TEST_F(SimulateTest, RefusesATraceThatCountsNothing) {
  const std::string trace = Write("bad", R"({"time":"2026-01-01T00:00:00Z","queued":-1})");
  EXPECT_EQ(Longshore("simulate " + request_ + " --cpu-request 1 --trace " + trace), 2);
  EXPECT_THAT(err_.str(), HasSubstr("/bad: line 1: queued: must be how many operations waited"));
}

TEST_F(SimulateTest, NamesTheFileThatIsWrong) {
  EXPECT_EQ(Longshore("simulate " + Write("x", "{") + " --trace t"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("/x: line"));
  EXPECT_EQ(Longshore("simulate " + Write("x", "kind: ComputeRequest") + " --trace t"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("spec: is required"));
  EXPECT_NE(Longshore("simulate " + request_ + " --cpu-request 1 --trace " + folder_ + "/none"), 0);
}

}  // namespace
}  // namespace longshore::cli
