// SPDX-License-Identifier: Apache-2.0
//
// Which source a reference means, and what is wrong where an operation is of another one than the
// pods that shall do it. Pure.
#pragma once

#include <string>

#include "common/api/meta.h"

namespace longshore::api {

// The source's namespace: the reference's own, or `own`, that of the object that refers.
std::string NamespaceOfSource(const NamespacedRef& ref, const std::string& own);
// "NAMESPACE/NAME" of the source, as its metadata.Key().
std::string SourceKey(const NamespacedRef& ref, const std::string& own);

// The pods of a request are made for its source, with that source's image and volumes. The text of
// a refusal of an operation of source `asked` by request `request`, whose source is `prepared`, all
// of them keys; empty: there is nothing to refuse.
std::string OtherSource(const std::string& asked, const std::string& request,
                        const std::string& prepared);

}  // namespace longshore::api
