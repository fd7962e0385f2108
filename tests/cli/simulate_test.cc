// SPDX-License-Identifier: Apache-2.0
//
// longshore record and longshore simulate: what one prints the other reads.
#include <gtest/gtest.h>

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
};

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

TEST_F(SimulateTest, NamesTheFileThatIsWrong) {
  EXPECT_EQ(Longshore("simulate " + Write("x", "{") + " --trace t"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("/x: line"));
  EXPECT_EQ(Longshore("simulate " + Write("x", "kind: ComputeRequest") + " --trace t"), 2);
  EXPECT_THAT(err_.str(), HasSubstr("spec: is required"));
  EXPECT_NE(Longshore("simulate " + request_ + " --cpu-request 1 --trace " + folder_ + "/none"), 0);
}

}  // namespace
}  // namespace longshore::cli
