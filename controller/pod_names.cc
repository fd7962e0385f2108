// SPDX-License-Identifier: Apache-2.0
#include "controller/pod_names.h"

#include "common/base/strings.h"

namespace longshore::controller {

std::string PodName(const std::string& request_uid, int slot, int attempt) {
  const std::string key = request_uid + "/" + std::to_string(slot) + "/" + std::to_string(attempt);
  return "lsp-" + Sha256Hex(key).substr(0, 10);
}

std::string CheckName(const std::string& source_uid, const std::string& request_uid,
                      int64_t generation, int n) {
  const std::string key =
      source_uid + "/" + request_uid + "/" + std::to_string(generation) + "/" + std::to_string(n);
  return "check-" + Sha256Hex(key).substr(0, 10);
}

std::string CopyId(const std::string& operation_uid) {
  return "copy-" + Sha256Hex(operation_uid).substr(0, 16);
}

}  // namespace longshore::controller
