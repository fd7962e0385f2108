// SPDX-License-Identifier: Apache-2.0
//
// The whole program against an API server that denies, or does not answer.
#include "tests/extender/program.h"

#include <gmock/gmock.h>

#include <chrono>
#include <fstream>
#include <string>

#include "common/kube/resource.h"
#include "tests/common/kube/fake_api.h"
#include "tests/common/kube/fake_lists.h"
#include "tests/extender/fakes.h"

namespace longshore::extender {
namespace {

using ::testing::HasSubstr;

// Sanitizers keep what is freed, and a shadow of everything. Clang says so in another way than GCC.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define LONGSHORE_SANITIZED
#endif
#endif
#if defined(LONGSHORE_SANITIZED) || defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kSanitizerFactor = 16;
#else
constexpr size_t kSanitizerFactor = 1;
#endif

class ProgramTest : public ::testing::Test {
 protected:
  ProgramTest() {
    for (const char* name : {"n1", "n2"}) {
      api_.Put(kube::kNodes,
               {{"metadata",
                 {{"name", name},
                  {"uid", std::string("uid-") + name},
                  {"resourceVersion", "5"},
                  {"labels", {{"topology.kubernetes.io/zone", std::string("zone-") + name}}}}}});
    }
    api_.Put(kube::kBackupSources,
             {{"metadata",
               {{"name", "orders"}, {"namespace", "db"}, {"uid", "u"}, {"resourceVersion", "6"}}},
              {"spec",
               {{"kind", "filesystem"},
                {"filesystem", {{"persistentVolumeClaim", "data"}}},
                {"location", {{"service", "pg"}, {"persistentVolumeClaim", "data"}}}}}});
  }
  void Start() {
    folder_.Write("kubeconfig", api_.Kubeconfig());
    program_ = std::make_unique<Program>(
        std::vector<std::string>{"--kubeconfig=" + folder_.path() + "/kubeconfig"});
    ASSERT_TRUE(kube::Soon([&] { return program_->started(); })) << program_->Log();
  }
  bool Ready() {
    return kube::Soon([&] { return program_->ready(); });
  }
  api::Json Ask(const std::string& path, const std::string& body = "") {
    const auto reply = program_->Call(
        {.method = body.empty() ? "GET" : "POST", .path = path, .headers = {}, .body = body});
    EXPECT_TRUE(reply.has_value()) << reply.error().ToString();
    return reply.has_value() ? api::ParseJson(reply->body).value_or(api::Json()) : api::Json();
  }
  // "VmRSS" or "VmHWM" of the program, in bytes.
  size_t Memory(const std::string& what) const {
    std::ifstream lines("/proc/" + std::to_string(program_->pid()) + "/status");
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(what + ":")) return std::stoul(line.substr(what.size() + 1)) << 10;
    }
    return 0;
  }
  // What it last said of where the data is.
  std::string Location() {
    Ask("/prioritize", RequestBody({"n1", "n2"}));
    return Ask("/explain?pod=backup%2Fp-u1").value("/items/0/location"_json_pointer, "");
  }

  kube::FakeLists api_;
  const longshore::test::TemporaryFolder folder_;
  std::unique_ptr<Program> program_;
};

// Ready means that verdicts have ground; until then the scheduler is answered, and nothing refused.
TEST_F(ProgramTest, Case21_IsNotReadyUntilItHasListedAndSaysWhatIsMissing) {
  api_.Withhold(kube::kPods);
  api_.Deny(kube::kNodes);
  Start();
  EXPECT_TRUE(kube::Soon([&] {
    return program_->Health("/readyz").body ==
           "nodes may not be listed: list nodes: nodes is forbidden: User \"test\" cannot list "
           "resource \"nodes\"; pods are not listed yet\n";
  })) << program_->Health("/readyz").body;
  EXPECT_EQ(program_->Health("/readyz").status, 503);
  EXPECT_EQ(program_->Health("/healthz").status, 200);  // a restart would not help
  EXPECT_EQ(Ask("/filter", RequestBody({"n1", "n2"}))["NodeNames"], api::Json({"n1", "n2"}));
  EXPECT_EQ(Ask("/prioritize", RequestBody({"n1", "n2"})), api::Json::array());
  api_.Allow(kube::kPods);
  api_.Allow(kube::kNodes);
  EXPECT_TRUE(Ready()) << program_->Health("/readyz").body;
}

