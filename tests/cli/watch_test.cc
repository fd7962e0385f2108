// SPDX-License-Identifier: Apache-2.0
#include "cli/watch_frame.h"
#include "tests/cli/cli_fixture.h"

namespace longshore::cli {
namespace {

using testing::Contains;
using testing::Each;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;

Json Request() {
  return {{"namespace", "backup"},
          {"name", "req-1"},
          {"spec", {{"sourceRef", {{"name", "orders"}}}, {"pods", {{"max", 4}}}}},
          {"status",
           {{"desiredPods", 3},
            {"pods", {{"assigned", 2}, {"available", 1}}},
            {"lastDecision", {{"from", 2}, {"to", 3}, {"cause", "ThresholdExceeded"}}},
            {"conditions",
             {{{"type", "Accepted"}, {"status", "True"}, {"reason", "Valid"}},
              {{"type", "ScalingLimited"},
               {"status", "True"},
               {"reason", "MaxPods"},
               {"message", "spec.pods.max is 4"}}}}}}};
}
Json Pod(const std::string& name, const std::string& state, const std::string& operation = "") {
  return {{"namespace", "backup"}, {"name", name},  {"request", "req-1"},
          {"state", state},        {"node", "n-1"}, {"lease", {{"operation", operation}}}};
}
Json Scaling() {
  return *api::ParseJson(
      R"({"namespace": "backup", "name": "req-1", "now": {"idleSeconds": 15, "pods": [
    {"name": "pod-a", "busy": true, "idleSeconds": 0, "signals": [{"signal": "cpu", "value": "180m", "up": "120m",
      "overSeconds": 1, "windowSeconds": 2}]},
    {"name": "pod-b", "busy": false, "idleSeconds": 7, "signals": [{"signal": "cpu", "value": "", "up": "120m"}]}]}})");
}
Json Running() {
  return *api::ParseJson(
      R"({"namespace": "backup", "name": "op-1", "spec": {"type": "Backup", "part": "ledger",
    "requestRef": {"name": "req-1"}}, "status": {"state": "Running", "progress": {"bytesDone": 104857600,
    "bytesTotal": 314572800, "bytesPerSecond": 52428800, "etaSeconds": 4}}})");
}
Json Event(const std::string& type) {
  return {{"time", "2026-01-01T00:10:00.000000Z"},
          {"type", type},
          {"request", "req-1"},
          {"source", "orders"},
          {"data", {{"cause", "x"}}}};
}
Scene Everything() {
  Scene scene;
  scene.time = "2026-01-01T00:10:00.000000Z";
  scene.requests = Json::array({Request()});
  scene.pods = {Pod("pod-a", "Assigned", "op-1"), Pod("pod-b", "Available"),
                Pod("pod-old", "Failed")};
  scene.operations = Json::array({Running()});
  scene.scaling = Json::array({Scaling()});
  for (int i = 0; i < 30; ++i) scene.events.push_back(Event("Event" + std::to_string(i)));
  return scene;
}
std::string Whole(const std::vector<std::string>& lines) { return Join(lines, "\n"); }

TEST(WatchFrameTest, ShowsCrewLoadWorkAndWhatLimits) {
  const std::string text = Whole(RenderFrame(Everything(), {}));
  EXPECT_THAT(text, HasSubstr("2 to 3 ThresholdExceeded"));
  EXPECT_THAT(text, HasSubstr("MaxPods: spec.pods.max is 4"));
  EXPECT_THAT(text, HasSubstr("cpu 180m of 120m for 1s of 2s"));
  EXPECT_THAT(text, HasSubstr("cpu unknown of 120m"));
  EXPECT_THAT(text, HasSubstr("7s of 15s"));
  EXPECT_THAT(text, HasSubstr("Backup ledger"));
  EXPECT_THAT(text, HasSubstr("100 MiB of 300 MiB (33%)"));
  EXPECT_THAT(text, HasSubstr("1 Running"));
  EXPECT_THAT(text, Not(HasSubstr("pod-old"))) << "what has ended is history";
  EXPECT_THAT(text, HasSubstr("Event29"));
  EXPECT_THAT(text, Not(HasSubstr("Event19"))) << "the newest ten";
}

