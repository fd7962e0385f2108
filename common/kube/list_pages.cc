// SPDX-License-Identifier: Apache-2.0
#include "common/kube/list_pages.h"

#include "common/http/client.h"

namespace longshore::kube {
namespace {

constexpr int kPageSize = 500;
constexpr int kPagedTries = 2;

std::string TextIn(const Json& metadata, const char* field) {
  const auto found = metadata.find(field);
  return found != metadata.end() && found->is_string() ? found->get<std::string>() : "";
}

// What a page says of itself; `next` is the token of the one after it, "" at the end.
struct PageEnd {
  std::string version, next;
};

Result<PageEnd> TakePage(Json page, const Resource& resource, const ListSink& sink) {
  const auto metadata = page.find("metadata");
  const auto items = page.find("items");
  const bool is_list = metadata != page.end() && metadata->is_object() && items != page.end() &&
                       (items->is_array() || items->is_null());
  if (!is_list || TextIn(*metadata, "resourceVersion").empty()) {
    return Unavailable("list " + std::string(resource.plural) + ": the answer is not a list");
  }
  for (Json& item : *items) {
    if (!item.is_object()) {
      return Unavailable("list " + std::string(resource.plural) + ": an item is not an object");
    }
    AddType(item, resource);
    sink.take(std::move(item));
  }
  return PageEnd{TextIn(*metadata, "resourceVersion"), TextIn(*metadata, "continue")};
}

// One pass over all pages. Errors: kGone when the list changed too much under it.
Result<std::string> ListOnce(const Resource& resource, const std::string& base, bool paged,
                             const ListSink& sink,
                             const std::function<Result<Json>(const std::string&)>& get) {
  sink.begin();
  PageEnd end;
  do {
    std::string path = base;
    if (paged) path += "&limit=" + std::to_string(kPageSize);
    if (!end.next.empty()) path += "&continue=" + http::UrlEncode(end.next);
    LS_ASSIGN_OR_RETURN(Json page, get(path));
    LS_ASSIGN_OR_RETURN(end, TakePage(std::move(page), resource, sink));
  } while (!end.next.empty());
  return end.version;
}

}  // namespace

Result<std::string> ListPages(const Resource& resource, const std::string& ns,
                              const ListOptions& options, const ListSink& sink,
                              const std::function<Result<Json>(const std::string&)>& get) {
  // Paths below only ever append "&name=value".
  const std::string base = ResourcePath(resource, ns) + "?watch=false" + SelectorQuery(options);
  for (int tries = 0;; ++tries) {
    const bool paged = tries < kPagedTries;
    Result<std::string> result = ListOnce(resource, base, paged, sink, get);
    if (result.has_value() || !paged || result.error().code != Code::kGone) return result;
  }
}

std::string SelectorQuery(const ListOptions& options) {
  std::string query;
  if (!options.label_selector.empty()) {
    query += "&labelSelector=" + http::UrlEncode(options.label_selector);
  }
  if (!options.field_selector.empty()) {
    query += "&fieldSelector=" + http::UrlEncode(options.field_selector);
  }
  return query;
}

void AddType(Json& object, const Resource& resource) {
  if (!object.contains("kind")) object["kind"] = resource.kind;
  if (object.contains("apiVersion")) return;
  std::string version(resource.version);
  object["apiVersion"] =
      resource.group.empty() ? version : std::string(resource.group) + "/" + version;
}

}  // namespace longshore::kube
