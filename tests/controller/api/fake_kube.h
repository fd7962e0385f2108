// SPDX-License-Identifier: Apache-2.0
//
// The few calls that the storage manager API makes to Kubernetes, answered from memory: reviews by
// tables of tokens and grants, objects with resourceVersions and conflicts. The integration test
// runs the same flows against a real API server.
#pragma once

#include <map>
#include <set>
#include <string>

#include "common/api/archive.h"
#include "common/base/mutex.h"
#include "common/http/server.h"
#include "common/kube/client.h"

namespace longshore::controller {

using api::Json;

class FakeKube {
 public:
  FakeKube();

  kube::Config config() const;
  void AddToken(const std::string& token, const std::string& user);
  // Lets `user` do it in `ns` ("" : everywhere).
  void Grant(const std::string& user, const std::string& verb, const std::string& plural,
             const std::string& ns);
  void Revoke(const std::string& user, const std::string& verb, const std::string& plural,
              const std::string& ns);
  // The next create is refused as the API server refuses an invalid object.
  void RefuseNextCreate(const std::string& message);

  Json Put(const std::string& plural, const std::string& ns, Json object);
  Json Get(const std::string& plural, const std::string& ns, const std::string& name) const;

  int token_reviews() const;
  int access_reviews() const;

 private:
  http::Response Answer(const http::Request& request);
  http::Response ReviewToken(const Json& review);
  http::Response ReviewAccess(const Json& review);
  http::Response Create(const std::string& collection, Json object);
  http::Response Write(const http::Request& request, const std::string& key);

  mutable Mutex mutex_;
  std::map<std::string, std::string> tokens_ LS_GUARDED_BY(mutex_);
  std::set<std::string> grants_ LS_GUARDED_BY(mutex_);
  std::map<std::string, Json> objects_ LS_GUARDED_BY(mutex_);  // by "NS/PLURAL/NAME"
  std::string refusal_ LS_GUARDED_BY(mutex_);
  int version_ LS_GUARDED_BY(mutex_) = 100;
  int token_reviews_ LS_GUARDED_BY(mutex_) = 0;
  int access_reviews_ LS_GUARDED_BY(mutex_) = 0;
  http::Server server_;
};

}  // namespace longshore::controller
