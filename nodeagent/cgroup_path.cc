// SPDX-License-Identifier: Apache-2.0
#include "nodeagent/cgroup_path.h"

#include <algorithm>
#include <cctype>

namespace longshore::nodeagent {
namespace {

constexpr std::string_view kKubepods = "kubepods";
constexpr std::string_view kSlice = ".slice";

bool StripSuffix(std::string_view& text, std::string_view suffix) {
  if (!text.ends_with(suffix)) return false;
  text.remove_suffix(suffix.size());
  return true;
}

// UUIDs, the 32 hex digits of a static pod, and the names that some distributions choose.
bool LooksLikeUid(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
}

}  // namespace

bool IsKubepods(std::string_view component) {
  if (component == kKubepods) return true;
  return StripSuffix(component, kSlice) &&
         (component == kKubepods || component.ends_with("-kubepods"));
}

std::optional<std::string> PodUidOfName(std::string_view component) {
  if (StripSuffix(component, kSlice)) {
    const size_t at = component.find("kubepods-");
    if (at == std::string_view::npos || (at != 0 && component[at - 1] != '-')) return std::nullopt;
    const size_t pod = component.find("-pod", at + kKubepods.size());
    if (pod == std::string_view::npos) return std::nullopt;
    std::string uid(component.substr(pod + 4));
    std::replace(uid.begin(), uid.end(), '_', '-');
    if (!LooksLikeUid(uid)) return std::nullopt;
    return uid;
  }
  if (!component.starts_with("pod")) return std::nullopt;
  component.remove_prefix(3);
  if (!LooksLikeUid(component)) return std::nullopt;
  return std::string(component);
}

std::optional<std::string> ContainerIdOfName(std::string_view component) {
  constexpr size_t kDigits = 64;
  StripSuffix(component, ".scope");
  if (component.size() < kDigits) return std::nullopt;
  const std::string_view id = component.substr(component.size() - kDigits);
  const std::string_view runtime = component.substr(0, component.size() - kDigits);
  const bool hex = std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return std::isdigit(c) != 0 || (c >= 'a' && c <= 'f');
  });
  if (!hex || runtime.ends_with("conmon-")) return std::nullopt;
  if (!runtime.empty() && runtime.back() != '-' && runtime.back() != ':') return std::nullopt;
  return std::string(id);
}

std::optional<std::string> KubepodsOfPath(std::string_view path) {
  size_t end = path.size();
  while (end > 0) {
    const size_t slash = path.rfind('/', end - 1);
    const size_t begin = slash == std::string_view::npos ? 0 : slash + 1;
    if (IsKubepods(path.substr(begin, end - begin))) return std::string(path.substr(0, end));
    if (slash == std::string_view::npos) break;
    end = slash;
  }
  return std::nullopt;
}

}  // namespace longshore::nodeagent