// The most that is taken is read and answered; more is refused unread; broken bodies of that size
// get an error that says where. Meanwhile the program takes little more than the body, and
// afterwards nothing is left of it.
TEST_F(ProgramTest, Case10_BodiesOf128MiBTakeLittleMoreMemoryThanThemselves) {
  constexpr size_t kMost = size_t{128} << 20, kMiB = size_t{1} << 20;
  Start();
  ASSERT_TRUE(Ready());
  Ask("/filter", RequestBody({"n1", "n2"}));
  const size_t before = Memory("VmRSS");
  std::string body = RequestBody({"n1", "n2"});
  body.insert(1, R"("Padding":")" + std::string(kMost - body.size() - 13, 'x') + R"(",)");
  ASSERT_EQ(body.size(), kMost);
  EXPECT_EQ(Ask("/filter", body)["NodeNames"], api::Json({"n1", "n2"}));
  std::string broken = body;
  broken.resize(kMost - 1);
  EXPECT_THAT(Ask("/filter", broken).value("Error", ""),
              HasSubstr("at byte " + std::to_string(kMost - 1)));
  broken = std::string(kMost, '[');
  EXPECT_THAT(Ask("/filter", broken).value("Error", ""), HasSubstr("at byte 0"));
  EXPECT_LE(Memory("VmHWM"), before + kMost + 32 * kMiB * kSanitizerFactor);
  body.insert(2, "y");
  const auto start = std::chrono::steady_clock::now();
  const auto refused =
      program_->Call({.method = "POST", .path = "/filter", .headers = {}, .body = body});
  ASSERT_TRUE(refused.has_value()) << refused.error().ToString();
  EXPECT_EQ(refused->status, 413);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_TRUE(kube::Soon([&] { return Memory("VmRSS") < before + 32 * kMiB * kSanitizerFactor; }))
      << Memory("VmRSS") / kMiB << " MiB after " << before / kMiB;
  EXPECT_EQ(Ask("/filter", RequestBody({"n1"}))["NodeNames"], api::Json({"n1"}));
  EXPECT_TRUE(program_->ready());
}

TEST_F(ProgramTest, Case31_DoesWithoutWhatItMayNotListAndSaysSo) {
  for (const kube::Resource& resource :
       {kube::kEndpointSlices, kube::kPersistentVolumeClaims, kube::kPersistentVolumes,
        kube::kVolumeAttachments, kube::kStorageClasses, kube::kStatefulSets}) {
    api_.Deny(resource);
  }
  Start();
  ASSERT_TRUE(Ready()) << program_->Health("/readyz").body;
  const std::string location = Location();
  EXPECT_THAT(location,
              HasSubstr("service db/pg: PermissionDenied: endpoint slices may not be listed: list "
                        "endpointslices: endpointslices is forbidden: User \"test\""));
  EXPECT_THAT(location, HasSubstr("claim db/data: PermissionDenied: claims may not be listed"));
  const std::string metrics = program_->Health("/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("longshore_extender_list_denied{resource=\"endpointslices\"} 1"));
  EXPECT_THAT(metrics, HasSubstr("longshore_extender_list_denied{resource=\"nodes\"} 0"));

  // The right is given later, and needs no restart.
  api_.Allow(kube::kPersistentVolumeClaims);
  EXPECT_TRUE(kube::Soon([&] {
    return Location().find("claim db/data: NotFound") != std::string::npos;
  })) << Location();
  EXPECT_THAT(program_->Health("/metrics").body,
              HasSubstr("longshore_extender_list_denied{resource=\"persistentvolumeclaims\"} 0"));
}

}  // namespace
}  // namespace longshore::extender
