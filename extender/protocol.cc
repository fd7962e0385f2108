// SPDX-License-Identifier: Apache-2.0
#include "extender/protocol.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/api/meta.h"
#include "common/base/strings.h"
#include "extender/json_cursor.h"
#include "extender/name_set.h"

namespace longshore::extender {
namespace {

// Errors name the field: the first path to fail is kept.
class Reader {
 public:
  Reader(std::string_view body, std::deque<std::string>& decoded) : cursor_(body, decoded) {}

  bool Body(Arguments& arguments);
  Error error() const { return Annotate(*cursor_.error(), path_.empty() ? "body" : path_); }
  bool has_pod() const { return has_pod_; }
  bool has_names() const { return has_names_; }
  bool has_nodes() const { return has_nodes_; }
  std::vector<std::string_view> names, node_names, node_items;

 private:
  // Runs the reading of a field and remembers its name when it fails first.
  template <class Read>
  void Field(std::string_view name, Read read) {
    if (!read() && path_.empty()) path_ = name;
  }
  template <class OnMember>
  bool ObjectOrNull(OnMember on_member) {
    return cursor_.Null() || cursor_.Object(on_member);
  }
  bool Text(std::string_view& value) { return cursor_.Null() || cursor_.String(value); }
  bool Pod(PodArgument& pod);
  bool Metadata(PodArgument& pod);
  bool Lookup(std::string_view key, std::string_view& value);
  bool Spec(PodArgument& pod);
  bool Container(PodArgument& pod);
  bool Requests(PodArgument& pod);
  bool Names();
  bool NodeList();
  bool Node();

  JsonCursor cursor_;
  std::string path_;
  bool has_pod_ = false, has_names_ = false, has_nodes_ = false;
};

bool Reader::Body(Arguments& arguments) {
  return cursor_.Object([&](std::string_view key) {
    if (SameIgnoringCase(key, "Pod")) {
      Field("Pod", [&] { return Pod(arguments.pod); });
    } else if (SameIgnoringCase(key, "NodeNames")) {
      Field("NodeNames", [&] { return Names(); });
    } else if (SameIgnoringCase(key, "Nodes")) {
      Field("Nodes", [&] { return NodeList(); });
    } else {
      cursor_.Skip();
    }
  });
}

bool Reader::Pod(PodArgument& pod) {
  pod = {};
  has_pod_ = !cursor_.Null();
  if (!has_pod_) return true;
  return cursor_.Object([&](std::string_view key) {
    if (SameIgnoringCase(key, "metadata")) {
      Field("Pod.metadata", [&] { return Metadata(pod); });
    } else if (SameIgnoringCase(key, "spec")) {
      Field("Pod.spec", [&] { return Spec(pod); });
    } else {
      cursor_.Skip();
    }
  });
}

bool Reader::Metadata(PodArgument& pod) {
  return ObjectOrNull([&](std::string_view key) {
    if (SameIgnoringCase(key, "name")) {
      Text(pod.name);
    } else if (SameIgnoringCase(key, "namespace")) {
      Text(pod.ns);
    } else if (SameIgnoringCase(key, "uid")) {
      Text(pod.uid);
    } else if (SameIgnoringCase(key, "labels")) {
      Lookup(api::kLabelSource, pod.source);
    } else if (SameIgnoringCase(key, "annotations")) {
      Lookup(api::kAnnotationSourceNamespace, pod.source_namespace);
    } else {
      cursor_.Skip();
    }
  });
}

// Keys of labels and annotations are data, not field names: their case counts.
bool Reader::Lookup(std::string_view wanted, std::string_view& value) {
  return ObjectOrNull([&](std::string_view key) {
    if (key == wanted) {
      Text(value);
    } else {
      cursor_.Skip();
    }
  });
}

bool Reader::Spec(PodArgument& pod) {
  return ObjectOrNull([&](std::string_view key) {
    if (SameIgnoringCase(key, "containers")) {
      if (!cursor_.Null()) cursor_.Array([&](size_t) { Container(pod); });
    } else {
      cursor_.Skip();
    }
  });
}

bool Reader::Container(PodArgument& pod) {
  return ObjectOrNull([&](std::string_view key) {
    if (!SameIgnoringCase(key, "resources")) {
      cursor_.Skip();
      return;
    }
    ObjectOrNull([&](std::string_view part) {
      if (SameIgnoringCase(part, "requests")) {
        Requests(pod);
      } else {
        cursor_.Skip();
      }
    });
  });
}

bool Reader::Requests(PodArgument& pod) {
  return ObjectOrNull([&](std::string_view key) {
    std::string_view quantity;
    if (key != "cpu" && key != "memory") {
      cursor_.Skip();
    } else if (cursor_.StringOrNumber(quantity)) {
      const int64_t milli = ParseQuantityMilli(quantity).value_or(0);
      if (key == "cpu") {
        pod.cpu_milli += milli;
      } else {
        pod.memory_bytes += milli / 1000;
      }
    }
  });
}

bool Reader::Names() {
  names.clear();
  has_names_ = !cursor_.Null();
  if (!has_names_) return true;
  return cursor_.Array([&](size_t) {
    std::string_view name;
    if (cursor_.String(name)) names.push_back(name);
  });
}

bool Reader::NodeList() {
  node_names.clear();
  node_items.clear();
  has_nodes_ = !cursor_.Null();
  if (!has_nodes_) return true;
  return cursor_.Object([&](std::string_view key) {
    if (!SameIgnoringCase(key, "items")) {
      cursor_.Skip();
    } else if (!cursor_.Null()) {
      cursor_.Array([&](size_t) { Node(); });
    }
  });
}

bool Reader::Node() {
  std::string_view name, item;
  const bool read = cursor_.Span(item, [&] {
    return cursor_.Object([&](std::string_view key) {
      if (!SameIgnoringCase(key, "metadata")) {
        cursor_.Skip();
        return;
      }
      ObjectOrNull([&](std::string_view field) {
        if (SameIgnoringCase(field, "name")) {
          Text(name);
        } else {
          cursor_.Skip();
        }
      });
    });
  });
  if (read) {
    node_names.push_back(name);
    node_items.push_back(item);
  }
  return read;
}

// Keeps the first of each name (and its item), in order.
void DropDuplicates(Arguments& arguments) {
  NameSet seen(arguments.names.size());
  size_t kept = 0;
  for (size_t i = 0; i < arguments.names.size(); ++i) {
    if (!seen.Insert(arguments.names[i])) continue;
    arguments.names[kept] = arguments.names[i];
    if (!arguments.by_name) arguments.items[kept] = arguments.items[i];
    ++kept;
  }
  arguments.names.resize(kept);
  if (!arguments.by_name) arguments.items.resize(kept);
}

void AppendReasons(const Arguments& arguments, const std::vector<NodeOutcome>& outcomes,
                   Outcome wanted, std::string& out) {
  out += '{';
  bool first = true;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i].outcome != wanted) continue;
    if (!first) out += ',';
    first = false;
    AppendJsonString(arguments.names[i], out);
    out += ':';
    AppendJsonString(outcomes[i].reason, out);
  }
  out += '}';
}

}  // namespace

