// SPDX-License-Identifier: Apache-2.0
//
// Who is calling, and may they: TokenReview and SubjectAccessReview.
#include <algorithm>

#include "common/kube/client.h"

namespace longshore::kube {
namespace {

constexpr char kPodNameExtra[] = "authentication.kubernetes.io/pod-name";
constexpr char kPodUidExtra[] = "authentication.kubernetes.io/pod-uid";
constexpr char kNodeNameExtra[] = "authentication.kubernetes.io/node-name";

// What we read of a TokenReview's status.
struct ReviewedUser {
  std::string username, uid;
  std::vector<std::string> groups;
  std::map<std::string, std::vector<std::string>> extra;
};
template <class A>
void Describe(A& a, ReviewedUser& v) {
  a("username", v.username);
  a("uid", v.uid);
  a("groups", v.groups);
  a("extra", v.extra);
}

struct TokenReviewStatus {
  bool authenticated = false;
  std::string error;
  std::vector<std::string> audiences;
  ReviewedUser user;
};
template <class A>
void Describe(A& a, TokenReviewStatus& v) {
  a("authenticated", v.authenticated);
  a("error", v.error);
  a("audiences", v.audiences);
  a("user", v.user);
}

struct AccessReviewStatus {
  bool allowed = false;
  std::string reason, evaluation_error;
};
template <class A>
void Describe(A& a, AccessReviewStatus& v) {
  a("allowed", v.allowed);
  a("reason", v.reason);
  a("evaluationError", v.evaluation_error);
}

template <class T>
Result<T> ReadStatus(const Json& review, const char* what) {
  const auto status = review.find("status");
  if (status == review.end()) return Unavailable(std::string(what) + ": no status in the answer");
  return api::ReadJson<T>(*status, std::string(what) + ".status");
}

// What is refused to ourselves says nothing of who is asked about: an API server that has just
// started refuses all until it has read the roles.
Result<Json> Ask(Client& client, const Resource& resource, const Json& review) {
  auto answer = client.Post(ResourcePath(resource, ""), review);
  if (answer.has_value()) return answer;
  const Code code = answer.error().code;
  if (code != Code::kPermissionDenied && code != Code::kUnauthenticated) return answer;
  return Unavailable("the API server does not let us ask: " + answer.error().message);
}

std::string FirstOf(const ReviewedUser& user, const char* key) {
  const auto found = user.extra.find(key);
  return found == user.extra.end() || found->second.empty() ? "" : found->second.front();
}

std::string Describe(const Access& access) {
  std::string text = access.verb + " " + std::string(access.resource.plural);
  if (!access.subresource.empty()) text += "/" + access.subresource;
  if (!access.resource.group.empty()) text += "." + std::string(access.resource.group);
  if (!access.name.empty()) text += " \"" + access.name + "\"";
  if (!access.ns.empty()) text += " in namespace \"" + access.ns + "\"";
  return text;
}

}  // namespace

Result<UserInfo> ReviewToken(Client& client, const std::string& token,
                             const std::vector<std::string>& audiences) {
  if (token.empty()) return Error{Code::kUnauthenticated, "no bearer token"};
  const Json review = {{"apiVersion", "authentication.k8s.io/v1"},
                       {"kind", "TokenReview"},
                       {"spec", {{"token", token}, {"audiences", audiences}}}};
  LS_ASSIGN_OR_RETURN(const Json answer, Ask(client, kTokenReviews, review));
  LS_ASSIGN_OR_RETURN(const auto status, ReadStatus<TokenReviewStatus>(answer, "TokenReview"));
  if (!status.authenticated) {
    // The authenticator's own words: they say "expired" or "audiences", never the token.
    return Error{Code::kUnauthenticated,
                 "the token was refused" + (status.error.empty() ? "" : ": " + status.error)};
  }
  // An authenticator that knows nothing of audiences returns none: such a token is not for us.
  const bool for_us = audiences.empty() ||
                      std::any_of(audiences.begin(), audiences.end(), [&](const std::string& a) {
                        return std::find(status.audiences.begin(), status.audiences.end(), a) !=
                               status.audiences.end();
                      });
  if (!for_us) return Error{Code::kUnauthenticated, "the token is for another audience"};
  UserInfo user;
  user.username = status.user.username;
  user.uid = status.user.uid;
  user.groups = status.user.groups;
  user.pod_name = FirstOf(status.user, kPodNameExtra);
  user.pod_uid = FirstOf(status.user, kPodUidExtra);
  user.node_name = FirstOf(status.user, kNodeNameExtra);
  return user;
}

Status CheckAccess(Client& client, const UserInfo& user, const Access& access) {
  Json attributes = {{"verb", access.verb},
                     {"group", access.resource.group},
                     {"version", access.resource.version},
                     {"resource", access.resource.plural}};
  if (!access.ns.empty()) attributes["namespace"] = access.ns;
  if (!access.name.empty()) attributes["name"] = access.name;
  if (!access.subresource.empty()) attributes["subresource"] = access.subresource;
  Json spec = {
      {"user", user.username}, {"groups", user.groups}, {"resourceAttributes", attributes}};
  if (!user.uid.empty()) spec["uid"] = user.uid;
  const Json review = {
      {"apiVersion", "authorization.k8s.io/v1"}, {"kind", "SubjectAccessReview"}, {"spec", spec}};
  LS_ASSIGN_OR_RETURN(const Json answer, Ask(client, kSubjectAccessReviews, review));
  LS_ASSIGN_OR_RETURN(const auto status,
                      ReadStatus<AccessReviewStatus>(answer, "SubjectAccessReview"));
  if (status.allowed) return {};
  std::string message = "user \"" + user.username + "\" cannot " + Describe(access);
  if (!status.reason.empty()) message += ": " + status.reason;
  if (!status.evaluation_error.empty()) message += " (" + status.evaluation_error + ")";
  return Error{Code::kPermissionDenied, message};
}

}  // namespace longshore::kube
