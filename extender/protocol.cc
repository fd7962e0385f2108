// SPDX-License-Identifier: Apache-2.0
#include "extender/protocol.h"

#include <algorithm>
#include <bit>
#include <nlohmann/json.hpp>
#include <utility>

#include "common/api/meta.h"
#include "common/base/name_map.h"
#include "common/base/strings.h"
#include "extender/json_cursor.h"

namespace longshore::extender {
namespace {

constexpr std::string_view kNamesFront = R"({"NodeNames":)";
constexpr std::string_view kNodesFront = R"({"Nodes":{"metadata":{},"items":)";
int MostPods(std::string_view text) {
  return static_cast<int>(std::clamp<int64_t>(ParseInt(text).value_or(0), 0, 1'000'000));
}

int64_t WithRequest(int64_t sum, int64_t more) {
  return std::min(sum + std::min(more, kMostRequested), kMostRequested);
}

// Errors name the field: the first path to fail is kept.
class Reader {
 public:
  Reader(std::string_view body, std::deque<std::string>& decoded)
      : cursor_(body, decoded), decoded_(decoded) {}

  bool Body(Arguments& arguments);
  Error error() const { return Annotate(*cursor_.error(), path_.empty() ? "body" : path_); }
  bool has_pod() const { return has_pod_; }
  bool has_names() const { return has_names_; }
  bool has_nodes() const { return has_nodes_; }
  std::vector<std::string_view> names, node_names, node_items;
  std::string_view names_text, items_text;  // the lists, from bracket to bracket

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
  bool Labels(PodArgument& pod);
  bool Annotations(PodArgument& pod);
  bool Spec(PodArgument& pod);
  bool Container(PodArgument& pod);
  bool Volume(PodArgument& pod);
  bool Requests(PodArgument& pod);
  bool Names();
  bool NodeList();
  bool Node();

  JsonCursor cursor_;
  const std::deque<std::string>& decoded_;
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
      Labels(pod);
    } else if (SameIgnoringCase(key, "annotations")) {
      Annotations(pod);
    } else {
      cursor_.Skip();
    }
  });
}

// Keys of labels and annotations are data, not field names: their case counts.
bool Reader::Labels(PodArgument& pod) {
  return ObjectOrNull([&](std::string_view key) {
    if (key == api::kLabelSource) {
      Text(pod.source);
    } else {
      cursor_.Skip();
    }
  });
}

bool Reader::Annotations(PodArgument& pod) {
  return ObjectOrNull([&](std::string_view key) {
    if (key == api::kAnnotationSourceNamespace) {
      Text(pod.source_namespace);
    } else if (key == api::kAnnotationPlacementMode) {
      Text(pod.placement_mode);
    } else if (key == api::kAnnotationMaxPodsPerNode) {
      std::string_view most;
      if (Text(most)) pod.max_backup_pods = MostPods(most);
    } else {
      cursor_.Skip();
    }
  });
}

bool Reader::Spec(PodArgument& pod) {
  return ObjectOrNull([&](std::string_view key) {
    if (SameIgnoringCase(key, "containers")) {
      if (!cursor_.Null()) cursor_.Array([&](size_t) { Container(pod); });
    } else if (SameIgnoringCase(key, "volumes")) {
      if (!cursor_.Null()) cursor_.Array([&](size_t) { Volume(pod); });
    } else {
      cursor_.Skip();
    }
  });
}

bool Reader::Volume(PodArgument& pod) {
  return ObjectOrNull([&](std::string_view key) {
    if (!SameIgnoringCase(key, "persistentVolumeClaim")) {
      cursor_.Skip();
      return;
    }
    ObjectOrNull([&](std::string_view part) {
      std::string_view claim;
      if (!SameIgnoringCase(part, "claimName")) {
        cursor_.Skip();
      } else if (Text(claim) && !claim.empty()) {
        pod.claims.push_back(claim);
      }
    });
  });
}

bool Reader::Container(PodArgument& pod) {
  return ObjectOrNull([&](std::string_view key) {
    if (SameIgnoringCase(key, "image")) {
      std::string_view image;
      if (Text(image) && pod.image.empty()) pod.image = image;
      return;
    }
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
      const int64_t milli = RequestedMilli(quantity);
      if (key == "cpu") {
        pod.cpu_milli = WithRequest(pod.cpu_milli, milli);
      } else {
        pod.memory_bytes = WithRequest(pod.memory_bytes, milli / 1000);
      }
    }
  });
}

