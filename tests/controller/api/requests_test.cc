// SPDX-License-Identifier: Apache-2.0
// /v1/requests over HTTP, and what every route does about identity, rights and bad input.
#include "tests/controller/api/api_fixture.h"

namespace longshore::controller {
namespace {

using testing::HasSubstr;

class RequestsTest : public ApiTest {};

TEST_F(RequestsTest, CreatesOnceForOneKeyAndBody) {
  const Reply first = Post("/v1/requests", RequestBody(), "key-1");
  ASSERT_EQ(first.status, 201) << first.body;
  const std::string name = first.body.at("name");
  EXPECT_EQ(name.size(), 14u);
  EXPECT_TRUE(name.starts_with("req-"));
  const Json stored = kube_.Get("computerequests", "backup", name);
  EXPECT_EQ(stored.at("spec").at("pods").at("max"), 4);
  EXPECT_EQ(stored.at("metadata").at("annotations").at("longshore.dev/created-by"), "manager");

  const Reply again = Post("/v1/requests", RequestBody(), "key-1");
  EXPECT_EQ(again.status, 200);
  EXPECT_EQ(again.body.at("name"), name);
  // The order of fields and white space don't make another body.
  const Reply spaced =
      Call("POST", "/v1/requests", RequestBody().dump(4), {{"Idempotency-Key", "key-1"}});
  EXPECT_EQ(spaced.status, 200);
}

TEST_F(RequestsTest, RefusesTheSameKeyForAnotherBody) {
  ASSERT_EQ(Post("/v1/requests", RequestBody(4), "key-1").status, 201);
  const Reply other = Post("/v1/requests", RequestBody(5), "key-1");
  EXPECT_EQ(other.status, 409);
  EXPECT_THAT(other.detail(), HasSubstr("Idempotency-Key"));
  EXPECT_NE(Post("/v1/requests", RequestBody(5), "key-2").body.at("name"),
            Post("/v1/requests", RequestBody(4), "key-1").body.at("name"));
}

// Somebody with kubectl guesses a key and puts an object of its name there first, with the hash of
// the body that will be sent and a spec of his own: it is not handed to the caller as his.
TEST_F(RequestsTest, RefusesAnObjectThatSomebodyElsePutUnderTheKey) {
  const std::string name = Post("/v1/requests", RequestBody(), "key-1").body.at("name");
  Json planted = kube_.Get("computerequests", "backup", name);
  planted["metadata"]["annotations"].erase("longshore.dev/created-by");
  planted["spec"]["pods"]["max"] = 1;
  kube_.Put("computerequests", "backup", planted);
  const Reply again = Post("/v1/requests", RequestBody(), "key-1");
  EXPECT_EQ(again.status, 409);
  EXPECT_THAT(again.detail(), HasSubstr("somebody else"));
}

TEST_F(RequestsTest, NeedsAKey) {
  const Reply without = Post("/v1/requests", RequestBody());
  EXPECT_EQ(without.status, 400);
  EXPECT_THAT(without.detail(), HasSubstr("Idempotency-Key: is required"));
  EXPECT_EQ(Post("/v1/requests", RequestBody(), std::string(129, 'k')).status, 400);
  EXPECT_EQ(Post("/v1/requests", RequestBody(), "two words").status, 400);
}

TEST_F(RequestsTest, NamesTheFieldOfBadInput) {
  struct Case {
    const char* name;
    std::string body;
    const char* detail;
  };
  Json unknown = RequestBody(), wrong = RequestBody(), no_source = RequestBody();
  Json deadline = RequestBody(), daily = RequestBody(), ns = RequestBody(), escape = RequestBody();
  unknown["spec"]["podz"] = 1;
  wrong["spec"]["pods"]["max"] = "four";
  no_source["spec"].erase("sourceRef");
  deadline["spec"]["deadline"] = "tomorrow";
  daily["spec"]["dailyDeadline"] = "at six";
  ns["namespace"] = std::string(64, 'a');
  escape["spec"]["sourceRef"]["name"] = "../../secrets/x";
  const Case cases[] = {
      {"malformed", "{\"namespace\":", "malformed JSON at byte"},
      {"not an object", "[1]", "expected a JSON object"},
      {"unknown field", unknown.dump(), "spec.podz: no such field"},
      {"wrong type", wrong.dump(), "spec.pods.max: expected an integer"},
      {"no source", no_source.dump(), "spec.sourceRef.name: is required"},
      {"bad time", deadline.dump(), "spec.deadline: expected a time"},
      {"bad time of the day", daily.dump(), "spec.dailyDeadline: expected a time of the day"},
      {"long namespace", ns.dump(), "namespace: longer than 63"},
      {"path in a name", escape.dump(), "spec.sourceRef.name:"},
      {"no spec", R"({"namespace":"backup"})", "spec: is required"},
      {"unknown at the top", R"({"namespace":"backup","spec":{},"x":1})", "x: no such field"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const Reply reply = Call("POST", "/v1/requests", c.body, {{"Idempotency-Key", "k"}});
    EXPECT_EQ(reply.status, 400);
    EXPECT_THAT(reply.detail(), HasSubstr(c.detail));
    EXPECT_THAT(reply.headers.at("content-type"), HasSubstr("application/problem+json"));
  }
}

// Also those that fit into none of our integers, whose largest nobody asked for.
TEST_F(RequestsTest, SaysTheRangeOfANumber) {
  const char* const lifetime = "spec.lifetimeSeconds: must be a whole number from 1 to 315360000";
  for (const char* bad : {"0", "-1", "315360001", "99999999999999999999", "1e30", "1.5"}) {
    const Reply reply =
        Call("POST", "/v1/requests",
             R"({"namespace":"backup","spec":{"sourceRef":{"name":"orders"},"lifetimeSeconds":)" +
                 std::string(bad) + "}}",
             {{"Idempotency-Key", "k"}});
    EXPECT_EQ(reply.status, 400) << bad;
    EXPECT_EQ(reply.detail(), lifetime) << bad;
  }
  Json fits = RequestBody();
  fits["spec"]["lifetimeSeconds"] = 315360000;
  EXPECT_EQ(Post("/v1/requests", fits, "k").status, 201);
  PutRequest("req-1");
  const Reply patch = Call("PATCH", "/v1/requests/backup/req-1",
                           R"({"spec":{"pods":{"max":5000000000},"demand":-1}})");
  EXPECT_EQ(patch.status, 400);
  EXPECT_EQ(patch.detail(),
            "spec.demand: must be a whole number from 0 to 100000, "
            "spec.pods.max: must be a whole number from 1 to 1000");
}

// What the custom resource's schema refuses reaches the caller with the field in it.
TEST_F(RequestsTest, PassesOnTheSchemasRefusal) {
  kube_.RefuseNextCreate(
      "ComputeRequest.longshore.dev \"req-1\" is invalid: spec.pods.max: must be at least min");
  const Reply reply = Post("/v1/requests", RequestBody(), "key-1");
  EXPECT_EQ(reply.status, 400);
  EXPECT_EQ(reply.detail(), "spec.pods.max: must be at least min");
}

TEST_F(RequestsTest, AsksWhoAndWhetherTheyMay) {
  const Reply nobody = Call("GET", "/v1/requests?namespace=backup", "", {{"Authorization", ""}});
  EXPECT_EQ(nobody.status, 401);
  EXPECT_THAT(nobody.headers.at("www-authenticate"), HasSubstr("Bearer"));
  const Reply wrong =
      Call("GET", "/v1/requests?namespace=backup", "", {{"Authorization", "Bearer forged"}});
  EXPECT_EQ(wrong.status, 401);

  const Reply powerless =
      Call("GET", "/v1/requests?namespace=backup", "", {{"Authorization", "Bearer powerless"}});
  EXPECT_EQ(powerless.status, 403);
  EXPECT_THAT(powerless.detail(),
              HasSubstr("other may not list computerequests.longshore.dev in namespace backup"));
  // Without a namespace it is about all of them, which the manager may not see.
  EXPECT_EQ(Get("/v1/requests").status, 403);
}

// Fault: somebody without a token, and somebody without rights, call in a loop.
TEST_F(RequestsTest, RefusedCallsAreLoggedAFewTimesThenRarely) {
  const auto lines_of = [&](const std::string& authorization) {
    ::testing::internal::CaptureStderr();
    for (int i = 0; i < 300; ++i) {
      Call("POST", "/v1/requests", RequestBody().dump(),
           {{"Authorization", authorization}, {"Idempotency-Key", "key-1"}});
    }
    const std::string log = ::testing::internal::GetCapturedStderr();
    EXPECT_THAT(log, HasSubstr("api call"));
    return std::count(log.begin(), log.end(), '\n');
  };
  EXPECT_LT(lines_of(""), 100);
  EXPECT_LT(lines_of("Bearer powerless"), 200);
  // What changes something is told all the same.
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(Post("/v1/requests", RequestBody(), "key-1").status, 201);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("api call"));
}

TEST_F(RequestsTest, TooManyRefusedTokensAreToldWhenToComeAgain) {
  Reply last;
  for (int i = 0; i < 40 && last.status != 429; ++i) {
    last = Call("GET", "/v1/requests?namespace=backup", "",
                {{"Authorization", "Bearer made-up-" + std::to_string(i)}});
  }
  EXPECT_EQ(last.status, 429);
  EXPECT_EQ(last.headers.at("retry-after"), "1");
  EXPECT_EQ(Get("/v1/requests?namespace=backup").status, 429) << "a new caller of that address";
}

// Whoever may make requests can't therefore use sources that they may not read.
TEST_F(RequestsTest, NeedsTheRightToReadTheSource) {
  kube_.Revoke(kUser, "get", "backupsources", "backup");
  const Reply reply = Post("/v1/requests", RequestBody(), "key-1");
  EXPECT_EQ(reply.status, 403);
  EXPECT_THAT(reply.detail(), HasSubstr("get backupsources.longshore.dev \"orders\""));
}

TEST_F(RequestsTest, ListsByNamespaceAndSourceWithACursor) {
  PutRequest("req-1", "orders");
  PutRequest("req-2", "stock");
  const Reply all = Get("/v1/requests?namespace=backup");
  ASSERT_EQ(all.status, 200);
  EXPECT_EQ(all.body.at("items").size(), 2u);
  EXPECT_FALSE(all.body.at("cursor").get<std::string>().empty());
  const Reply one = Get("/v1/requests?namespace=backup&source=stock");
  ASSERT_EQ(one.body.at("items").size(), 1u);
  EXPECT_EQ(one.body.at("items")[0].at("name"), "req-2");
  EXPECT_EQ(Get("/v1/requests?namespace=backup&sauce=stock").status, 400);
}

TEST_F(RequestsTest, PatchesSizeDemandAndDeadlineOnly) {
  PutRequest("req-1");
  const Reply patched =
      Call("PATCH", "/v1/requests/backup/req-1", R"({"spec":{"pods":{"max":8},"demand":5}})");
  ASSERT_EQ(patched.status, 200) << patched.body;
  EXPECT_EQ(kube_.Get("computerequests", "backup", "req-1").at("spec").at("demand"), 5);
  const Reply refused =
      Call("PATCH", "/v1/requests/backup/req-1", R"({"spec":{"policyRef":{"name":"other"}}})");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.detail(), HasSubstr("spec.policyRef: cannot be changed"));
  EXPECT_EQ(Call("PATCH", "/v1/requests/backup/gone", R"({"spec":{"demand":1}})").status, 404);
}

TEST_F(RequestsTest, GetsAndDeletes) {
  PutRequest("req-1");
  EXPECT_EQ(Get("/v1/requests/backup/req-1").body.at("uid"), "uid-req-1");
  EXPECT_EQ(Get("/v1/requests/backup/none").status, 404);
  EXPECT_EQ(Get("/v1/requests/backup/UPPER").status, 400);
  const Reply deleted = Call("DELETE", "/v1/requests/backup/req-1");
  EXPECT_EQ(deleted.status, 202);
  EXPECT_FALSE(deleted.body.at("deletedAt").get<std::string>().empty());
  EXPECT_EQ(Call("DELETE", "/v1/requests/backup/none").status, 404);
}

TEST_F(RequestsTest, ExplainsItsScalingAndKnowsTheLastDecisionAfterARestart) {
  Json object = kube_.Put(
      "computerequests", "backup",
      {{"metadata", {{"name", "req-1"}}},
       {"spec", {{"sourceRef", {{"name", "orders"}}}}},
       {"status",
        {{"desiredPods", 2},
         {"conditions",
          Json::array({{{"type", "ScalingLimited"}, {"status", "True"}, {"reason", "MaxPods"}},
                       {{"type", "Accepted"}, {"status", "True"}, {"reason", "Valid"}}})},
         {"lastDecision", {{"time", "t1"}, {"to", 2}, {"cause", "Idle"}}}}}});
  state_->requests.Observe(object);
  const std::string path = "/v1/requests/backup/req-1/scaling";
  const Reply fresh = Get(path);
  ASSERT_EQ(fresh.status, 200) << fresh.body;
  EXPECT_EQ(fresh.body.at("desiredPods"), 2);
  ASSERT_EQ(fresh.body.at("conditions").size(), 1u) << "those of scaling only";
  EXPECT_EQ(fresh.body.at("decisions")[0].at("cause"), "Idle");
  EXPECT_TRUE(fresh.body.at("now").is_null());

  ScalingNotes notes;
  notes.now.time = "t3";
  notes.now.growth = {"it has spec.pods.max of 2 pods"};
  notes.decisions.resize(3);
  notes.decisions.front().cause = "DemandWaiting";
  live_.scaling["uid-req-1"] = notes;
  const Reply known = Get(path);
  EXPECT_EQ(known.body.at("decisions").size(), 3u);
  EXPECT_EQ(known.body.at("decisions")[0].at("cause"), "DemandWaiting");
  EXPECT_EQ(known.body.at("now").at("growth")[0], "it has spec.pods.max of 2 pods");
  EXPECT_EQ(Get("/v1/requests/backup/none/scaling").status, 404);
  EXPECT_EQ(Get("/v1/requests/elsewhere/req-1/scaling").status, 403);
}

// After a restart, half a list would be taken for the whole.
TEST_F(RequestsTest, AnswersOnlyWhenTheClusterWasRead) {
  ready_ = false;
  const Reply early = Get("/v1/requests?namespace=backup");
  EXPECT_EQ(early.status, 503);
  EXPECT_EQ(early.headers.at("retry-after"), "1");
  EXPECT_EQ(early.headers.at("connection"), "close") << "else a client would never ask another";
  ready_ = true;
  EXPECT_EQ(Get("/v1/requests?namespace=backup").status, 200);
}

TEST_F(RequestsTest, CountsAnswersByRouteAndClass) {
  Get("/v1/requests?namespace=backup");
  Get("/v1/requests?namespace=elsewhere");
  const std::string text = metrics_.Text();
  for (const char* status_class : {"2xx", "4xx"}) {
    EXPECT_THAT(text, HasSubstr("longshore_controller_api_requests_total{class=\"" +
                                std::string(status_class) + "\",route=\"GET /v1/requests\"} 1"));
  }
}

TEST_F(RequestsTest, ServesItsDescriptionToEverybody) {
  const Reply reply = Call("GET", "/openapi.json", "", {{"Authorization", ""}});
  EXPECT_EQ(reply.status, 200);
  EXPECT_EQ(reply.body.at("openapi"), "3.1.0");
}

TEST_F(RequestsTest, AnswersUnknownRoutesWithProblems) {
  const Reply unknown = Get("/v2/requests"), wrong = Call("PUT", "/v1/requests", "{}");
  EXPECT_EQ(unknown.status, 404);
  EXPECT_EQ(unknown.body.at("code"), "NotFound");
  EXPECT_EQ(wrong.status, 405);
  EXPECT_EQ(wrong.body.at("code"), "InvalidArgument");
}

}  // namespace
}  // namespace longshore::controller
