// SPDX-License-Identifier: Apache-2.0
#include "common/kube/config.h"

#include <yaml-cpp/yaml.h>

#include <cstdlib>

#include "common/base/files.h"
#include "common/base/strings.h"

namespace longshore::kube {
namespace {

constexpr char kServiceAccountFolder[] = "/var/run/secrets/kubernetes.io/serviceaccount/";

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// One kubeconfig while it is read: resolves its relative paths and names it in errors. yaml-cpp
// throws on malformed nodes; LoadKubeconfig catches.
class Kubeconfig {
 public:
  Kubeconfig(std::string path, const YAML::Node& root) : path_(std::move(path)), root_(root) {}

  std::string CurrentContext() const { return Text(root_, "current-context"); }

  // The map KEY of the entry NAME in the list LIST ("clusters", "cluster").
  Result<YAML::Node> Entry(const char* list, const char* key, const std::string& name) const {
    for (const auto& entry : root_[list]) {
      if (Text(entry, "name") != name) continue;
      if (entry[key] && entry[key].IsMap()) return YAML::Node(entry[key]);
      return Bad(std::string(list) + "[" + name + "]." + key, "missing");
    }
    return Error{Code::kNotFound, path_ + ": " + list + ": no entry named \"" + name + "\""};
  }

  static std::string Text(const YAML::Node& node, const char* key) {
    return node[key] && node[key].IsScalar() ? node[key].as<std::string>() : "";
  }

  // Content given inline in KEY-data (base64) or as the path of a file in KEY; "" when neither.
  Result<std::string> Data(const YAML::Node& node, const char* key,
                           const std::string& where) const {
    const std::string inline_key = std::string(key) + "-data";
    if (const std::string data = Text(node, inline_key.c_str()); !data.empty()) {
      Result<std::string> decoded = Base64Decode(data);
      if (!decoded.has_value()) return Bad(where + "." + inline_key, decoded.error().message);
      return decoded;
    }
    const std::string file = Text(node, key);
    if (file.empty()) return std::string();
    Result<std::string> content = ReadFile(Resolve(file));
    if (!content.has_value()) return Annotate(content.error(), path_ + ": " + where + "." + key);
    return content;
  }

  Status Refuse(const YAML::Node& node, std::initializer_list<const char*> keys,
                const std::string& where, const char* instead) const {
    for (const char* key : keys) {
      if (node[key]) return Bad(where + "." + key, std::string("not supported; ") + instead);
    }
    return {};
  }

  std::string Resolve(const std::string& file) const {
    if (file.starts_with('/')) return file;
    const size_t slash = path_.rfind('/');
    return slash == std::string::npos ? file : path_.substr(0, slash + 1) + file;
  }

  Error Bad(const std::string& field, const std::string& why) const {
    return InvalidArgument(path_ + ": " + field + ": " + why);
  }

