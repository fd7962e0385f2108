// SPDX-License-Identifier: Apache-2.0
#include "cli/session.h"

#include <ostream>

#include "cli/fields.h"
#include "common/base/strings.h"

namespace longshore::cli {

int ExitCodeFor(Code code) {
  switch (code) {
    case Code::kInvalidArgument:
      return 2;
    case Code::kNotFound:
      return 3;
    case Code::kUnauthenticated:
    case Code::kPermissionDenied:
      return 4;
    case Code::kUnavailable:
      return 5;
    case Code::kDeadlineExceeded:
      return 6;
    case Code::kCancelled:
      return kExitInterrupted;
    default:
      return 1;
  }
}

std::string NotEmpty(const std::string& value) { return value.empty() ? "must not be empty" : ""; }

Status Session::Resolve() {
  if (settings_) return {};
  LS_ASSIGN_OR_RETURN(settings_, ResolveSettings(flags, io.environment));
  return {};
}

Result<ApiClient*> Session::Api() {
  if (api_) return api_.get();
  LS_RETURN_IF_ERROR(Resolve());
  const auto missing = [](const char* flag, const char* variable) {
    return InvalidArgument(std::string("no ") + flag + ": give it, set " + variable +
                           ", or run longshore login once");
  };
  if (settings_->server.empty()) return missing("--server", "LONGSHORE_SERVER");
  if (settings_->ca_file.empty() && settings_->server.starts_with("https:")) {
    return missing("--ca-file", "LONGSHORE_CA_FILE");
  }
  if (settings_->token_file.empty()) return missing("--token-file", "LONGSHORE_TOKEN_FILE");
  const auto say = [this](const std::string& line) { io.err << Printable(line) << std::endl; };
  LS_ASSIGN_OR_RETURN(api_, ApiClient::Create({settings_->server, settings_->ca_file,
                                               settings_->token_file, settings_->tls_server_name},
                                              {io.clock, io.sleep, say}));
  return api_.get();
}

Result<std::string> Session::Namespace() {
  LS_RETURN_IF_ERROR(Resolve());
  return settings_->ns;
}

Result<std::string> Session::ListNamespace() {
  return flags.all_namespaces ? Result<std::string>(std::string()) : Namespace();
}

Result<Session::ObjectName> Session::ParseName(const std::string& text) {
  const size_t slash = text.find('/');
  LS_ASSIGN_OR_RETURN(const std::string ns, Namespace());
  if (slash == std::string::npos) return ObjectName{ns, text};
  ObjectName name{text.substr(0, slash), text.substr(slash + 1)};
  // "request/req-…" is what -o name prints: taken back as it was given.
  for (const char* kind : {"request", "pod", "operation", "source", "copy"}) {
    if (name.ns == kind) name.ns = ns;
  }
  if (name.ns.empty() || name.name.empty() || name.name.find('/') != std::string::npos) {
    return InvalidArgument("\"" + text + "\" is no name: use NAME or NAMESPACE/NAME");
  }
  return name;
}

void Session::Print(const Json& document, const std::string& kind, const Table& table) {
  if (json()) {
    io.out << document.dump(2, ' ', false, Json::error_handler_t::replace) << "\n";
  } else if (names_only()) {
    const auto print = [&](const Json& item) {
      const std::string name = kind == "copy" ? Text(item, "/id") : Text(item, "/name");
      io.out << kind << "/" << Printable(name) << "\n";
    };
    if (document.contains("items")) {
      for (const Json& item : document.at("items")) print(item);
    } else {
      print(document);
    }
  } else if (document.contains("items") && document.at("items").empty()) {
    // As kubectl says it: nothing on standard output, where scripts count lines.
    const auto ns = ListNamespace();
    const std::string where = ns && !ns->empty() ? " in namespace " + *ns : "";
    io.err << "no " << (kind == "copy" ? "copie" : kind) << "s" << where << std::endl;
  } else {
    io.out << RenderTable(table);
  }
  io.out.flush();
}

}  // namespace longshore::cli
