// SPDX-License-Identifier: Apache-2.0
//
// Calls of the real Service are recorded into files and answered again from those alone.
#include "extender/replay.h"

#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "tests/extender/recorded_calls.h"

namespace longshore::extender {
namespace {

using nlohmann::json;
using placement::Change;
using placement::MakeSource;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

class ReplayTest : public RecordedCalls {
 protected:
  // Makes the call, and expects its recording to give the same bytes.
  Recording ExpectSameBytes(Verb verb, const std::string& body) {
    const std::string reply =
        verb == Verb::kFilter ? service_->Filter(body) : service_->Prioritize(body);
    Recording recording = Last();
    EXPECT_EQ(recording.body, body);
    EXPECT_EQ(recording.reply, reply);
    const auto replay = AnswerAgain(recording);
    EXPECT_TRUE(replay.has_value());
    EXPECT_EQ(replay->reply, reply);
    EXPECT_THAT(replay->unanswered, IsEmpty());
    return recording;
  }
  void ExpectSameBytes(const std::string& body) {
    ExpectSameBytes(Verb::kFilter, body);
    ExpectSameBytes(Verb::kPrioritize, body);
  }
  static std::map<std::string, int> Scores(const Recording& recording) {
    std::map<std::string, int> scores;
    for (const json& host : json::parse(AnswerAgain(recording)->reply)) {
      scores[host["Host"]] = host["Score"];
    }
    return scores;
  }
  static std::vector<std::string> Passed(const Recording& recording) {
    return json::parse(AnswerAgain(recording)->reply)["NodeNames"];
  }
  static Change Find(const placement::Counterfactual& asked, const std::string& input) {
    for (const Change& change : asked.changes) {
      if (change.input == input) return change;
    }
    ADD_FAILURE() << "no change of " << input;
    return {};
  }
};

TEST_F(ReplayTest, GivesTheSameBytesForEachWayToTheData) {
  auto& view = *world_.cluster.view;
  const std::map<std::string, std::string> leader{{"role", "leader"}};
  view.by_labels[{"db", leader}] = {{"pg-0", "n3", true, "", "hash"}, {"pg-1", "n4", false, ""}};
  view.by_owner[{"db", "Cluster/orders"}] = {{"pg-0", "n2", true, ""}, {"pg-1", "n4", true, ""}};
  view.by_owner[{"db", "Cluster/orders"}][1].leads = true;
  view.by_service[{"db", "pg"}] = {{"", "", true, "zb"}};
  view.by_claim[{"db", "used"}] = {{"pg-0", "n2", true, ""}};
  view.volume_nodes.insert_or_assign({"db", "bound"}, std::vector<std::string>{"n3", "n5"});
  view.volume_nodes.insert_or_assign({"db", "waits"},
                                     Result<std::vector<std::string>>(FailedPrecondition("wait")));
  view.volume_nodes.insert_or_assign({"db", "denied"},
                                     Result<std::vector<std::string>>(Unavailable("denied")));
  const std::vector<api::SourceLocation> ways{{},
                                              {.node_name = "n1"},
                                              {.node_name = "gone"},
                                              {.pod_labels = leader},
                                              {.pod_labels = {{"role", "none"}}, .zone = "za"},
                                              {.owner = {"Cluster", "orders"}},
                                              {.service = "pg"},
                                              {.persistent_volume_claim = "used"},
                                              {.persistent_volume_claim = "bound"},
                                              {.persistent_volume_claim = "waits"},
                                              {.persistent_volume_claim = "denied"},
                                              {.persistent_volume_claim = "missing"},
                                              {.zone = "zb"}};
  for (const auto& way : ways) {
    for (const char* mode : {"Prefer", "Require"}) {
      for (const char* tier : {"Node", "Rack", "Zone"}) {
        world_.cluster.SetSource(MakeSource(way, mode, tier));
        SCOPED_TRACE(api::WriteJson(way).dump() + mode + tier);
        ExpectSameBytes(RequestBody({"n5", "n1", "new", "n3", "n2", "n4", "n1"}));
      }
    }
  }
}

// What a call depends on besides the cluster: age of the pressure to the millisecond, pods just
// placed, and how far the deadline let it come.
TEST_F(ReplayTest, GivesTheSameBytesInRandomClusters) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](int limit) {
    return static_cast<int>(random() % static_cast<unsigned>(limit));
  };
  for (int round = 0; round < 40; ++round) {
    placement::PressureMap pressure;
    for (const std::string& name : kAll) {
      auto& node = world_.cluster.view->AddNode(name, "r" + std::to_string(below(3)), "za", "eu");
      node.cpu_requested_milli = below(4000);
      node.memory_requested_bytes = int64_t{below(8)} << 30;
      node.labels = {{"zone", "za"}};
      pressure[name] = {.cpu_used_milli = below(4000),
                        .cpu_capacity_milli = 4000,
                        .psi_io_permille = below(1000),
                        .psi_valid = below(2) == 0,
                        .age_ms = below(6000) - 1};
    }
    world_.pressure.Set(pressure, world_.clock.now);
    world_.clock.now += std::chrono::microseconds(below(2'000'000));
    world_.cluster.SetSource(MakeSource({.node_name = kAll[static_cast<size_t>(below(5))]},
                                        below(2) == 0 ? "Prefer" : "Require", "Rack"));
    ExpectSameBytes(RequestBody(kAll, "u" + std::to_string(round)));
  }
}

