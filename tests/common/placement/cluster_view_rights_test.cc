// SPDX-License-Identifier: Apache-2.0
//
// Rights that come and go while the view runs.
#include <gmock/gmock.h>

#include "common/kube/resource.h"
#include "common/placement/cluster_view.h"
#include "tests/common/kube/fake_api.h"
#include "tests/common/kube/fake_lists.h"

namespace longshore::placement {
namespace {

using api::Json;
using testing::HasSubstr;

Json Named(const std::string& name, const Json& spec, const Json& status) {
  return {
      {"metadata", {{"name", name}, {"namespace", "db"}, {"uid", name}, {"resourceVersion", "5"}}},
      {"spec", spec},
      {"status", status}};
}

// Where a volume was attached yesterday must not veto all other nodes for ever.
TEST(ClusterViewRightsTest, Case31_WhatIsDeniedLaterIsForgottenButForNodesAndPods) {
  kube::FakeLists api;
  api.Put(kube::kNodes, Named("n1", Json::object(), Json::object()));
  api.Put(kube::kPersistentVolumeClaims,
          Named("data", {{"volumeName", "pv-1"}}, {{"phase", "Bound"}}));
  api.Put(kube::kPersistentVolumes,
          Named("pv-1", {{"accessModes", {"ReadWriteOnce"}}}, Json::object()));
  api.Put(kube::kVolumeAttachments,
          Named("a", {{"nodeName", "n1"}, {"source", {{"persistentVolumeName", "pv-1"}}}},
                {{"attached", true}}));
  const auto client = kube::Client::Create(api.config(), "longshore-test");
  ASSERT_TRUE(client.has_value());
  ClusterView view(**client);
  view.Start();
  ASSERT_TRUE(view.WaitForSync(std::chrono::seconds(10))) << view.WhyUnsynced();
  const auto attached_to = [&] { return view.Snapshot()->AttachedTo("db", "data"); };
  ASSERT_EQ(attached_to(), "n1");

  api.Deny(kube::kVolumeAttachments);
  EXPECT_TRUE(kube::Soon([&] { return attached_to().empty(); }));
  const auto unlisted = view.Snapshot()->Unlisted(Kind::kAttachments);
  ASSERT_TRUE(unlisted.has_value());
  EXPECT_THAT(unlisted->message, HasSubstr("attachments may not be listed: "));
  // At once: the longer it is denied, the seldomer it is tried.
  api.Allow(kube::kVolumeAttachments);
  EXPECT_TRUE(kube::Soon([&] { return attached_to() == "n1"; }));

  api.Deny(kube::kNodes);
  EXPECT_TRUE(kube::Soon([&] { return view.informers().front()->denial().has_value(); }));
  EXPECT_NE(view.Snapshot()->Node("n1"), nullptr);
  EXPECT_TRUE(view.synced());
}

}  // namespace
}  // namespace longshore::placement
