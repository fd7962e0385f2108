// SPDX-License-Identifier: Apache-2.0
#include "common/api/source_ref.h"

namespace longshore::api {

std::string NamespaceOfSource(const NamespacedRef& ref, const std::string& own) {
  return ref.ns.empty() ? own : ref.ns;
}

std::string SourceKey(const NamespacedRef& ref, const std::string& own) {
  return NamespaceOfSource(ref, own) + "/" + ref.name;
}

std::string OtherSource(const std::string& asked, const std::string& request,
                        const std::string& prepared) {
  if (asked == prepared) return "";
  return "spec.sourceRef: is " + asked + ", but request " + request + " is for source " + prepared +
         "; name that source, or a request for this one";
}

}  // namespace longshore::api