Result<Arguments> ReadArguments(std::string_view body) {
  Arguments arguments;
  Reader reader(body, arguments.decoded);
  if (!reader.Body(arguments)) return reader.error();
  if (!reader.has_pod()) return InvalidArgument("Pod: missing or null");
  if (!reader.has_names() && !reader.has_nodes()) {
    return InvalidArgument("Nodes, NodeNames: one of them must be a list");
  }
  arguments.by_name = reader.has_names();
  if (arguments.by_name) {
    arguments.names = std::move(reader.names);
  } else {
    arguments.names = std::move(reader.node_names);
    arguments.items = std::move(reader.node_items);
  }
  DropDuplicates(arguments);
  return arguments;
}

std::string FilterReply(const Arguments& arguments, const std::vector<NodeOutcome>& outcomes) {
  std::string out;
  size_t size = 128;
  for (const auto& text : arguments.by_name ? arguments.names : arguments.items) {
    size += text.size() + 3;
  }
  out.reserve(size);
  out += arguments.by_name ? R"({"NodeNames":[)" : R"({"Nodes":{"metadata":{},"items":[)";
  bool first = true;
  for (size_t i = 0; i < arguments.names.size(); ++i) {
    if (!outcomes.empty() && outcomes[i].outcome != Outcome::kPassed) continue;
    if (!first) out += ',';
    first = false;
    if (arguments.by_name) {
      AppendJsonString(arguments.names[i], out);
    } else {
      out += arguments.items[i];
    }
  }
  out += arguments.by_name ? R"(],"FailedNodes":)" : R"(]},"FailedNodes":)";
  AppendReasons(arguments, outcomes, Outcome::kFailed, out);
  out += R"(,"FailedAndUnresolvableNodes":)";
  AppendReasons(arguments, outcomes, Outcome::kNever, out);
  out += R"(,"Error":""})";
  return out;
}

std::string FilterErrorReply(std::string_view message) {
  std::string out = R"({"Error":)";
  AppendJsonString(message, out);
  out += '}';
  return out;
}

std::string PrioritizeReply(const Arguments& arguments, const std::vector<int>& scores) {
  std::string out;
  out.reserve(arguments.names.size() * 40 + 2);
  out += '[';
  for (size_t i = 0; i < scores.size(); ++i) {
    const int score = std::clamp(scores[i], 0, kMaxScore);
    if (score == 0) continue;
    out += out.size() == 1 ? R"({"Host":)" : R"(,{"Host":)";
    AppendJsonString(arguments.names[i], out);
    out += R"(,"Score":)";
    if (score == 10) out += '1';
    out += static_cast<char>('0' + score % 10);
    out += '}';
  }
  out += ']';
  return out;
}

std::string NeutralPrioritizeReply() { return "[]"; }

void AppendJsonString(std::string_view text, std::string& out) {
  const bool plain = std::all_of(text.begin(), text.end(), [](char c) {
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
  });
  if (plain) {
    out += '"';
    out += text;
    out += '"';
    return;
  }
  out += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace longshore::extender
