// SPDX-License-Identifier: Apache-2.0
//
// Which handler a path leads to.
#include "common/http/router.h"

#include <gtest/gtest.h>

namespace longshore::http {
namespace {

class RouterTest : public ::testing::Test {
 protected:
  void Add(const std::string& method, const std::string& pattern) {
    router_.Add(method, pattern, [pattern](const Request&) {
      Response response;
      response.body = pattern;
      return response;
    });
  }
  std::string Pattern(const std::string& method, const std::string& target) {
    const auto match = router_.Find(method, target);
    if (match.handler == nullptr) return match.known_path ? "405 " + match.allow : "404";
    Request request;
    return (*match.handler)(request).body;
  }
  Router router_;
};

TEST_F(RouterTest, FindsTheMostSpecificPattern) {
  Add("GET", "/v1/pods");
  Add("POST", "/v1/pods:acquire");
  Add("GET", "/v1/pods/{namespace}/{name}");
  Add("POST", "/v1/pods/{namespace}/{name}:release");
  Add("GET", "/v1/pods/all/{name}");
  Add("POST", "/v1/operations/{ns}/{name}:cancel");
  EXPECT_EQ(Pattern("GET", "/v1/pods?source=a/b"), "/v1/pods");
  EXPECT_EQ(Pattern("POST", "/v1/pods:acquire"), "/v1/pods:acquire");
  EXPECT_EQ(Pattern("POST", "/v1/pods%3aacquire"), "/v1/pods:acquire");
  EXPECT_EQ(Pattern("GET", "/v1/pods/a/b"), "/v1/pods/{namespace}/{name}");
  EXPECT_EQ(Pattern("GET", "/v1/pods/all/b"), "/v1/pods/all/{name}");
  EXPECT_EQ(Pattern("POST", "/v1/pods/a/b:release"), "/v1/pods/{namespace}/{name}:release");
  EXPECT_EQ(Pattern("HEAD", "/v1/pods"), "/v1/pods");
  EXPECT_EQ(Pattern("GET", "http://host:1/v1/pods"), "/v1/pods");
  EXPECT_EQ(Pattern("GET", "/v1/pods/a/b:release"), "405 POST");
  EXPECT_EQ(Pattern("DELETE", "/v1/pods"), "405 GET");
  for (const char* nowhere : {"/", "", "/v1/pods/", "/v1/pods//b", "/v1//pods", "/v1/pods/a/b/c",
                              "/v1/operations/a/:cancel", "*", "/v1/pods/a/%zz", "/V1/pods"}) {
    EXPECT_EQ(Pattern("GET", nowhere), "404") << nowhere;
  }
}

TEST_F(RouterTest, ParametersAreDecodedAndKeepEncodedSlashes) {
  Add("POST", "/v1/operations/{ns}/{name}:cancel");
  const auto match = router_.Find("POST", "/v1/operations/a%20b/x%2Fy%3Az:cancel?q=1");
  ASSERT_NE(match.handler, nullptr);
  EXPECT_EQ(match.params.at("ns"), "a b");
  EXPECT_EQ(match.params.at("name"), "x/y:z");
}

TEST(ParseTargetTest, DecodesPathAndQuery) {
  Request request;
  ASSERT_TRUE(ParseTarget("/a%2Fb+c?x=1&y=a+b%26&x=2&flag&=v&&", request).has_value());
  EXPECT_EQ(request.path, "/a/b+c");
  EXPECT_EQ(request.query.count("x"), 2u);
  EXPECT_EQ(request.Query("y"), "a b&");
  EXPECT_EQ(request.Query("flag", "none"), "");
  EXPECT_EQ(request.Query("absent", "none"), "none");
}

TEST(ParseTargetTest, RefusesWhatIsNoPath) {
  for (const char* bad : {"", "a", "*", "/%", "/%4", "/%00", "/a?x=%zz", "ftp://h/"}) {
    Request request;
    EXPECT_FALSE(ParseTarget(bad, request).has_value()) << bad;
  }
}

}  // namespace
}  // namespace longshore::http
