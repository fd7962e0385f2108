// SPDX-License-Identifier: Apache-2.0
//
// An API server that lists any resource, for programs that watch many: what a test has put there,
// which is nothing at first. It can deny a resource or be out of order for it. Watches are silent.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/http/server.h"
#include "common/kube/client.h"

namespace longshore::kube {

class FakeLists {
 public:
  FakeLists();

  // Before who lists it starts.
  void Put(const Resource& resource, Json object);
  // As RBAC does it; Allow takes it back. Watches, also those that come then, are told to list
  // anew.
  void Deny(const Resource& resource);
  // 503 to whoever asks; Allow ends it.
  void Withhold(const Resource& resource);
  void Allow(const Resource& resource);

  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_.port()); }
  Config config() const;
  // Of a program that takes --kubeconfig.
  std::string Kubeconfig() const;

 private:
  http::Response Answer(const http::Request& request);
  bool IsDenied(const std::string& plural) const;

  mutable Mutex mutex_;
  std::map<std::string, std::vector<Json>> objects_ LS_GUARDED_BY(mutex_);  // by plural
  std::set<std::string> denied_ LS_GUARDED_BY(mutex_), withheld_ LS_GUARDED_BY(mutex_);
  http::Server server_;
};

}  // namespace longshore::kube