 private:
  const std::string path_;
  const YAML::Node root_;
};

Status ReadCluster(const Kubeconfig& file, const std::string& name, Config& config) {
  const std::string where = "clusters[" + name + "].cluster";
  LS_ASSIGN_OR_RETURN(const YAML::Node cluster, file.Entry("clusters", "cluster", name));
  config.server = Kubeconfig::Text(cluster, "server");
  while (config.server.ends_with('/')) config.server.pop_back();
  const bool tls = config.server.starts_with("https://");
  if (!tls && !config.server.starts_with("http://")) {
    return file.Bad(where + ".server", "must be http(s)://HOST:PORT");
  }
  if (Kubeconfig::Text(cluster, "insecure-skip-tls-verify") == "true") {
    return file.Bad(where + ".insecure-skip-tls-verify",
                    "not supported; give certificate-authority");
  }
  LS_RETURN_IF_ERROR(file.Refuse(cluster, {"proxy-url"}, where, "connect directly"));
  LS_ASSIGN_OR_RETURN(config.ca_pem, file.Data(cluster, "certificate-authority", where));
  if (tls && config.ca_pem.empty()) {
    return file.Bad(where + ".certificate-authority", "missing");
  }
  config.server_name = Kubeconfig::Text(cluster, "tls-server-name");
  return {};
}

Status ReadUser(const Kubeconfig& file, const std::string& name, Config& config) {
  const std::string where = "users[" + name + "].user";
  LS_ASSIGN_OR_RETURN(const YAML::Node user, file.Entry("users", "user", name));
  LS_RETURN_IF_ERROR(file.Refuse(user, {"exec", "auth-provider", "username", "as"}, where,
                                 "use a client certificate, token or tokenFile"));
  LS_ASSIGN_OR_RETURN(config.client_certificate_pem, file.Data(user, "client-certificate", where));
  LS_ASSIGN_OR_RETURN(config.client_key_pem, file.Data(user, "client-key", where));
  if (config.client_certificate_pem.empty() != config.client_key_pem.empty()) {
    return file.Bad(where, "client-certificate and client-key go together");
  }
  config.token = Kubeconfig::Text(user, "token");
  if (const std::string token = Kubeconfig::Text(user, "tokenFile"); !token.empty()) {
    config.token_file = file.Resolve(token);
  }
  return {};
}

Result<Config> ReadContext(const Kubeconfig& file, std::string name) {
  if (name.empty()) name = file.CurrentContext();
  if (name.empty()) return file.Bad("current-context", "missing, and no context was named");
  LS_ASSIGN_OR_RETURN(const YAML::Node context, file.Entry("contexts", "context", name));
  Config config;
  if (const std::string ns = Kubeconfig::Text(context, "namespace"); !ns.empty()) {
    config.default_namespace = ns;
  }
  LS_RETURN_IF_ERROR(ReadCluster(file, Kubeconfig::Text(context, "cluster"), config));
  if (const std::string user = Kubeconfig::Text(context, "user"); !user.empty()) {
    LS_RETURN_IF_ERROR(ReadUser(file, user, config));
  }
  return config;
}

}  // namespace

Result<Config> LoadKubeconfig(const std::string& path, const std::string& context) {
  LS_ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 8u << 20));
  try {
    const YAML::Node root = YAML::Load(text);
    if (!root.IsMap()) return InvalidArgument(path + ": not a kubeconfig");
    return ReadContext(Kubeconfig(path, root), context);
  } catch (const YAML::Exception& error) {
    // Only the place: the library's text may quote a credential.
    return InvalidArgument(path + ":" + std::to_string(error.mark.line + 1) + ": malformed YAML");
  }
}

Result<Config> InCluster() {
  std::string host = Environment("KUBERNETES_SERVICE_HOST");
  const std::string port = Environment("KUBERNETES_SERVICE_PORT");
  if (host.empty() || port.empty()) {
    return FailedPrecondition("not in a pod: KUBERNETES_SERVICE_HOST and _PORT are not set");
  }
  if (host.find(':') != std::string::npos) host = "[" + host + "]";
  const std::string folder = kServiceAccountFolder;
  Config config;
  config.server = "https://" + host + ":" + port;
  config.token_file = folder + "token";
  Result<std::string> ca = ReadFile(folder + "ca.crt");
  if (!ca.has_value()) {
    return FailedPrecondition("no service account in this pod: " + ca.error().message);
  }
  config.ca_pem = *std::move(ca);
  const Result<std::string> ns = ReadFile(folder + "namespace");
  if (ns.has_value()) config.default_namespace = std::string(Trim(*ns));
  return config;
}

Result<Config> LoadConfig(const std::string& path, const std::string& context) {
  if (!path.empty()) return LoadKubeconfig(path, context);
  if (const std::string named = Environment("KUBECONFIG"); !named.empty()) {
    if (named.find(':') != std::string::npos) {
      return InvalidArgument("KUBECONFIG: \"" + named + "\": several files are not supported");
    }
    return LoadKubeconfig(named, context);
  }
  Result<Config> in_cluster = InCluster();
  if (in_cluster.has_value()) return in_cluster;
  const std::string home = Environment("HOME") + "/.kube/config";
  Result<Config> from_home = LoadKubeconfig(home, context);
  if (from_home.has_value() || from_home.error().code != Code::kNotFound) return from_home;
  return FailedPrecondition("no cluster: $KUBECONFIG is not set, " + home +
                            " does not exist, and this is not a pod");
}

}  // namespace longshore::kube