TEST_F(ReplayTest, GivesTheSameBytesWhereTheDeadlineCame) {
  world_.cluster.SetSource(MakeSource({.node_name = "n1"}, "Require", "Node"));
  world_.clock.step = std::chrono::milliseconds(60);
  std::vector<std::string> many;
  for (int i = 0; i < 1000; ++i) many.push_back("x" + std::to_string(i));
  const Recording recording = ExpectSameBytes(Verb::kFilter, RequestBody(many));
  EXPECT_EQ(recording.judged, 256);
}

TEST_F(ReplayTest, GivesTheSameBytesBesideAStandby) {
  auto& view = *world_.cluster.view;
  const std::map<std::string, std::string> leader{{"role", "leader"}}, standby{{"app", "pg"}};
  view.by_labels[{"db", leader}] = {{"pg-0", "n3", true, ""}};
  view.by_labels[{"db", standby}] = {{"pg-0", "n3", true, ""}, {"pg-1", "n4", true, ""}};
  auto source = MakeSource({.pod_labels = leader, .standby_pod_labels = standby}, "Require");
  for (const char* replicas : {"PreferStandby", "LeaderOnly"}) {
    source.spec.placement.replicas = replicas;
    world_.cluster.SetSource(source);
    ExpectSameBytes(RequestBody(kAll));
    ExpectSameBytes(WithAnnotation(RequestBody(kAll), "longshore.dev/placement-mode", "Prefer"));
  }
}

TEST_F(ReplayTest, GivesTheSameBytesForAttachedVolumes) {
  auto& view = *world_.cluster.view;
  view.attached[{"db", "data"}] = {"n3"};
  world_.cluster.SetSource(MakeSource({.persistent_volume_claim = "data"}, "Require", "Zone"));
  ExpectSameBytes(RequestBody(kAll));
  view.attached[{"backup", "scratch"}] = {"n2"};
  ExpectSameBytes(WithClaims(RequestBody(kAll), {"free", "scratch"}));
  Recording recording =
      ExpectSameBytes(Verb::kFilter, WithClaims(RequestBody(kAll), {"free", "scratch"}));
  EXPECT_EQ(Passed(recording), std::vector<std::string>{"n2"});
  recording.cluster.attached_to["backup/scratch"] = "n1";
  EXPECT_EQ(Passed(recording), std::vector<std::string>{"n1"});
}

