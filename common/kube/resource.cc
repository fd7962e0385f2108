// SPDX-License-Identifier: Apache-2.0
#include "common/kube/resource.h"

#include "common/http/client.h"

namespace longshore::kube {

std::string ResourcePath(const Resource& resource, std::string_view ns, std::string_view name,
                         std::string_view subresource) {
  std::string path =
      resource.group.empty() ? "/api/" : "/apis/" + std::string(resource.group) + "/";
  path += resource.version;
  if (resource.namespaced && !ns.empty()) path += "/namespaces/" + http::UrlEncode(ns);
  path += '/';
  path += resource.plural;
  if (!name.empty()) path += "/" + http::UrlEncode(name);
  if (!subresource.empty()) {
    path += '/';
    path += subresource;
  }
  return path;
}

}  // namespace longshore::kube
