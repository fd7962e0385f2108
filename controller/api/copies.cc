// SPDX-License-Identifier: Apache-2.0
//
// GET /v1/copies: the secondary copies that this cluster's operations made. The repository is where
// they are; this list is what its Operations remember of them.
#include <algorithm>

#include "controller/api/objects.h"
#include "controller/api/view.h"

namespace longshore::controller {

Result<http::Response> ListCopies(ApiContext& api, const Caller& caller,
                                  const http::Request& request) {
  LS_RETURN_IF_ERROR(CheckQuery(request, {"namespace", "source"}));
  LS_ASSIGN_OR_RETURN(const std::string ns, QueryNamespace(request));
  const std::string source = request.Query("source");
  const std::string cursor = CurrentCursor(api);
  LS_ASSIGN_OR_RETURN(const auto operations,
                      ListAllowed(api, caller, kube::kOperations, api.state.operations, ns));
  std::vector<Json> items;
  for (const auto& operation : operations) {
    if (!source.empty() && kube::StringAt(*operation, "/spec/sourceRef/name") != source) continue;
    Json copy = CopyView(*operation);
    if (!copy.is_null()) items.push_back(std::move(copy));
  }
  // Newest first: completedAt is RFC 3339 in UTC, which sorts as text.
  std::sort(items.begin(), items.end(), [](const Json& a, const Json& b) {
    return a.at("completedAt").get_ref<const std::string&>() >
           b.at("completedAt").get_ref<const std::string&>();
  });
  return JsonResponse({{"items", std::move(items)}, {"cursor", cursor}});
}

}  // namespace longshore::controller
