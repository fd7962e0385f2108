// SPDX-License-Identifier: Apache-2.0
#include "common/kube/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "common/base/files.h"
#include "common/base/strings.h"

namespace longshore::kube {
namespace {

using testing::HasSubstr;

constexpr char kGood[] = R"(
apiVersion: v1
kind: Config
current-context: one
clusters:
- name: files
  cluster: {server: "https://127.0.0.1:6443/", certificate-authority: ca.crt, tls-server-name: api}
- name: inline
  cluster: {server: "https://[::1]:6443", certificate-authority-data: "Q0E="}
users:
- name: certificate
  user: {client-certificate: admin.crt, client-key-data: "S0VZ"}
- name: token
  user: {token: secret}
- name: file
  user: {tokenFile: token}
contexts:
- name: one
  context: {cluster: files, user: certificate, namespace: db}
- name: two
  context: {cluster: inline, user: token}
- name: three
  context: {cluster: inline, user: file}
- name: nobody
  context: {cluster: inline}
)";

class KubeconfigTest : public testing::Test {
 protected:
  KubeconfigTest() {
    std::filesystem::create_directories(folder_);
    Write("ca.crt", "CA of file");
    Write("admin.crt", "CERT");
  }
  ~KubeconfigTest() override { std::filesystem::remove_all(folder_); }
  void Write(const std::string& name, const std::string& content) {
    ASSERT_TRUE(WriteFileAtomically(folder_ + name, content).has_value());
  }
  Result<Config> Load(const std::string& content, const std::string& context = "") {
    Write("config", content);
    return LoadKubeconfig(folder_ + "config", context);
  }
  const std::string folder_ = testing::TempDir() + "longshore-kube-" + RandomId(8) + "/";
};

TEST_F(KubeconfigTest, ReadsTheCurrentContextWithFilesBesideIt) {
  const auto config = Load(kGood);
  ASSERT_TRUE(config.has_value()) << config.error().ToString();
  EXPECT_EQ(config->server, "https://127.0.0.1:6443");
  EXPECT_EQ(config->ca_pem, "CA of file");
  EXPECT_EQ(config->server_name, "api");
  EXPECT_EQ(config->client_certificate_pem, "CERT");
  EXPECT_EQ(config->client_key_pem, "KEY");
  EXPECT_EQ(config->default_namespace, "db");
}

TEST_F(KubeconfigTest, ReadsNamedContextsInlineDataAndTokens) {
  const auto two = Load(kGood, "two");
  ASSERT_TRUE(two.has_value()) << two.error().ToString();
  EXPECT_EQ(two->ca_pem, "CA");
  EXPECT_EQ(two->token, "secret");
  EXPECT_EQ(two->default_namespace, "default");
  EXPECT_EQ(Load(kGood, "three")->token_file, folder_ + "token");
  EXPECT_TRUE(Load(kGood, "nobody").has_value());
}

struct BadConfig {
  const char* name;
  const char* cluster;
  const char* user;
  const char* message;
};
class BadKubeconfigTest : public KubeconfigTest, public testing::WithParamInterface<BadConfig> {};

TEST_P(BadKubeconfigTest, NamesTheFileAndTheField) {
  const auto config = Load(std::string("current-context: x\n") +
                           "contexts: [{name: x, context: {cluster: c, user: u}}]\n" +
                           "clusters: [{name: c, cluster: " + GetParam().cluster + "}]\n" +
                           "users: [{name: u, user: " + GetParam().user + "}]\n");
  ASSERT_FALSE(config.has_value());
  EXPECT_THAT(config.error().message, HasSubstr(folder_ + "config: "));
  EXPECT_THAT(config.error().message, HasSubstr(GetParam().message));
}

constexpr char kCluster[] = "{server: 'https://h:1', certificate-authority-data: Q0E=}";

INSTANTIATE_TEST_SUITE_P(
    Fields, BadKubeconfigTest,
    testing::Values(
        BadConfig{"NoServer", "{certificate-authority-data: Q0E=}", "{}",
                  "clusters[c].cluster.server"},
        BadConfig{"NoCa", "{server: 'https://h:1'}", "{}",
                  "clusters[c].cluster.certificate-authority: missing"},
        BadConfig{"Insecure", "{server: 'https://h:1', insecure-skip-tls-verify: true}", "{}",
                  "insecure-skip-tls-verify: not supported"},
        BadConfig{"MissingCaFile", "{server: 'https://h:1', certificate-authority: none.crt}", "{}",
                  "clusters[c].cluster.certificate-authority"},
        BadConfig{"NoBase64", "{server: 'https://h:1', certificate-authority-data: '!'}", "{}",
                  "certificate-authority-data: not base64"},
        BadConfig{
            "Proxy",
            "{server: 'https://h:1', proxy-url: 'http://p', certificate-authority-data: Q0E=}",
            "{}", "proxy-url: not supported"},
        BadConfig{"ClusterIsText", "text", "{}", "clusters[c].cluster: missing"},
        BadConfig{"Exec", kCluster, "{exec: {command: login}}",
                  "users[u].user.exec: not supported"},
        BadConfig{"Password", kCluster, "{username: a, password: b}", "username: not supported"},
        BadConfig{"CertificateWithoutKey", kCluster, "{client-certificate-data: Q0E=}",
                  "client-certificate and client-key go together"}),
    [](const auto& info) { return info.param.name; });

TEST_F(KubeconfigTest, RefusesWhatIsNoKubeconfigWithoutQuotingIt) {
  for (const char* text : {"", "[]", "text", "current-context: [", "a: b: c", "\tx"}) {
    const auto config = Load(std::string(text));
    ASSERT_FALSE(config.has_value()) << text;
    EXPECT_EQ(config.error().code, Code::kInvalidArgument);
  }
  const auto malformed = Load("users: [{name: u, user: {token: hunter2]}");
  ASSERT_FALSE(malformed.has_value());
  EXPECT_EQ(malformed.error().message.find("hunter2"), std::string::npos);
  EXPECT_EQ(Load("current-context: none").error().code, Code::kNotFound);
  EXPECT_EQ(Load("kind: Config").error().code, Code::kInvalidArgument);
  EXPECT_EQ(LoadKubeconfig(folder_ + "none").error().code, Code::kNotFound);
}

TEST_F(KubeconfigTest, LoadConfigFollowsTheEnvironment) {
  Write("config", kGood);
  const char* old = std::getenv("KUBECONFIG");
  const std::string saved = old == nullptr ? "" : old;
  ::setenv("KUBECONFIG", (folder_ + "config").c_str(), 1);
  EXPECT_TRUE(LoadConfig().has_value());
  EXPECT_EQ(LoadConfig("", "two")->token, "secret");
  ::setenv("KUBECONFIG", "/a:/b", 1);
  EXPECT_THAT(LoadConfig().error().message, HasSubstr("several files"));
  EXPECT_TRUE(LoadConfig(folder_ + "config").has_value());
  if (old == nullptr) {
    ::unsetenv("KUBECONFIG");
  } else {
    ::setenv("KUBECONFIG", saved.c_str(), 1);
  }
}

}  // namespace
}  // namespace longshore::kube