TEST_F(ReplayTest, GivesTheSameBytesWhereNodesHaveTheImage) {
  world_.cluster.view->AddNode("n3", "r3", "za", "eu").images =
      placement::ImageSet().With("reg/pg:1").With("reg/other:1");
  Recording recording =
      ExpectSameBytes(Verb::kPrioritize, WithImage(RequestBody(kAll), "reg/pg:1"));
  using With = std::map<std::string, std::vector<std::string>>;
  EXPECT_EQ(recording.cluster.with_image, (With{{"reg/pg:1", {"n3"}}}));
  const auto image_points = [&] {
    std::map<std::string, unsigned> points;
    const auto replay = AnswerAgain(recording);
    for (const auto& node : replay->verdict.nodes()) {
      points[node.node()] = node.image_points();
    }
    return points;
  };
  EXPECT_EQ(image_points().at("n3"), 2u);
  EXPECT_EQ(image_points().at("n2"), 0u);
  recording.cluster.with_image.clear();
  EXPECT_EQ(image_points().at("n3"), 0u);
}

TEST_F(ReplayTest, Case36_GivesTheSameBytesWhereTheDatasNodeIsAvoided) {
  auto source = MakeSource({.node_name = "n1"});
  source.spec.placement.avoid_node_above_percent = 60;
  world_.cluster.SetSource(source);
  world_.pressure.Set({{"n1", {.cpu_used_milli = 3000, .cpu_capacity_milli = 4000, .age_ms = 100}}},
                      world_.clock.now);
  const Recording recording = ExpectSameBytes(Verb::kPrioritize, RequestBody(kAll));
  EXPECT_LT(Scores(recording).at("n1"), Scores(recording).at("n2"));
  EXPECT_EQ(Find(*WhatWouldChange(recording, "n1"), "pressure").value, 60);
}

TEST_F(ReplayTest, Case31_GivesTheSameBytesWhereSomethingMayNotBeListed) {
  auto& view = *world_.cluster.view;
  view.volume_nodes.insert_or_assign({"db", "data"}, std::vector<std::string>{"n3"});
  view.unlisted[placement::Kind::kSlices] = {Code::kPermissionDenied, "no slices"};
  view.unlisted[placement::Kind::kAttachments] = Unavailable("no attachments");
  world_.cluster.SetSource(MakeSource({.service = "pg"}, "Require"));
  const Recording recording = ExpectSameBytes(Verb::kFilter, RequestBody(kAll));
  EXPECT_THAT(recording.reply, HasSubstr("service db/pg: PermissionDenied: no slices"));
  world_.cluster.SetSource(MakeSource({.service = "pg", .persistent_volume_claim = "data"}));
  const auto replay = AnswerAgain(ExpectSameBytes(Verb::kPrioritize, RequestBody(kAll)));
  EXPECT_THAT(replay->verdict.location(), HasSubstr("not known: no attachments"));
}

// They are kube-scheduler's to judge, and part of what the node was.
TEST_F(ReplayTest, TaintsAreRecordedAndNotLookedAt) {
  world_.cluster.view->AddNode("n1", "r1", "za", "eu").taints = {{"dedicated", "db", "NoSchedule"}};
  const Recording recording = ExpectSameBytes(Verb::kPrioritize, RequestBody(kAll));
  const placement::NodeInfo& node = recording.cluster.nodes[0];
  ASSERT_EQ(node.name, "n1");
  ASSERT_THAT(node.taints, SizeIs(1));
  EXPECT_EQ(node.taints[0].key, "dedicated");
  EXPECT_EQ(node.taints[0].value, "db");
  EXPECT_EQ(node.taints[0].effect, "NoSchedule");
  EXPECT_GT(Scores(recording)["n1"], 0);
}

