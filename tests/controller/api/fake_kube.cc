// SPDX-License-Identifier: Apache-2.0
#include "tests/controller/api/fake_kube.h"

#include "common/api/meta.h"
#include "common/base/strings.h"
#include "common/kube/informer.h"

namespace longshore::controller {
namespace {

http::Response Reply(const Json& body, int status = 200) {
  http::Response response;
  response.status = status;
  response.body = body.dump();
  return response;
}

http::Response Refuse(int code, const std::string& reason, const std::string& message) {
  return Reply({{"kind", "Status"},
                {"apiVersion", "v1"},
                {"status", "Failure"},
                {"reason", reason},
                {"message", message},
                {"code", code}},
               code);
}

std::string GrantKey(const std::string& user, const std::string& verb, const std::string& plural,
                     const std::string& ns) {
  return user + " " + verb + " " + plural + " " + ns;
}

http::ServerOptions Loopback() {
  http::ServerOptions options;
  options.address = "127.0.0.1";
  return options;
}

}  // namespace

FakeKube::FakeKube() : server_(Loopback()) {
  const auto answer = [this](const http::Request& request) { return Answer(request); };
  const std::string ours = "/apis/longshore.dev/v1alpha1/namespaces/{ns}/{plural}";
  server_.Handle("POST", "/apis/authentication.k8s.io/v1/tokenreviews", answer);
  server_.Handle("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", answer);
  server_.Handle("POST", ours, answer);
  for (const char* method : {"GET", "PATCH", "DELETE", "PUT"}) {
    server_.Handle(method, ours + "/{name}", answer);
    server_.Handle(method, ours + "/{name}/{subresource}", answer);
  }
  LS_CHECK(server_.Start().has_value());
}

kube::Config FakeKube::config() const {
  kube::Config config;
  config.server = "http://127.0.0.1:" + std::to_string(server_.port());
  return config;
}

void FakeKube::AddToken(const std::string& token, const std::string& user) {
  MutexLock lock(mutex_);
  tokens_[token] = user;
}

void FakeKube::Grant(const std::string& user, const std::string& verb, const std::string& plural,
                     const std::string& ns) {
  MutexLock lock(mutex_);
  grants_.insert(GrantKey(user, verb, plural, ns));
}

void FakeKube::Revoke(const std::string& user, const std::string& verb, const std::string& plural,
                      const std::string& ns) {
  MutexLock lock(mutex_);
  grants_.erase(GrantKey(user, verb, plural, ns));
}

void FakeKube::RefuseNextCreate(const std::string& message) {
  MutexLock lock(mutex_);
  refusal_ = message;
}

Json FakeKube::Put(const std::string& plural, const std::string& ns, Json object) {
  MutexLock lock(mutex_);
  const std::string name = object["metadata"]["name"];
  object["metadata"]["namespace"] = ns;
  object["metadata"]["uid"] = "uid-" + name;
  object["metadata"]["resourceVersion"] = std::to_string(++version_);
  object["metadata"]["creationTimestamp"] = "2026-01-01T00:00:00Z";
  return objects_[ns + "/" + plural + "/" + name] = object;
}

Json FakeKube::Get(const std::string& plural, const std::string& ns,
                   const std::string& name) const {
  MutexLock lock(mutex_);
  const auto found = objects_.find(ns + "/" + plural + "/" + name);
  return found == objects_.end() ? Json() : found->second;
}

int FakeKube::token_reviews() const {
  MutexLock lock(mutex_);
  return token_reviews_;
}
int FakeKube::access_reviews() const {
  MutexLock lock(mutex_);
  return access_reviews_;
}

http::Response FakeKube::ReviewToken(const Json& review) {
  MutexLock lock(mutex_);
  ++token_reviews_;
  Json answer = review;
  const auto found = tokens_.find(review.at("spec").at("token").get<std::string>());
  answer["status"] = {{"authenticated", found != tokens_.end()}};
  if (found != tokens_.end()) {
    answer["status"]["user"] = {{"username", found->second}, {"groups", {"system:authenticated"}}};
    answer["status"]["audiences"] = review.at("spec").value("audiences", Json::array());
  }
  return Reply(answer, 201);
}

http::Response FakeKube::ReviewAccess(const Json& review) {
  MutexLock lock(mutex_);
  ++access_reviews_;
  const Json& spec = review.at("spec");
  const Json& wanted = spec.at("resourceAttributes");
  const auto granted = [&](const std::string& ns) LS_REQUIRES(mutex_) {
    return grants_.contains(
        GrantKey(spec.at("user"), wanted.value("verb", ""), wanted.value("resource", ""), ns));
  };
  Json answer = review;
  answer["status"] = {{"allowed", granted(wanted.value("namespace", "")) || granted("")}};
  return Reply(answer, 201);
}

http::Response FakeKube::Create(const std::string& collection, Json object) {
  std::string ns, plural;
  {
    MutexLock lock(mutex_);
    const auto parts = Split(collection, '/');
    ns = parts[0];
    plural = parts[1];
    if (!refusal_.empty()) {
      return Refuse(422, "Invalid", std::exchange(refusal_, std::string()));
    }
    const std::string name = object["metadata"]["name"];
    if (objects_.contains(collection + "/" + name)) {
      return Refuse(409, "AlreadyExists", plural + " \"" + name + "\" already exists");
    }
  }
  return Reply(Put(plural, ns, std::move(object)), 201);
}

http::Response FakeKube::Write(const http::Request& request, const std::string& key) {
  MutexLock lock(mutex_);
  const auto found = objects_.find(key);
  if (found == objects_.end()) return Refuse(404, "NotFound", key + " not found");
  Json& object = found->second;
  if (request.method == "GET") return Reply(object);
  if (request.method == "DELETE") {
    object["metadata"]["deletionTimestamp"] = "2026-01-01T01:00:00Z";
    return Reply(object);
  }
  const Json body = *api::ParseJson(request.body);
  if (request.method == "PUT") {
    if (kube::StringAt(body, "/metadata/resourceVersion") !=
        kube::StringAt(object, "/metadata/resourceVersion")) {
      return Refuse(409, "Conflict", "the object has been modified");
    }
    object["status"] = body.value("status", Json::object());
  } else {
    object.merge_patch(body);
  }
  object["metadata"]["resourceVersion"] = std::to_string(++version_);
  return Reply(object);
}

http::Response FakeKube::Answer(const http::Request& request) {
  if (request.path.ends_with("/tokenreviews")) return ReviewToken(*api::ParseJson(request.body));
  if (request.path.ends_with("/subjectaccessreviews")) {
    return ReviewAccess(*api::ParseJson(request.body));
  }
  const std::string collection =
      request.path_params.at("ns") + "/" + request.path_params.at("plural");
  if (request.method == "POST") return Create(collection, *api::ParseJson(request.body));
  return Write(request, collection + "/" + request.path_params.at("name"));
}

}  // namespace longshore::controller
