// SPDX-License-Identifier: Apache-2.0
#include "common/kube/client.h"

#include <algorithm>

#include "common/kube/errors.h"
#include "common/kube/informer.h"
#include "common/kube/list_pages.h"
#include "common/kube/transport.h"

namespace longshore::kube {
namespace {

constexpr char kJsonType[] = "application/json";

// What a failing call was about: "patch pods/status db/x".
std::string Context(std::string_view verb, const Resource& resource, std::string_view subresource,
                    const std::string& ns, const std::string& name) {
  std::string text(verb);
  text += ' ';
  text += resource.plural;
  if (!subresource.empty()) (text += '/') += subresource;
  text += ' ';
  if (resource.namespaced && !ns.empty()) (text += ns) += '/';
  return text + name;
}

// Names come from users of our own API; one that changes the meaning of the path must not pass.
Status CheckSegment(const char* what, const std::string& segment) {
  if (segment == "." || segment == ".." || segment.find_first_of("/%") != std::string::npos) {
    return InvalidArgument(std::string(what) + ": \"" + segment + "\" is not a name");
  }
  return {};
}

Result<std::string> ObjectPath(const Resource& resource, const std::string& ns,
                               const std::string& name, const std::string& subresource = "") {
  if (name.empty()) return InvalidArgument(std::string(resource.plural) + ": the name is empty");
  if (resource.namespaced && ns.empty()) {
    return InvalidArgument(std::string(resource.plural) + " " + name + ": the namespace is empty");
  }
  LS_RETURN_IF_ERROR(CheckSegment("name", name));
  LS_RETURN_IF_ERROR(CheckSegment("namespace", ns));
  return ResourcePath(resource, ns, name, subresource);
}

// The object with the apiVersion and kind of the resource where it has none.
Json WithType(const Json& object, const Resource& resource) {
  Json typed = object;
  AddType(typed, resource);
  return typed;
}

// A JSON patch whose "test" fails is refused like one that is malformed, with this text and no
// details (1.36). Whoever sent a test asked for a precondition.
bool FailedTest(const Json& patch, const Error& error) {
  constexpr std::string_view kText =
      "the server rejected our request due to an error in our request";
  if (error.code != Code::kInvalidArgument || !error.message.ends_with(kText)) return false;
  return std::any_of(patch.begin(), patch.end(),
                     [](const Json& step) { return StringAt(step, "/op") == "test"; });
}

Json DeleteBody(const DeleteOptions& options) {
  Json body = {{"apiVersion", "v1"}, {"kind", "DeleteOptions"}};
  if (!options.uid.empty()) body["preconditions"]["uid"] = options.uid;
  if (!options.resource_version.empty()) {
    body["preconditions"]["resourceVersion"] = options.resource_version;
  }
  if (options.grace_period_seconds >= 0) body["gracePeriodSeconds"] = options.grace_period_seconds;
  if (!options.propagation_policy.empty()) body["propagationPolicy"] = options.propagation_policy;
  return body;
}

}  // namespace

class Client::Impl {
 public:
  Impl(Config config, std::string user_agent, std::unique_ptr<Transport> transport)
      : config(std::move(config)),
        user_agent(std::move(user_agent)),
        transport_(std::move(transport)) {}

  Result<std::string> Call(const char* method, const std::string& path, const Json* body,
                           const std::string& context, const char* content_type = kJsonType) {
    http::ClientRequest request;
    request.method = method;
    request.path = path;
    if (body != nullptr) {
      request.body = api::DumpJson(*body);
      request.content_type = content_type;
    }
    Result<http::ClientResponse> response = transport_->Send(std::move(request));
    if (!response.has_value()) return Annotate(response.error(), context);
    if (response->status >= 300) return ErrorFromResponse(*response, context);
    return std::move(response->body);
  }

  Result<Json> CallJson(const char* method, const std::string& path, const Json* body,
                        const std::string& context, const char* content_type = kJsonType) {
    LS_ASSIGN_OR_RETURN(const std::string text, Call(method, path, body, context, content_type));
    Result<Json> json = api::ParseJson(text);
    if (json.has_value() && json->is_object()) return json;
    return Unavailable(context + ": the API server's answer is not a JSON object");
  }

  const Config config;
  const std::string user_agent;