// Each call finds what the ones before hold, and it is seen of none that it is bound.
TEST_F(ReplayTest, GivesTheSameBytesUnderACap) {
  world_.cluster.SetSource(MakeSource({.zone = "za"}));
  auto& full = world_.cluster.view->AddNode("n2", "r1", "za", "eu");
  full.backup_pods = 2;
  Recording recording;
  for (int i = 0; i < 10; ++i) {
    recording =
        ExpectSameBytes(Verb::kFilter, WithCap(RequestBody(kAll, "u" + std::to_string(i)), 2));
    EXPECT_EQ(Passed(recording).size(), i < 8 ? 1u : 0u) << i;
  }
  EXPECT_EQ(recording.held.at("n1"), 2);
  recording.held["n1"] = 1;
  EXPECT_EQ(Passed(recording), std::vector<std::string>{"n1"});
  recording.held["n1"] = 2;
  recording.cluster.nodes[1].backup_pods = 1;
  EXPECT_EQ(Passed(recording), std::vector<std::string>{"n2"});
  recording.can_hold = false;
  EXPECT_THAT(Passed(recording), IsEmpty());
}

// Each with what it saw itself, whatever the others did meanwhile.
TEST_F(ReplayTest, GivesTheSameBytesOfCallsAtTheSameTime) {
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < 20; ++i) {
          const std::string uid = std::to_string(t) + "-" + std::to_string(i);
          service_->Filter(WithCap(RequestBody(kAll, uid), 12));
          service_->Prioritize(RequestBody(kAll, uid));
        }
      });
    }
  }
  const auto files = Files();
  EXPECT_THAT(files, SizeIs(160));
  int refused = 0;
  for (const std::string& file : files) {
    const Recording recording = *ReadRecording(*ReadFile(file));
    EXPECT_EQ(AnswerAgain(recording)->reply, recording.reply) << file;
    if (recording.verb == "filter" && Passed(recording).empty()) ++refused;
  }
  EXPECT_EQ(refused, 80 - 5 * 12);
}

// Nobody can hold a place where thousands do.
TEST_F(ReplayTest, GivesTheSameBytesWhereNothingCanBeHeld) {
  StartWith({.max_call_bytes = 700});
  const std::string too_long_to_record(500, ' ');
  for (int i = 0; i < 2000; ++i) {
    service_->Filter(WithCap(RequestBody(kAll, "u" + std::to_string(i)), 5000) +
                     too_long_to_record);
  }
  const Recording recording = ExpectSameBytes(Verb::kFilter, WithCap(RequestBody(kAll, "u"), 5000));
  EXPECT_FALSE(recording.can_hold);
  EXPECT_THAT(Passed(recording), IsEmpty());
  const auto asked = WhatWouldChange(recording, "n1");
  ASSERT_TRUE(asked.has_value());
  ASSERT_THAT(asked->changes, SizeIs(1));
  EXPECT_EQ(asked->changes[0].text, "no change of one input alone would have let it in");
}

TEST_F(ReplayTest, GivesTheSameBytesForNodesAndForLongBodies) {
  world_.cluster.SetSource(MakeSource({.node_name = "n1"}));
  json body = json::parse(RequestBody({}));
  body["NodeNames"] = nullptr;
  body["Nodes"]["items"] = {{{"metadata", {{"name", "n1"}}}}, {{"metadata", {{"name", "n2"}}}}};
  ExpectSameBytes(body.dump());
  body["Nodes"]["items"][0]["status"] = std::string(2 << 20, 'x');  // the reply is made of the body
  ExpectSameBytes(body.dump() + "\n\n");
  std::string odd = RequestBody(kAll);
  odd.insert(1, "\"other\":\"\xff\xfe\",\n");  // no UTF-8
  ExpectSameBytes(odd);
}

TEST_F(ReplayTest, GivesTheSameBytesWithoutASource) {
  const Recording recording = ExpectSameBytes(Verb::kPrioritize, RequestBody(kAll, "u1", "nobody"));
  EXPECT_FALSE(recording.source.has_value());
  EXPECT_FALSE(WhatWouldChange(recording, "n1").has_value());
}

