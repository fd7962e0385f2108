// SPDX-License-Identifier: Apache-2.0
//
// What `longshore-extender replay` prints, and how it ends.
#include "extender/replay_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "common/base/strings.h"
#include "extender/replay.h"

namespace longshore::extender {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

class ReplayCommandTest : public testing::Test {
 protected:
  ReplayCommandTest() : file_("/tmp/longshore-replay-test-" + RandomId(8)) {
    recording_.version = "1.2.3";
    recording_.time = "2026-01-01T00:00:00.000000Z";
    recording_.verb = "prioritize";
    recording_.source.emplace();
    recording_.source->metadata.ns = "db";
    recording_.source->metadata.name = "orders";
    recording_.source->spec.location.node_name = "n1";
    for (const char* name : {"n1", "n2"}) {
      placement::NodeInfo node{.name = name, .zone = std::string("z-") + name, .region = "eu"};
      node.ready = true;
      node.cpu_allocatable_milli = 4000;
      node.memory_allocatable_bytes = int64_t{8} << 30;
      recording_.cluster.nodes.push_back(node);
    }
    recording_.judged = 2;
    recording_.body = R"({"Pod":{"metadata":{"name":"lsp-a","namespace":"backup","uid":"u",)"
                      R"("labels":{"longshore.dev/source":"orders"}}},"NodeNames":["n1","n2"]})";
    recording_.reply = AnswerAgain(recording_)->reply;
  }
  ~ReplayCommandTest() override { std::filesystem::remove(file_); }

  int Replay(const std::string& node = "", bool json = false) {
    std::ofstream(file_) << WriteRecording(recording_);
    return Run({.file = file_, .node = node, .json = json});
  }
  int Run(const ReplayOptions& options) {
    out_.str("");
    err_.str("");
    return RunReplay(options, out_, err_);
  }
  const std::string file_;
  Recording recording_;
  std::ostringstream out_, err_;
};

TEST_F(ReplayCommandTest, SaysThatTheReplyIsTheSame) {
  EXPECT_EQ(Replay(), 0) << err_.str();
  EXPECT_EQ(
      out_.str(),
      "pod          backup/lsp-a\n"
      "call         prioritize of 2 nodes, 2026-01-01T00:00:00.000000Z\n"
      "recorded by  longshore-extender 1.2.3\n"
      "source       db/orders\n"
      "data         the source names node n1\n"
      "reply        the same 49 bytes\n"
      "\n"
      "How the nodes ranked:\n"
      "  NODE  TIER    SCORE  LOCALITY  PRESSURE  ROOM  IMAGE  WHY\n"
      "  n1    Node    94     84        4         6     0      the data is on this node (+84); "
      "pressure never reported (+4); free for it: 4000m CPU and 8.0 GiB of memory (+6)\n"
      "  n2    Region  31     21        4         6     0      the data is in this node's region "
      "(+21); pressure never reported (+4); free for it: 4000m CPU and 8.0 GiB of memory (+6)\n");
  EXPECT_THAT(err_.str(), IsEmpty());
}

TEST_F(ReplayCommandTest, EndsWithTheFirstDifference) {
  recording_.reply.replace(recording_.reply.find("\"Score\":9"), 9, "\"Score\":8");
  EXPECT_EQ(Replay(), 1);
  EXPECT_THAT(out_.str(), HasSubstr("reply        DIFFERENT\n"));
  EXPECT_THAT(out_.str(), HasSubstr("The first difference, around byte 22:\n"));
  EXPECT_THAT(out_.str(), HasSubstr(R"(recorded  "Host":"n1","Score":8},{"Host":)"));
  EXPECT_THAT(out_.str(), HasSubstr(R"(replayed  "Host":"n1","Score":9},{"Host":)"));
  recording_.reply = "";
  EXPECT_EQ(Replay(), 1);
  EXPECT_THAT(out_.str(), HasSubstr("around byte 0:\n"));
}

TEST_F(ReplayCommandTest, SaysWhatWouldHaveChangedTheOutcome) {
  EXPECT_EQ(Replay("n2"), 0);
  EXPECT_THAT(out_.str(), HasSubstr("\nWhat would have changed it for n2:\n"));
  EXPECT_THAT(out_.str(), HasSubstr("  would have won with the data in its zone z-n2 (was in its "
                                    "region): 52 points against 31 of n1\n"));
  EXPECT_EQ(Replay("n1"), 0);
  EXPECT_THAT(out_.str(), HasSubstr("\nNothing would have had to change for n1.\n"));
  EXPECT_EQ(Replay("n3"), 2);
  EXPECT_EQ(err_.str(),
            "longshore-extender: node n3 was not among the 2 that kube-scheduler offered\n");
}

TEST_F(ReplayCommandTest, SpeaksToProgramsToo) {
  EXPECT_EQ(Replay("n2", true), 0);
  api::Json result = *api::ParseJson(out_.str());
  EXPECT_EQ(result["same"], true);
  EXPECT_EQ(result["difference"], nullptr);
  EXPECT_EQ(result["verdict"]["time"], recording_.time);
  EXPECT_EQ(result["verdict"]["nodes"][0]["node"], "n1");
  EXPECT_EQ(result["counterfactual"]["changes"][0]["effect"], "Wins");
  recording_.reply += " ";
  EXPECT_EQ(Replay("", true), 1);
  result = *api::ParseJson(out_.str());
  EXPECT_EQ(result["same"], false);
  EXPECT_EQ(result["difference"]["byte"], 49);
}

TEST_F(ReplayCommandTest, RefusesWhatIsNoRecording) {
  std::ofstream(file_) << "hello\n";
  EXPECT_EQ(Run({.file = file_}), 2);
  EXPECT_THAT(err_.str(), HasSubstr(file_ + ": "));
  EXPECT_EQ(Run({.file = file_ + "-none"}), 2);
  EXPECT_THAT(out_.str(), IsEmpty());
}

// What a file from elsewhere says must not steer the terminal.
TEST_F(ReplayCommandTest, PrintsNoControlCharacters) {
  recording_.version = "\x1b[31m";
  recording_.cluster.nodes[0].zone = "z\x1b]0;";
  recording_.reply[0] = '\x1b';
  EXPECT_EQ(Replay("n2"), 1);
  EXPECT_EQ(out_.str().find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace longshore::extender
