// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/cgroup_path.h"

#include <gtest/gtest.h>

namespace longshore::nodeagent {
namespace {

constexpr char kUid[] = "8dbc5577-d0e2-4706-8787-57d52c03ddf2";

struct NameCase {
  const char* name;
  const char* component;
  const char* uid;  // empty: not a pod's own cgroup
};

class PodUidOfNameTest : public ::testing::TestWithParam<NameCase> {};

TEST_P(PodUidOfNameTest, IsWhatTheDriverWrote) {
  const auto uid = PodUidOfName(GetParam().component);
  EXPECT_EQ(uid.value_or(""), GetParam().uid);
}

INSTANTIATE_TEST_SUITE_P(
    Drivers, PodUidOfNameTest,
    ::testing::Values(
        NameCase{"Cgroupfs", "pod8dbc5577-d0e2-4706-8787-57d52c03ddf2", kUid},
        NameCase{"CgroupfsStaticPod", "pod0f2a62c5f5b7a14c9e1f0dd07f1a1b2c",
                 "0f2a62c5f5b7a14c9e1f0dd07f1a1b2c"},
        NameCase{"SystemdBurstable",
                 "kubepods-burstable-pod8dbc5577_d0e2_4706_8787_57d52c03ddf2.slice", kUid},
        NameCase{"SystemdBestEffort",
                 "kubepods-besteffort-pod8dbc5577_d0e2_4706_8787_57d52c03ddf2.slice", kUid},
        NameCase{"SystemdGuaranteed", "kubepods-pod8dbc5577_d0e2_4706_8787_57d52c03ddf2.slice",
                 kUid},
        NameCase{"SystemdNestedKubelet",
                 "kubelet-kubepods-burstable-pod8dbc5577_d0e2_4706_8787_57d52c03ddf2.slice", kUid},
        NameCase{"SystemdStaticPod", "kubepods-burstable-pod0f2a62c5f5b7a14c9e1f0dd07f1a1b2c.slice",
                 "0f2a62c5f5b7a14c9e1f0dd07f1a1b2c"},
        NameCase{"QosLevelCgroupfs", "burstable", ""},
        NameCase{"QosLevelSystemd", "kubepods-burstable.slice", ""},
        NameCase{"Kubepods", "kubepods", ""}, NameCase{"KubepodsSlice", "kubepods.slice", ""},
        NameCase{"EmptyUid", "pod", ""}, NameCase{"EmptyUidSystemd", "kubepods-pod.slice", ""},
        NameCase{"AnotherSlice", "user-pod1000.slice", ""},
        NameCase{"AlmostKubepods", "mykubepods-pod1.slice", ""},
        NameCase{"OddCharacters", "pod../x", ""},
        NameCase{"Container", "cri-containerd-1a2b.scope", ""}),
    [](const auto& info) { return info.param.name; });

TEST(IsKubepodsTest, KnowsDriversAndPrefixes) {
  for (const char* yes : {"kubepods", "kubepods.slice", "kubelet-kubepods.slice"}) {
    EXPECT_TRUE(IsKubepods(yes)) << yes;
  }
  for (const char* no : {"", "kubepods2", "kubepods-burstable.slice", "system.slice",
                         "notkubepods.slice", "kubelet-kubepods"}) {
    EXPECT_FALSE(IsKubepods(no)) << no;
  }
}

struct PathCase {
  const char* name;
  const char* path;
  const char* kubepods;
};

class KubepodsOfPathTest : public ::testing::TestWithParam<PathCase> {};

TEST_P(KubepodsOfPathTest, EndsWhereTheInnermostKubeletPutsPods) {
  EXPECT_EQ(KubepodsOfPath(GetParam().path).value_or(""), GetParam().kubepods);
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, KubepodsOfPathTest,
    ::testing::Values(
        PathCase{"Cgroupfs", "/kubepods/burstable/podX/abc", "/kubepods"},
        PathCase{"SharedKernel", "/node-1/kubepods/burstable/podX/abc", "/node-1/kubepods"},
        PathCase{"Systemd", "/kubepods.slice/kubepods-pod1_2.slice/cri-containerd-ab.scope",
                 "/kubepods.slice"},
        PathCase{"Kind",
                 "/docker/ab12/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod1.slice/c",
                 "/docker/ab12/kubelet.slice/kubelet-kubepods.slice"},
        PathCase{"KubeletInAPod", "/kubepods/podA/c/kubelet/kubepods/podB/d",
                 "/kubepods/podA/c/kubelet/kubepods"},
        PathCase{"ItselfIsKubepods", "/kubepods", "/kubepods"},
        PathCase{"TrailingSlash", "/kubepods/", "/kubepods"},
        PathCase{"NotInAPod", "/user.slice/user-0.slice", ""}, PathCase{"Root", "/", ""},
        PathCase{"Empty", "", ""}),
    [](const auto& info) { return info.param.name; });

// Every runtime's way to name the cgroup of a container.
TEST(CgroupPathTest, KnowsAContainerByItsSixtyFourDigits) {
  const std::string id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  for (const std::string& name :
       {id, "cri-containerd-" + id + ".scope", "crio-" + id + ".scope", "crio-" + id,
        "docker-" + id + ".scope", "kubepods-pod1.slice:cri-containerd:" + id}) {
    EXPECT_EQ(ContainerIdOfName(name), id) << name;
  }
  std::string upper = id;
  upper[10] = 'A';
  for (const std::string& name :
       {id.substr(1), "x" + id, "crio-conmon-" + id + ".scope", std::string("c1"), upper,
        std::string(), std::string("podX"), id + "-x"}) {
    EXPECT_EQ(ContainerIdOfName(name), std::nullopt) << name;
  }
}

}  // namespace
}  // namespace longshore::nodeagent