// The reply is made again, not read from the file.
TEST_F(ReplayTest, AnotherInputGivesAnotherReply) {
  world_.pressure.Set(
      {{"n2", {.cpu_used_milli = 4000, .cpu_capacity_milli = 4000, .age_ms = 2400}}},
      world_.clock.now);
  world_.clock.now += std::chrono::milliseconds(100);
  service_->Prioritize(RequestBody(kAll));
  const Recording recording = Last();
  EXPECT_EQ(recording.pressure_elapsed_ms, 100);
  EXPECT_EQ(Scores(recording).at("n2"), 6);  // 63 + 0 + 6
  Recording later = recording;
  later.pressure_elapsed_ms = 600;
  EXPECT_EQ(Scores(later).at("n2"), 7);
  Recording moved = recording;
  moved.source->spec.location.node_name = "n4";
  EXPECT_EQ(Scores(moved).at("n4"), 9);
  Recording held = recording;
  held.reserved["n3"] = 4;
  EXPECT_EQ(Scores(held).at("n3"), 4);
}

TEST_F(ReplayTest, SaysWhatTheRecordingDoesNotKnow) {
  service_->Prioritize(RequestBody(kAll));
  Recording recording = Last();
  recording.source->spec.location = {.pod_labels = {{"a", "b"}}, .zone = "za"};
  EXPECT_THAT(AnswerAgain(recording)->unanswered,
              testing::ElementsAre("pods in db with a=b", "all nodes"));
}

TEST_F(ReplayTest, SaysWhatWouldHaveMadePrioritizeChooseAnother) {
  world_.pressure.Set({{"n4", {.cpu_used_milli = 3600, .cpu_capacity_milli = 4000, .age_ms = 100}},
                       {"n5", {.cpu_used_milli = 400, .cpu_capacity_milli = 4000, .age_ms = 100}}},
                      world_.clock.now - std::chrono::milliseconds(300));
  world_.cluster.SetSource(MakeSource({.zone = "zx"}, "Prefer", "Zone"));
  service_->Prioritize(RequestBody({"n4", "n5"}));
  const Recording recording = Last();
  const auto asked = WhatWouldChange(recording, "n4");
  ASSERT_TRUE(asked.has_value());
  EXPECT_FALSE(asked->standing.wins);
  EXPECT_TRUE(WhatWouldChange(recording, "n5")->standing.wins);
  const Change change = Find(*asked, "pressure");
  EXPECT_EQ(change.effect, "Wins");
  const auto scores = [&](int64_t percent) {
    Recording changed = recording;
    for (auto& [node, pressure] : changed.pressure) {
      if (node == "n4") pressure.cpu_used_milli = static_cast<int>(40 * percent);
    }
    return Scores(changed);
  };
  EXPECT_LT(scores(change.value + 1)["n4"], scores(change.value + 1)["n5"]);
  EXPECT_GE(scores(change.value)["n4"], scores(change.value)["n5"]);
}

TEST_F(ReplayTest, SaysWhatWouldHaveMadeFilterLetANodePass) {
  world_.cluster.SetSource(MakeSource({.node_name = "n1"}, "Require", "Rack"));
  service_->Filter(RequestBody(kAll));
  const Recording recording = Last();
  const auto asked = WhatWouldChange(recording, "n3");
  ASSERT_TRUE(asked.has_value());
  const Change tier = Find(*asked, "tier");
  EXPECT_EQ(tier.text, "would have passed with spec.placement.tier Zone (was Rack)");
  EXPECT_EQ(Find(*asked, "mode").effect, "Wins");
  EXPECT_EQ(Find(*asked, "data").needed, "the data in its rack r3");
  const auto passes = [](const Recording& changed) {
    return json::parse(AnswerAgain(changed)->reply)["NodeNames"].dump().find("n3") !=
           std::string::npos;
  };
  EXPECT_FALSE(passes(recording));
  Recording changed = recording;
  changed.source->spec.placement.tier = "Zone";
  EXPECT_TRUE(passes(changed));
  changed = recording;
  changed.source->spec.placement.mode = "Prefer";
  EXPECT_TRUE(passes(changed));
  EXPECT_TRUE(WhatWouldChange(recording, "n2")->standing.wins);
  EXPECT_THAT(WhatWouldChange(recording, "n9").error().message,
              HasSubstr("not among the 5 that kube-scheduler offered"));
}