TEST(WatchFrameTest, FitsEveryTerminal) {
  for (const size_t rows : {2, 3, 5, 8, 12, 24, 200}) {
    for (const size_t columns : {1, 10, 80, 500}) {
      const auto lines = RenderFrame(Everything(), {columns, rows});
      EXPECT_LT(lines.size(), rows) << "the last line would scroll the page";
      for (const std::string& line : lines) EXPECT_LE(line.size(), columns + 2) << line;
    }
  }
  EXPECT_THAT(RenderFrame(Everything(), {80, 24}), Contains(HasSubstr("Event29")));
}

TEST(WatchFrameTest, NothingFromElsewhereSteersTheTerminal) {
  Scene scene = Everything();
  const std::string evil = "\x1b[2J\x07\r\n";
  scene.requests[0]["name"] = evil;
  scene.requests[0]["status"]["conditions"][1]["message"] = evil;
  scene.pods[0]["node"] = evil;
  scene.operations[0]["spec"]["part"] = evil;
  scene.events.push_back(Event(evil));
  scene.trouble = evil;
  for (const std::string& line : RenderFrame(scene, {})) {
    for (const char c : line) EXPECT_FALSE(c >= 0 && c < 32) << line;
  }
}

TEST(WatchFrameTest, AnEmptyWorldIsSaid) {
  EXPECT_THAT(RenderFrame({}, {}), Contains("no requests"));
  EXPECT_THAT(RenderFrame({}, {}), Contains("no pods"));
}

class WatchTest : public CliTest {
 protected:
  WatchTest() {
    api_.On("GET /v1/requests", List(Json::array({Request()})));
    api_.On("GET /v1/pods", List(Json::array({Pod("pod-a", "Assigned", "op-1")})));
    api_.On("GET /v1/operations", List(Json::array({Running()})));
    api_.On("GET /v1/requests/backup/req-1/scaling", Scaling());
    api_.On("GET /v1/events",
            {{"events", Json::array({Event("PodsAvailable")})}, {"cursor", "log-1"}});
  }
};

TEST_F(WatchTest, OnceIsOnePage) {
  EXPECT_EQ(Longshore("watch --once"), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("pod-a"));
  EXPECT_THAT(out_.str(), HasSubstr("PodsAvailable"));
  EXPECT_THAT(out_.str(), Not(HasSubstr("\x1b"))) << "stdout is no terminal";
}

TEST_F(WatchTest, GoesOnUntilInterruptedAndPrintsOnlyNews) {
  api_.On("GET /v1/events", {{"events", Json::array()}, {"cursor", "log-1"}});
  sleeps_left_ = 4;
  EXPECT_EQ(Longshore("watch"), 0) << "Ctrl-C is how it ends";
  size_t pages = 0;
  for (size_t at = 0; (at = out_.str().find("Z  1 requests", at)) != std::string::npos; ++at)
    ++pages;
  EXPECT_EQ(pages, 1u) << out_.str();
}

TEST_F(WatchTest, AnApiThatIsAwayIsSaidAndWaitedFor) {
  api_.On("GET /v1/pods", Problem("no leader"), 503);
  api_.On("GET /v1/pods", List(Json::array({Pod("pod-b", "Available")})));
  sleeps_left_ = 4;
  EXPECT_EQ(Longshore("watch"), 0) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("not of now: no leader"));
  EXPECT_THAT(out_.str(), HasSubstr("pod-b"));
}

TEST_F(WatchTest, JsonIsADocumentALineWithNewEventsOnly) {
  api_.On("GET /v1/events", {{"events", Json::array()}, {"cursor", "log-1"}});
  sleeps_left_ = 3;
  EXPECT_EQ(Longshore("watch -o json"), 0) << err_.str();
  const auto lines = Split(std::string(Trim(out_.str())), '\n');
  ASSERT_THAT(lines, SizeIs(3));
  EXPECT_EQ(api::ParseJson(lines[0])->at("events").size(), 1u);
  EXPECT_EQ(api::ParseJson(lines[1])->at("events").size(), 0u);
  EXPECT_EQ(api::ParseJson(lines[2])->at("pods").size(), 1u);
}

TEST_F(WatchTest, AnUnknownRequestIsNamed) {
  EXPECT_EQ(Longshore("watch nope"), 3);
  EXPECT_THAT(err_.str(), HasSubstr("there is no request nope in namespace backup"));
}

}  // namespace
}  // namespace longshore::cli
