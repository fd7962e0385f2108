// SPDX-License-Identifier: Apache-2.0
//
// LIST in pages of 500, shared by Client::List and the informers. An expired continue token (the
// server compacts after five minutes) starts again; the third time everything is asked for at once.
#pragma once

#include <functional>
#include <string>

#include "common/kube/client.h"

namespace longshore::kube {

// Takes the items of a list as its pages arrive, so that nobody holds a long one whole.
struct ListSink {
  std::function<void()> begin;  // a pass over the pages begins: what came before it counts no more
  std::function<void(Json item)> take;
};

// `get` fetches one path as a JSON object. Returns the list's resourceVersion. Errors: those of
// `get`; kUnavailable when the answer is not a list (a sick server or proxy must never look like an
// empty cluster).
Result<std::string> ListPages(const Resource& resource, const std::string& ns,
                              const ListOptions& options, const ListSink& sink,
                              const std::function<Result<Json>(const std::string& path)>& get);

// "labelSelector=…&fieldSelector=…" for what is set, each with a leading '&'.
std::string SelectorQuery(const ListOptions& options);

// Sets apiVersion and kind where they are missing: items of a list come without.
void AddType(Json& object, const Resource& resource);

}  // namespace longshore::kube
