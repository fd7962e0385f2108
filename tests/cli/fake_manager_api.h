// SPDX-License-Identifier: Apache-2.0
//
// The storage manager API as the tool sees it: scripted answers by method and path on a loopback
// port, and a record of what was asked. Paths are the real ones; what the real server does with
// them is tested beside it.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "common/api/archive.h"
#include "common/base/mutex.h"
#include "common/http/server.h"

namespace longshore::cli {

using api::Json;

class FakeManagerApi {
 public:
  FakeManagerApi();
  std::string url() const;

  // The answers of "GET /v1/pods" in turn; the last one stays. Queries are not part of the key.
  void On(const std::string& method_and_path, Json body, int status = 200);

  struct Asked {
    std::string line;  // "GET /v1/pods?namespace=backup"
    std::string authorization, idempotency_key;
    Json body;
  };
  std::vector<Asked> asked() const;
  std::vector<std::string> lines() const;

 private:
  http::Response Answer(const http::Request& request);
  mutable Mutex mutex_;
  std::map<std::string, std::vector<http::Response>> answers_ LS_GUARDED_BY(mutex_);
  std::vector<Asked> asked_ LS_GUARDED_BY(mutex_);
  http::Server server_;
};

}  // namespace longshore::cli