bool Reader::Names() {
  names.clear();
  has_names_ = !cursor_.Null();
  if (!has_names_) return true;
  const size_t decoded = decoded_.size();
  const bool read = cursor_.Span(names_text, [&] { return cursor_.Strings(names); });
  // What stands for a lone surrogate is not to be sent back as one.
  if (decoded_.size() > decoded) names_text = {};
  return read;
}

bool Reader::NodeList() {
  node_names.clear();
  node_items.clear();
  items_text = {};
  has_nodes_ = !cursor_.Null();
  if (!has_nodes_) return true;
  return cursor_.Object([&](std::string_view key) {
    if (!SameIgnoringCase(key, "items")) {
      cursor_.Skip();
    } else if (!cursor_.Null()) {
      cursor_.Span(items_text, [&] { return cursor_.Array([&](size_t) { Node(); }); });
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

// Whether a name may be there twice; where it says no, none is. By tags of 32 bits alone, in a
// table that stays in the nearest cache: of 5000 names two look alike by chance in one call of
// hundreds.
bool MayRepeat(const std::vector<std::string_view>& names) {
  constexpr uint32_t kFree = 0;
  std::vector<uint32_t> tags(std::bit_ceil(names.size() * 3 / 2 + 1), kFree);
  const size_t mask = tags.size() - 1;
  for (const std::string_view name : names) {
    const uint64_t hash = HashName(name);
    const auto tag = static_cast<uint32_t>(hash >> 32) | 1;
    size_t at = hash & mask;
    while (tags[at] != kFree) {
      if (tags[at] == tag) return true;
      at = (at + 1) & mask;
    }
    tags[at] = tag;
  }
  return false;
}

// Keeps the first of each name (and its item), in order.
void DropDuplicates(Arguments& arguments) {
  if (!MayRepeat(arguments.names)) return;
  const std::vector<std::string_view> offered = std::exchange(arguments.names, {});
  NameMap seen(offered.size());
  for (size_t i = 0; i < offered.size(); ++i) {
    const auto [number, is_new] = seen.Insert(offered[i]);
    if (!is_new) continue;
    if (!arguments.by_name) arguments.items[number] = arguments.items[i];
    arguments.names.push_back(offered[i]);
  }
  if (!arguments.by_name) arguments.items.resize(arguments.names.size());
  if (arguments.names.size() < offered.size()) arguments.list = {};
}

// A name between quotes: as it was sent, where the list is there as it was sent.
void AppendName(const Arguments& arguments, size_t i, std::string& out) {
  if (arguments.by_name && !arguments.list.empty()) {
    ((out += '"') += arguments.names[i]) += '"';
  } else {
    AppendJsonString(arguments.names[i], out);
  }
}

void AppendPassed(const Arguments& arguments, const std::vector<NodeOutcome>& outcomes,
                  std::string& out) {
  size_t size = out.size() + 128;
  for (const auto& text : arguments.by_name ? arguments.names : arguments.items) {
    size += text.size() + 3;
  }
  out.reserve(size);
  out += '[';
  bool first = true;
  for (size_t i = 0; i < arguments.names.size(); ++i) {
    if (!outcomes.empty() && outcomes[i].outcome != Outcome::kPassed) continue;
    if (!first) out += ',';
    first = false;
    if (arguments.by_name) {
      AppendName(arguments, i, out);
    } else {
      out += arguments.items[i];
    }
  }
  out += ']';
}

// Thousands of nodes have the same few reasons, each of them one text: quoted once, with what
// stands before and behind it.
class WrittenReasons {
 public:
  const std::string& Of(std::string_view reason) {
    for (const auto& [known, text] : written_) {
      if (known.data() == reason.data() && known.size() == reason.size()) return text;
    }
    std::string text = ":";
    AppendJsonString(reason, text);
    text += ',';
    if (written_.size() == kMost) written_.pop_front();
    return written_.emplace_back(reason, std::move(text)).second;
  }

 private:
  static constexpr size_t kMost = 8;
  std::deque<std::pair<std::string_view, std::string>> written_;
};

void AppendReasons(const Arguments& arguments, const std::vector<NodeOutcome>& outcomes,
                   Outcome wanted, std::string& out) {
  size_t size = out.size() + 2;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i].outcome != wanted) continue;
    size += arguments.names[i].size() + outcomes[i].reason.size() + 6;
  }
  out.reserve(size);
  out += '{';
  WrittenReasons reasons;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    if (outcomes[i].outcome != wanted) continue;
    AppendName(arguments, i, out);
    out += reasons.Of(outcomes[i].reason);
  }
  if (out.back() == ',') out.pop_back();
  out += '}';
}