TEST_F(ReplayTest, SaysWhatWouldHaveMadeFilterChooseAnother) {
  world_.cluster.SetSource(MakeSource({.zone = "za"}, "Prefer", "Zone"));
  world_.pressure.Set({{"n1", {.cpu_used_milli = 400, .cpu_capacity_milli = 4000, .age_ms = 0}},
                       {"n2", {.cpu_used_milli = 3600, .cpu_capacity_milli = 4000, .age_ms = 0}}},
                      world_.clock.now);
  service_->Filter(WithCap(RequestBody({"n1", "n2"}), 2));
  const Recording recording = Last();
  EXPECT_TRUE(WhatWouldChange(recording, "n1")->standing.wins);
  const auto asked = WhatWouldChange(recording, "n2");
  ASSERT_TRUE(asked.has_value());
  EXPECT_EQ(asked->standing.obstacle, placement::Obstacle::kNotChosen);
  const Change change = Find(*asked, "pressure");
  EXPECT_THAT(change.text, HasSubstr("would have been chosen with pressure cpu of at most"));
  EXPECT_THAT(change.text, HasSubstr("points against 55 of n1"));
  const auto chosen = [&](int64_t percent) {
    Recording changed = recording;
    changed.pressure[1].pressure.cpu_used_milli = static_cast<int>(40 * percent);
    return Passed(changed);
  };
  EXPECT_EQ(chosen(change.value + 1), std::vector<std::string>{"n1"});
  EXPECT_EQ(chosen(change.value), std::vector<std::string>{"n2"});
}

// Also where it is not the next in turn: that another was chosen is not all that keeps it out.
TEST_F(ReplayTest, SaysHowManyBackupPodsKeptANodeOut) {
  world_.cluster.SetSource(MakeSource({.node_name = "n1"}));
  world_.cluster.view->AddNode("n3", "r3", "za", "eu").backup_pods = 2;
  service_->Filter(WithCap(RequestBody(kAll), 2));
  const Recording recording = Last();
  const auto asked = WhatWouldChange(recording, "n3");
  ASSERT_TRUE(asked.has_value());
  EXPECT_EQ(asked->standing.obstacle, placement::Obstacle::kBackupPods);
  EXPECT_EQ(Find(*asked, "backupPods").text,
            "would have passed with at most 1 backup pods bound to it (was 2), but not been "
            "chosen: 52 points against 94 of n1");
  EXPECT_EQ(Find(*asked, "maxPodsPerNode").value, 3);
  EXPECT_EQ(
      Find(*asked, "data").text,
      "would have been chosen with at most 1 backup pods bound to it and the data in its rack r3 "
      "(was in its zone): 73 points against 52 of n1");
  // Held places count like bound pods.
  Recording held = recording;
  held.cluster.nodes[2].backup_pods = 0;
  held.held["n3"] = held.reserved["n3"] = 2;
  EXPECT_EQ(Find(*WhatWouldChange(held, "n3"), "reserved").value, 1);
}

TEST_F(ReplayTest, SaysThatAVolumeHadToBeDetached) {
  world_.cluster.view->attached[{"backup", "scratch"}] = {"n2"};
  service_->Filter(WithClaims(RequestBody(kAll), {"scratch"}));
  const Recording recording = Last();
  EXPECT_TRUE(WhatWouldChange(recording, "n2")->standing.wins);
  const auto asked = WhatWouldChange(recording, "n1");
  ASSERT_TRUE(asked.has_value());
  EXPECT_EQ(asked->standing.obstacle, placement::Obstacle::kAttached);
  ASSERT_THAT(asked->changes, SizeIs(1));
  EXPECT_EQ(asked->changes[0].text,
            "would have passed with no volume of the pod attached to another node (was attached to "
            "n2)");
  Recording changed = recording;
  changed.cluster.attached_to["backup/scratch"] = "";
  EXPECT_EQ(Passed(changed), kAll);
}

}  // namespace
}  // namespace longshore::extender
