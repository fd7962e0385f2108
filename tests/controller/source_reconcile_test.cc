// SPDX-License-Identifier: Apache-2.0
//
// What a source's condition says: whether there is an image for it, and what its checks proved.
#include "tests/controller/world_test.h"

namespace longshore::controller {
namespace {

using api::Json;
using std::chrono::seconds;

class SourceReconcileTest : public WorldTest {
 protected:
  api::Condition Ready(const std::string& source) {
    const auto found = Find<api::BackupSource>(world.cluster, kNs, source);
    const api::Condition* ready =
        found ? api::FindCondition(found->status.conditions, "SourceReady") : nullptr;
    return ready == nullptr ? api::Condition{} : *ready;
  }
  void AddSource(const std::string& name, const std::string& kind) {
    world.cluster.Put(kube::kBackupSources, {{"metadata", {{"name", name}, {"namespace", kNs}}},
                                             {"spec", {{"kind", kind}}}});
  }
  void AddImage(const std::string& name, const std::string& kind) {
    world.cluster.Put(
        kube::kSourceImages,
        {{"metadata", {{"name", name}}}, {"spec", {{"kind", kind}, {"operations", {"Backup"}}}}});
  }
  // A Check that somebody made and that has ended well.
  void AddCheck(const std::string& name) {
    world.AddOperation(name, "r", "Check");
    world.cluster.Edit(kube::kOperations, kNs, name, [&](Json& object) {
      object["status"] = {{"state", "Succeeded"},
                          {"completionTime", FormatTime(world.clock.Now())}};
    });
    world.Run(seconds(1));
  }
};

TEST_F(SourceReconcileTest, SourceOfAKindWithoutAnImageSaysWhichKindsThereAre) {
  world.AddBasics();
  AddImage("files", "filesystem");
  AddSource("mainframe", "mainframe");
  world.Run(seconds(1));
  EXPECT_EQ(Ready("mainframe").status, "False");
  EXPECT_EQ(Ready("mainframe").reason, "NoImage");
  EXPECT_EQ(Ready("mainframe").message,
            "no SourceImage has kind mainframe (there are: filesystem, postgresql); add a "
            "SourceImage of that kind or correct the source's spec.kind");
  EXPECT_EQ(Ready("orders").type, "") << "nobody has asked for a check yet";

  AddImage("mainframe-1", "mainframe");
  world.Run(seconds(1));
  EXPECT_EQ(Ready("mainframe").status, "Unknown");
  EXPECT_EQ(Ready("mainframe").reason, "NotChecked");
}

TEST_F(SourceReconcileTest, LossOfTheLastImageIsSaidAndAnOlderLoginProvesNothing) {
  world.AddBasics();
  world.AddRequest("r", 0, 1);
  AddCheck("first");
  EXPECT_EQ(Ready("orders").reason, "LoggedIn");
  world.cluster.Remove(kube::kSourceImages, "", "postgresql-17");
  world.Run(seconds(1));
  EXPECT_EQ(Ready("orders").reason, "NoImage");
  AddImage("postgresql-18", "postgresql");
  world.Run(seconds(1));
  EXPECT_EQ(Ready("orders").reason, "NotChecked");
  AddCheck("second");
  EXPECT_EQ(Ready("orders").reason, "LoggedIn");
  EXPECT_EQ(Ready("orders").message, "check second logged in");
}

// A check by hand doesn't record which generation it saw; a later change of the source is not
// proved by it.
TEST_F(SourceReconcileTest, ChangedSourceIsNotProvedByAnOlderCheck) {
  world.AddBasics();
  world.AddRequest("r", 0, 1);
  AddCheck("first");
  EXPECT_EQ(Ready("orders").observed_generation, 1);
  world.cluster.Edit(kube::kBackupSources, kNs, "orders",
                     [](Json& object) { object["spec"]["maxConcurrent"] = 2; });
  world.Run(seconds(1));
  EXPECT_EQ(Ready("orders").observed_generation, 1);
  AddCheck("second");
  EXPECT_EQ(Ready("orders").observed_generation, 2);
}

// A pod that only reads copies has not mounted the claim: it can say nothing about the source.
TEST_F(SourceReconcileTest, AFolderIsCheckedByPodsThatMountItOnly) {
  world.AddBasics();
  world.worker_kind = "filesystem";
  world.cluster.Put(kube::kSourceImages, {{"metadata", {{"name", "filesystem"}}},
                                          {"spec",
                                           {{"kind", "filesystem"},
                                            {"image", "filesystem@sha256:1"},
                                            {"resources", {{"requests", {{"cpu", "200m"}}}}},
                                            {"operations", {"Check", "Backup", "Verify"}}}}});
  world.cluster.Put(kube::kBackupSources, {{"metadata", {{"name", "files"}, {"namespace", kNs}}},
                                           {"spec",
                                            {{"kind", "filesystem"},
                                             {"filesystem", {{"persistentVolumeClaim", "files"}}},
                                             {"location", {{"nodeName", "node-1"}}}}}});
  const auto ask = [&](const std::string& name, const std::string& purpose) {
    world.AddRequest(name, 1, 1, 600);
    world.cluster.Edit(kube::kComputeRequests, kNs, name, [&](Json& object) {
      object["spec"]["purpose"] = purpose;
      object["spec"]["sourceRef"]["name"] = "files";
    });
    ASSERT_TRUE(world.RunUntil([&] { return world.InState(name, "Available") == 1; }));
    world.Run(seconds(10));
  };
  ask("verify", "Verify");
  EXPECT_TRUE(world.cluster.List(kube::kOperations).empty());
  ask("backup", "Backup");
  EXPECT_EQ(Ready("files").reason, "LoggedIn");
}

}  // namespace
}  // namespace longshore::controller