// All that follows the list.
void AppendFailed(const Arguments& arguments, const std::vector<NodeOutcome>& outcomes,
                  std::string& out) {
  out += arguments.by_name ? R"(,"FailedNodes":)" : R"(},"FailedNodes":)";
  AppendReasons(arguments, outcomes, Outcome::kFailed, out);
  out += R"(,"FailedAndUnresolvableNodes":)";
  AppendReasons(arguments, outcomes, Outcome::kNever, out);
  out += R"(,"Error":""})";
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
    arguments.list = reader.names_text;
  } else {
    arguments.names = std::move(reader.node_names);
    arguments.items = std::move(reader.node_items);
    arguments.list = reader.items_text;
  }
  DropDuplicates(arguments);
  return arguments;
}

std::string FilterReply(const Arguments& arguments, const std::vector<NodeOutcome>& outcomes) {
  std::string out;
  out += arguments.by_name ? kNamesFront : kNodesFront;
  if (outcomes.empty() && !arguments.list.empty()) {
    out.reserve(arguments.list.size() + 128);
    out += arguments.list;
  } else {
    AppendPassed(arguments, outcomes, out);
  }
  AppendFailed(arguments, outcomes, out);
  return out;
}

std::string FilterReply(std::string body, const Arguments& arguments,
                        const std::vector<NodeOutcome>& outcomes, size_t long_body) {
  // Short bodies may be inside the string object, and moved away from their views.
  const bool whole = outcomes.empty() && !arguments.list.empty();
  if (!whole || body.size() < long_body) return FilterReply(arguments, outcomes);
  const std::string_view front = arguments.by_name ? kNamesFront : kNodesFront;
  const size_t length = arguments.list.size();
  const auto at = static_cast<size_t>(arguments.list.data() - body.data());
  std::string end;
  AppendFailed(arguments, outcomes, end);
  // The pod that stood before the list mostly makes room for what is longer than in the request.
  if (at < front.size() || front.size() + length + end.size() > body.capacity()) {
    return FilterReply(arguments, outcomes);
  }
  body.replace(0, at, front);
  body.resize(front.size() + length);
  body += end;
  return body;
}

std::string FilterErrorReply(std::string_view message) {
  std::string out = R"({"Error":)";
  AppendJsonString(message, out);
  out += '}';
  return out;
}

std::string PrioritizeReply(const Arguments& arguments, const std::vector<int>& scores) {
  // What stands before and behind a name, with the comma that takes the next one's bracket off.
  static constexpr std::string_view kHost = R"({"Host":)";
  static constexpr std::string_view kScores[] = {"",
                                                 ",\"Score\":1},",
                                                 ",\"Score\":2},",
                                                 ",\"Score\":3},",
                                                 ",\"Score\":4},",
                                                 ",\"Score\":5},",
                                                 ",\"Score\":6},",
                                                 ",\"Score\":7},",
                                                 ",\"Score\":8},",
                                                 ",\"Score\":9},",
                                                 ",\"Score\":10},"};
  std::string out;
  out.reserve(arguments.names.size() * 40 + 2);
  out += '[';
  for (size_t i = 0; i < scores.size(); ++i) {
    const int score = std::clamp(scores[i], 0, kMaxScore);
    if (score == 0) continue;
    out += kHost;
    AppendName(arguments, i, out);
    out += kScores[score];
  }
  if (out.size() > 1) out.pop_back();
  out += ']';
  return out;
}

std::string NeutralPrioritizeReply() { return "[]"; }

void AppendJsonString(std::string_view text, std::string& out) {
  if (IsPlainText(text)) {
    out += '"';
    out += text;
    out += '"';
    return;
  }
  out += nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace longshore::extender
