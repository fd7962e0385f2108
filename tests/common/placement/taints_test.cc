// SPDX-License-Identifier: Apache-2.0
#include "common/placement/taints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace longshore::placement {
namespace {

using testing::ElementsAre;

struct TolerationCase {
  const char* name;
  api::Toleration toleration;
  bool tolerates;
};

class TolerationTest : public testing::TestWithParam<TolerationCase> {};

// As `ToleratesTaint` of k8s.io/component-helpers decides.
TEST_P(TolerationTest, IsForATaintOrNot) {
  EXPECT_EQ(Tolerates(GetParam().toleration, {"dedicated", "db", "NoSchedule"}),
            GetParam().tolerates);
}

INSTANTIATE_TEST_SUITE_P(
    Rules, TolerationTest,
    testing::Values(TolerationCase{"Equal", {"dedicated", "Equal", "db", "NoSchedule"}, true},
                    TolerationCase{"EqualIsTheDefault", {"dedicated", "", "db", ""}, true},
                    TolerationCase{"OtherValue", {"dedicated", "Equal", "web", ""}, false},
                    TolerationCase{"NoValue", {"dedicated", "", "", ""}, false},
                    TolerationCase{"Exists", {"dedicated", "Exists", "", ""}, true},
                    TolerationCase{"ExistsForAllKeys", {"", "Exists", "", ""}, true},
                    TolerationCase{"AllKeysOfAnEffect", {"", "Exists", "", "NoSchedule"}, true},
                    TolerationCase{"OtherKey", {"gpu", "Exists", "", ""}, false},
                    TolerationCase{"OtherEffect", {"dedicated", "Exists", "", "NoExecute"}, false},
                    TolerationCase{"UnknownOperator", {"dedicated", "Lt", "db", ""}, false}),
    [](const auto& info) { return info.param.name; });

TEST(TaintsTest, OnlyWhatKeepsPodsAwayIsRead) {
  const auto taints = ReadTaints(api::Json::parse(R"([
    {"key": "dedicated", "value": "db", "effect": "NoSchedule"},
    {"key": "slow", "effect": "PreferNoSchedule"},
    {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"},
    {"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"},
    {"key": "node.kubernetes.io/disk-pressure", "effect": "NoSchedule"},
    {"key": "gpu", "effect": "NoExecute", "timeAdded": "2026-11-23T00:00:00Z"},
    {"effect": "NoSchedule"}, 7])"));
  std::vector<std::string> texts;
  for (const Taint& taint : taints) texts.push_back(TaintText(taint));
  EXPECT_THAT(texts, ElementsAre("dedicated=db:NoSchedule",
                                 "node.kubernetes.io/disk-pressure:NoSchedule", "gpu:NoExecute"));
  EXPECT_TRUE(ReadTaints(api::Json()).empty());
  EXPECT_TRUE(ReadTaints("x").empty());
}

TEST(TaintsTest, EachTaintNeedsItsToleration) {
  const std::vector<Taint> taints = {{"dedicated", "db", "NoSchedule"}, {"gpu", "", "NoExecute"}};
  EXPECT_EQ(Untolerated(taints, {}).size(), 2u);
  const auto left = Untolerated(taints, {{"dedicated", "Exists", "", ""}});
  ASSERT_EQ(left.size(), 1u);
  EXPECT_EQ(left[0].key, "gpu");
  EXPECT_TRUE(Untolerated(taints, {{"", "Exists", "", ""}}).empty());
}

}  // namespace
}  // namespace longshore::placement