 private:
  const std::unique_ptr<Transport> transport_;
};

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

Result<std::unique_ptr<Client>> Client::Create(Config config, std::string user_agent) {
  LS_ASSIGN_OR_RETURN(std::unique_ptr<Transport> transport, Transport::Create(config, user_agent));
  return std::unique_ptr<Client>(new Client(
      std::make_unique<Impl>(std::move(config), std::move(user_agent), std::move(transport))));
}

const Config& Client::config() const { return impl_->config; }
const std::string& Client::user_agent() const { return impl_->user_agent; }

Result<Json> Client::Get(const Resource& resource, const std::string& ns, const std::string& name) {
  LS_ASSIGN_OR_RETURN(const std::string path, ObjectPath(resource, ns, name));
  return impl_->CallJson("GET", path, nullptr, Context("get", resource, "", ns, name));
}

Result<ListResult> Client::List(const Resource& resource, const std::string& ns,
                                const ListOptions& options) {
  LS_RETURN_IF_ERROR(CheckSegment("namespace", ns));
  const std::string context = Context("list", resource, "", ns, "");
  ListResult result;
  const ListSink sink{.begin = [&] { result.items.clear(); },
                      .take = [&](Json item) { result.items.push_back(std::move(item)); }};
  LS_ASSIGN_OR_RETURN(result.resource_version,
                      ListPages(resource, ns, options, sink, [&](const std::string& path) {
                        return impl_->CallJson("GET", path, nullptr, context);
                      }));
  return result;
}

Result<Json> Client::Create(const Resource& resource, const std::string& ns, const Json& object) {
  LS_RETURN_IF_ERROR(CheckSegment("namespace", ns));
  const Json body = WithType(object, resource);
  return impl_->CallJson("POST", ResourcePath(resource, ns), &body,
                         Context("create", resource, "", ns, std::string(NameOf(object))));
}

Result<Json> Client::Update(const Resource& resource, const std::string& ns, const Json& object,
                            const std::string& subresource) {
  const std::string name = std::string(NameOf(object));
  LS_ASSIGN_OR_RETURN(const std::string path, ObjectPath(resource, ns, name, subresource));
  const Json body = WithType(object, resource);
  return impl_->CallJson("PUT", path, &body, Context("update", resource, subresource, ns, name));
}

Result<Json> Client::Patch(const Resource& resource, const std::string& ns, const std::string& name,
                           PatchType type, const Json& patch, const std::string& subresource) {
  LS_ASSIGN_OR_RETURN(const std::string path, ObjectPath(resource, ns, name, subresource));
  const char* content_type =
      type == PatchType::kMerge ? "application/merge-patch+json" : "application/json-patch+json";
  Result<Json> patched = impl_->CallJson(
      "PATCH", path, &patch, Context("patch", resource, subresource, ns, name), content_type);
  if (type == PatchType::kJson && !patched.has_value() && FailedTest(patch, patched.error())) {
    return Conflict(patched.error().message + ": a test of the patch failed");
  }
  return patched;
}

Result<Json> Client::Apply(const Resource& resource, const std::string& ns, const Json& object,
                           const std::string& field_manager, bool force,
                           const std::string& subresource) {
  const std::string name = std::string(NameOf(object));
  LS_ASSIGN_OR_RETURN(std::string path, ObjectPath(resource, ns, name, subresource));
  path += "?fieldManager=" + http::UrlEncode(field_manager) + (force ? "&force=true" : "");
  const Json body = WithType(object, resource);
  // JSON is YAML; the server takes no other type for this verb.
  return impl_->CallJson("PATCH", path, &body, Context("apply", resource, subresource, ns, name),
                         "application/apply-patch+yaml");
}

Status Client::Delete(const Resource& resource, const std::string& ns, const std::string& name,
                      const DeleteOptions& options) {
  LS_ASSIGN_OR_RETURN(const std::string path, ObjectPath(resource, ns, name));
  const Json body = DeleteBody(options);
  LS_RETURN_IF_ERROR(impl_->Call("DELETE", path, &body, Context("delete", resource, "", ns, name)));
  return {};
}

Result<Json> Client::Post(const std::string& path, const Json& body) {
  return impl_->CallJson("POST", path, &body, "post " + path);
}

Result<std::string> Client::GetRaw(const std::string& path) {
  return impl_->Call("GET", path, nullptr, "get " + path);
}

}  // namespace longshore::kube
